//! EfficientNet-B0's features (Tan and Le, "EfficientNet", 2019).

use candle_core::Result;

use super::layers::{
    BatchNorm, Convolution, DepthwiseConvolution, Fan, SqueezeExcitation, drop_branch,
};
use super::ops::Activation;
use super::parameters::Parameters;
use crate::autodiff::Traced;
use crate::mode::Mode;
use crate::variant::Variant;

/// Expansion, kernel, stride, channels and blocks of the seven stages.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
];

/// Stochastic depth's rate at the last block; it grows linearly from 0 at the first.
const DROP_BRANCH: f32 = 0.2;

/// The features; 4,007,548 trained numbers.
pub(super) struct EfficientNetB0 {
    stem: ConvNorm,
    blocks: Vec<Block>,
    last: ConvNorm,
}

/// A convolution, its batch norm and its activation.
struct ConvNorm {
    conv: Convolution,
    norm: BatchNorm,
}

/// A mobile inverted bottleneck: widen, filter each channel, gate, narrow, add.
struct Block {
    expand: Option<ConvNorm>,
    depthwise: DepthwiseConvolution,
    depthwise_norm: BatchNorm,
    excitation: SqueezeExcitation,
    project: ConvNorm,
    /// Stochastic depth's rate, where the block adds to its input.
    residual: Option<f32>,
}

impl EfficientNetB0 {
    pub(super) fn new(variant: Variant, parameters: &mut Parameters) -> Result<Self> {
        let mut channels = 32;
        let stem = ConvNorm {
            conv: Convolution::new(
                parameters,
                "features.0.0",
                (variant.input.channels(), channels),
                3,
                2,
                Fan::Out,
            )?
            .padded(variant.padding),
            norm: BatchNorm::new(
                parameters,
                "features.0.1",
                channels,
                variant.epsilon,
                Activation::Silu,
            )?,
        };
        let total: usize = STAGES.iter().map(|stage| stage.4).sum();
        let mut blocks = Vec::new();
        for (stage, &(expansion, kernel, stride, outputs, depth)) in STAGES.iter().enumerate() {
            for index in 0..depth {
                let shape = BlockShape {
                    inputs: channels,
                    expansion,
                    kernel,
                    stride: if index == 0 { stride } else { 1 },
                    outputs,
                };
                let name = format!("features.{}.{index}.block", stage + 1);
                let rate = DROP_BRANCH * blocks.len() as f32 / total as f32;
                blocks.push(Block::new(parameters, &name, shape, variant, rate)?);
                channels = outputs;
            }
        }
        let last = (channels, 1280);
        Ok(Self {
            stem,
            blocks,
            last: ConvNorm::pointwise(parameters, "features.8", last, variant, Activation::Silu)?,
        })
    }

    pub(super) fn features(&self, x: &Traced, mode: &mut Mode) -> Result<Traced> {
        let mut x = self.stem.forward(x, mode)?;
        for block in &self.blocks {
            x = block.forward(&x, mode)?;
        }
        self.last.forward(&x, mode)
    }
}

impl ConvNorm {
    /// With a window of one place.
    fn pointwise(
        parameters: &mut Parameters,
        name: &str,
        channels: (usize, usize),
        variant: Variant,
        activation: Activation,
    ) -> Result<Self> {
        let (conv, norm) = (format!("{name}.0"), format!("{name}.1"));
        let epsilon = variant.epsilon;
        Ok(Self {
            conv: Convolution::new(parameters, &conv, channels, 1, 1, Fan::Out)?,
            norm: BatchNorm::new(parameters, &norm, channels.1, epsilon, activation)?,
        })
    }

    fn forward(&self, x: &Traced, mode: &Mode) -> Result<Traced> {
        self.norm.forward(&self.conv.forward(x)?, mode)
    }
}

struct BlockShape {
    inputs: usize,
    expansion: usize,
    kernel: usize,
    stride: usize,
    outputs: usize,
}

impl Block {
    fn new(
        parameters: &mut Parameters,
        name: &str,
        shape: BlockShape,
        variant: Variant,
        drop_branch: f32,
    ) -> Result<Self> {
        let BlockShape {
            inputs,
            expansion,
            kernel,
            stride,
            outputs,
        } = shape;
        let wide = inputs * expansion;
        let silu = Activation::Silu;
        let expand = if expansion > 1 {
            let name = format!("{name}.0");
            let channels = (inputs, wide);
            Some(ConvNorm::pointwise(
                parameters, &name, channels, variant, silu,
            )?)
        } else {
            None
        };
        // The parts after the optional first one are numbered on from it.
        let part = |index: usize| format!("{name}.{}", index + usize::from(expansion > 1));
        let (depthwise, norm) = (format!("{}.0", part(0)), format!("{}.1", part(0)));
        let (narrow, identity) = ((wide, outputs), Activation::Identity);
        let Variant {
            epsilon, padding, ..
        } = variant;
        Ok(Self {
            expand,
            depthwise: DepthwiseConvolution::new(
                parameters, &depthwise, wide, kernel, stride, padding,
            )?,
            depthwise_norm: BatchNorm::new(parameters, &norm, wide, epsilon, silu)?,
            excitation: SqueezeExcitation::new(parameters, &part(1), wide, inputs / 4)?,
            project: ConvNorm::pointwise(parameters, &part(2), narrow, variant, identity)?,
            residual: (stride == 1 && inputs == outputs).then_some(drop_branch),
        })
    }

    fn forward(&self, x: &Traced, mode: &mut Mode) -> Result<Traced> {
        let wide = match &self.expand {
            Some(expand) => &expand.forward(x, mode)?,
            None => x,
        };
        let filtered = self
            .depthwise_norm
            .forward(&self.depthwise.forward(wide)?, mode)?;
        let narrow = self
            .project
            .forward(&self.excitation.forward(&filtered)?, mode)?;
        match self.residual {
            Some(rate) => drop_branch(&narrow, rate, mode)?.add(x),
            None => Ok(narrow),
        }
    }
}
