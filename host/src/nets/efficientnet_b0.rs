//! EfficientNet-B0 (Tan and Le, "EfficientNet", 2019) with the study's three-layer head.

use candle_core::{Result, Tensor};

use super::Mode;
use super::layers::{
    BatchNorm, Convolution, DepthwiseConvolution, Fan, Linear, SqueezeExcitation, drop_branch,
    dropout,
};
use super::ops::{Activation, global_average_pool};
use super::parameters::Parameters;

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

/// Dropout's rate before the head.
const DROPOUT: f32 = 0.2;

/// The network; 4,729,342 trained numbers.
pub struct EfficientNetB0 {
    stem: ConvNorm,
    blocks: Vec<Block>,
    last: ConvNorm,
    head: [Linear; 3],
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
    pub(super) fn new(parameters: &mut Parameters) -> Result<Self> {
        let silu = Activation::Silu;
        let mut channels = 32;
        let stem = ConvNorm::new(parameters, "features.0", (3, channels), 3, 2, silu)?;
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
                blocks.push(Block::new(parameters, &name, shape, rate)?);
                channels = outputs;
            }
        }
        Ok(Self {
            stem,
            blocks,
            last: ConvNorm::new(parameters, "features.8", (channels, 1280), 1, 1, silu)?,
            head: [
                Linear::new(parameters, "classifier.0", 1280, 512)?,
                Linear::new(parameters, "classifier.2", 512, 128)?,
                Linear::new(parameters, "classifier.4", 128, 2)?,
            ],
        })
    }

    pub(super) fn features(&self, x: &Tensor, mode: &mut Mode) -> Result<Tensor> {
        let mut x = self.stem.forward(x, mode)?;
        for block in &self.blocks {
            x = block.forward(&x, mode)?;
        }
        self.last.forward(&x, mode)
    }

    pub(super) fn head(&self, features: &Tensor, mode: &mut Mode) -> Result<Tensor> {
        let pooled = dropout(&global_average_pool(features)?, DROPOUT, mode)?;
        let [first, second, last] = &self.head;
        let hidden = second.forward(&first.forward(&pooled)?.relu()?)?.relu()?;
        last.forward(&hidden)
    }
}

impl ConvNorm {
    fn new(
        parameters: &mut Parameters,
        name: &str,
        channels: (usize, usize),
        kernel: usize,
        stride: usize,
        activation: Activation,
    ) -> Result<Self> {
        let conv = format!("{name}.0");
        Ok(Self {
            conv: Convolution::new(parameters, &conv, channels, kernel, stride, Fan::Out)?,
            norm: BatchNorm::new(parameters, &format!("{name}.1"), channels.1, activation)?,
        })
    }

    fn forward(&self, x: &Tensor, mode: &Mode) -> Result<Tensor> {
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
            Some(ConvNorm::new(
                parameters,
                &name,
                (inputs, wide),
                1,
                1,
                silu,
            )?)
        } else {
            None
        };
        // The parts after the optional first one are numbered on from it.
        let part = |index: usize| format!("{name}.{}", index + usize::from(expansion > 1));
        let depthwise = format!("{}.0", part(0));
        let identity = Activation::Identity;
        Ok(Self {
            expand,
            depthwise: DepthwiseConvolution::new(parameters, &depthwise, wide, kernel, stride)?,
            depthwise_norm: BatchNorm::new(parameters, &format!("{}.1", part(0)), wide, silu)?,
            excitation: SqueezeExcitation::new(parameters, &part(1), wide, inputs / 4)?,
            project: ConvNorm::new(parameters, &part(2), (wide, outputs), 1, 1, identity)?,
            residual: (stride == 1 && inputs == outputs).then_some(drop_branch),
        })
    }

    fn forward(&self, x: &Tensor, mode: &mut Mode) -> Result<Tensor> {
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
            Some(rate) => drop_branch(&narrow, rate, mode)? + x,
            None => Ok(narrow),
        }
    }
}
