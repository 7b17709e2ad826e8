//! DenseNet121 (Huang et al., "Densely Connected Convolutional Networks", 2017) with the one-output
//! head of CheXNet (Rajpurkar et al., 2017).

use candle_core::{Result, Tensor};

use super::Mode;
use super::layers::{BatchNorm, Convolution, Fan, Linear};
use super::ops::{
    Activation, average_pool_2x2, concat_channels, global_average_pool, max_pool_3x3,
};
use super::parameters::Parameters;

/// Channels that each layer adds.
const GROWTH: usize = 32;

/// Channels of the narrow middle of each layer.
const BOTTLENECK: usize = 4 * GROWTH;

/// Layers of the four blocks.
const BLOCKS: [usize; 4] = [6, 12, 24, 16];

/// The network; 6,954,881 trained numbers.
pub struct DenseNet121 {
    stem: Convolution,
    stem_norm: BatchNorm,
    blocks: Vec<Block>,
    last_norm: BatchNorm,
    classifier: Linear,
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
    pub(super) fn new(parameters: &mut Parameters) -> Result<Self> {
        let relu = Activation::Relu;
        let mut channels = 64;
        let stem = Convolution::new(parameters, "features.conv0", (3, channels), 7, 2, Fan::In)?;
        let stem_norm = BatchNorm::new(parameters, "features.norm0", channels, relu)?;
        let mut blocks = Vec::new();
        for (index, &depth) in BLOCKS.iter().enumerate() {
            let mut layers = Vec::new();
            for layer in 1..=depth {
                let name = format!("features.denseblock{}.denselayer{layer}", index + 1);
                layers.push(DenseLayer::new(parameters, &name, channels)?);
                channels += GROWTH;
            }
            let transition = if index + 1 < BLOCKS.len() {
                let name = format!("features.transition{}", index + 1);
                let norm = BatchNorm::new(parameters, &format!("{name}.norm"), channels, relu)?;
                let halved = (channels, channels / 2);
                let conv =
                    Convolution::new(parameters, &format!("{name}.conv"), halved, 1, 1, Fan::In)?;
                channels /= 2;
                Some((norm, conv))
            } else {
                None
            };
            blocks.push(Block { layers, transition });
        }
        Ok(Self {
            stem,
            stem_norm,
            blocks,
            last_norm: BatchNorm::new(parameters, "features.norm5", channels, relu)?,
            classifier: Linear::new(parameters, "classifier", channels, 1)?,
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

    pub(super) fn head(&self, features: &Tensor) -> Result<Tensor> {
        self.classifier.forward(&global_average_pool(features)?)
    }
}

impl DenseLayer {
    fn new(parameters: &mut Parameters, name: &str, channels: usize) -> Result<Self> {
        let relu = Activation::Relu;
        let (narrow, grow) = ((channels, BOTTLENECK), (BOTTLENECK, GROWTH));
        Ok(Self {
            norm1: BatchNorm::new(parameters, &format!("{name}.norm1"), channels, relu)?,
            conv1: Convolution::new(parameters, &format!("{name}.conv1"), narrow, 1, 1, Fan::In)?,
            norm2: BatchNorm::new(parameters, &format!("{name}.norm2"), BOTTLENECK, relu)?,
            conv2: Convolution::new(parameters, &format!("{name}.conv2"), grow, 3, 1, Fan::In)?,
        })
    }

    fn forward(&self, x: &Tensor, mode: &Mode) -> Result<Tensor> {
        let narrow = self.conv1.forward(&self.norm1.forward(x, mode)?)?;
        self.conv2.forward(&self.norm2.forward(&narrow, mode)?)
    }
}
