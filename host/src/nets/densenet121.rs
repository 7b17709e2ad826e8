//! DenseNet121's features (Huang et al., "Densely Connected Convolutional Networks", 2017).

use candle_core::{Result, Tensor};

use super::layers::{BatchNorm, Convolution, Fan};
use super::ops::{Activation, average_pool_2x2, concat_channels, max_pool_3x3};
use super::parameters::Parameters;
use super::{Mode, Variant};

/// Channels that each layer adds.
const GROWTH: usize = 32;

/// Channels of the narrow middle of each layer.
const BOTTLENECK: usize = 4 * GROWTH;

/// Layers of the four blocks.
const BLOCKS: [usize; 4] = [6, 12, 24, 16];

/// The features; 6,953,856 trained numbers.
pub(super) struct DenseNet121 {
    stem: Convolution,
    stem_norm: BatchNorm,
    blocks: Vec<Block>,
    last_norm: BatchNorm,
}

struct Block {
    layers: Vec<DenseLayer>,
    transition: Option<(BatchNorm, Convolution)>,
}

struct DenseLayer {
    norm1: BatchNorm,
    conv1: Convolution,
    norm2: BatchNorm,
    conv2: Convolution,
}

impl DenseNet121 {
    pub(super) fn new(variant: Variant, parameters: &mut Parameters) -> Result<Self> {
        let relu = |parameters: &mut Parameters, name: &str, channels| {
            BatchNorm::new(
                parameters,
                name,
                channels,
                variant.epsilon,
                Activation::Relu,
            )
        };
        let mut channels = 64;
        let stem = (variant.input.channels(), channels);
        let stem = Convolution::new(parameters, "features.conv0", stem, 7, 2, Fan::In)?;
        let stem_norm = relu(parameters, "features.norm0", channels)?;
        let mut blocks = Vec::new();
        for (index, &depth) in BLOCKS.iter().enumerate() {
            let mut layers = Vec::new();
            for layer in 1..=depth {
                let name = format!("features.denseblock{}.denselayer{layer}", index + 1);
                layers.push(DenseLayer {
                    norm1: relu(parameters, &format!("{name}.norm1"), channels)?,
                    conv1: pointwise(parameters, &format!("{name}.conv1"), (channels, BOTTLENECK))?,
                    norm2: relu(parameters, &format!("{name}.norm2"), BOTTLENECK)?,
                    conv2: Convolution::new(
                        parameters,
                        &format!("{name}.conv2"),
                        (BOTTLENECK, GROWTH),
                        3,
                        1,
                        Fan::In,
                    )?,
                });
                channels += GROWTH;
            }
            let transition = if index + 1 < BLOCKS.len() {
                let name = format!("features.transition{}", index + 1);
                let norm = relu(parameters, &format!("{name}.norm"), channels)?;
                let halved = (channels, channels / 2);
                let conv = pointwise(parameters, &format!("{name}.conv"), halved)?;
                channels /= 2;
                Some((norm, conv))
            } else {
                None
            };
            blocks.push(Block { layers, transition });
        }
        let last = if variant.last_relu {
            Activation::Relu
        } else {
            Activation::Identity
        };
        let name = "features.norm5";
        Ok(Self {
            stem,
            stem_norm,
            blocks,
            last_norm: BatchNorm::new(parameters, name, channels, variant.epsilon, last)?,
        })
    }

    pub(super) fn features(&self, x: &Tensor, mode: &Mode) -> Result<Tensor> {
        let mut x = self.stem.forward(x)?;
        x = max_pool_3x3(&self.stem_norm.forward(&x, mode)?)?;
        for block in &self.blocks {
            for layer in &block.layers {
                x = concat_channels(&x, &layer.forward(&x, mode)?)?;
            }
            if let Some((norm, conv)) = &block.transition {
                x = average_pool_2x2(&conv.forward(&norm.forward(&x, mode)?)?)?;
            }
        }
        self.last_norm.forward(&x, mode)
    }
}

fn pointwise(
    parameters: &mut Parameters,
    name: &str,
    channels: (usize, usize),
) -> Result<Convolution> {
    Convolution::new(parameters, name, channels, 1, 1, Fan::In)
}

impl DenseLayer {
    fn forward(&self, x: &Tensor, mode: &Mode) -> Result<Tensor> {
        let narrow = self.conv1.forward(&self.norm1.forward(x, mode)?)?;
        self.conv2.forward(&self.norm2.forward(&narrow, mode)?)
    }
}
