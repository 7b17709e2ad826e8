//! EfficientNet-B0's features (Tan and Le, "EfficientNet", ICML 2019, table 1) as torchvision
//! builds them.

use candle_core::Result;

use crate::autodiff::Traced;
use crate::layer::{Layer, no_such_layer};
use crate::layers::{
    BatchNorm, Convolution, DepthwiseConvolution, Fan, SqueezeExcitation, drop_branch,
};
use crate::mode::Mode;
use crate::ops::Activation;
use crate::parameters::Parameters;
use crate::precision::Precision;
use crate::variant::Variant;

/// A stage of inverted bottleneck blocks.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// The factor by which a block widens its channels.
    pub expansion: usize,
    /// Side of the depthwise window.
    pub kernel: usize,
    /// Stride of the first block; the others have 1.
    pub stride: usize,
    /// Channels of the outputs.
    pub outputs: usize,
    /// Number of blocks.
    pub blocks: usize,
}

const fn stage(
    expansion: usize,
    kernel: usize,
    stride: usize,
    outputs: usize,
    blocks: usize,
) -> Stage {
    Stage {
        expansion,
        kernel,
        stride,
        outputs,
        blocks,
    }
}

/// The seven stages.
pub const STAGES: [Stage; 7] = [
    stage(1, 3, 1, 16, 1),
    stage(6, 3, 2, 24, 2),
    stage(6, 5, 2, 40, 2),
    stage(6, 3, 2, 80, 3),
    stage(6, 5, 1, 112, 3),
    stage(6, 5, 2, 192, 4),
    stage(6, 3, 1, 320, 1),
];

/// Channels of the first convolution, which has a 3 x 3 window and stride 2.
pub const STEM: usize = 32;

/// Channels of the last convolution, which has a 1 x 1 window.
pub const LAST: usize = 1280;

/// The factor by which squeeze and excitation narrows the channels that a block reads.
pub const SQUEEZE: usize = 4;

/// Stochastic depth's rate at the last block; it grows linearly from 0 at the first.
const DROP_BRANCH: f32 = 0.2;

/// The features; 4,007,548 trained numbers.
pub(super) struct EfficientNetB0 {
    stem: ConvNorm,
    /// The blocks of each stage.
    stages: Vec<Vec<Block>>,
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
        let mut channels = STEM;
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
        let total: usize = STAGES.iter().map(|stage| stage.blocks).sum();
        let mut before = 0;
        let mut stages = Vec::new();
        for (number, stage) in (1..).zip(STAGES) {
            let mut blocks = Vec::new();
            for index in 0..stage.blocks {
                let shape = BlockShape {
                    inputs: channels,
                    stride: if index == 0 { stage.stride } else { 1 },
                    stage,
                };
                let name = format!("features.{number}.{index}.block");
                let rate = DROP_BRANCH * before as f32 / total as f32;
                blocks.push(Block::new(parameters, &name, shape, variant, rate)?);
                channels = stage.outputs;
                before += 1;
            }
            stages.push(blocks);
        }
        let last = (channels, LAST);
        Ok(Self {
            stem,
            stages,
            last: ConvNorm::pointwise(parameters, "features.8", last, variant, Activation::Silu)?,
        })
    }

    /// All layers in their order.
    pub(super) fn layers(&self) -> Vec<Layer> {
        let stages = (1..=self.stages.len()).map(Layer::Stage);
        let first = std::iter::once(Layer::Stem);
        first.chain(stages).chain([Layer::Last]).collect()
    }

    pub(super) fn set_precision(&mut self, precision: Precision) {
        self.stem.conv.set_precision(precision);
        self.last.conv.set_precision(precision);
        for block in self.stages.iter_mut().flatten() {
            if let Some(expand) = &mut block.expand {
                expand.conv.set_precision(precision);
            }
            block.project.conv.set_precision(precision);
        }
    }

    /// The maps after `layer`, from those before it.
    pub(super) fn forward(&self, layer: Layer, x: &Traced, mode: &mut Mode) -> Result<Traced> {
        match layer {
            Layer::Stem => self.stem.forward(x, mode),
            Layer::Stage(number) => {
                let stage = number.checked_sub(1).and_then(|at| self.stages.get(at));
                let mut blocks = stage.ok_or_else(|| no_such_layer(layer))?.iter();
                blocks.try_fold(x.clone(), |x, block| block.forward(&x, mode))
            }
            Layer::Last => self.last.forward(x, mode),
            Layer::Pool | Layer::DenseBlock(_) | Layer::Transition(_) => Err(no_such_layer(layer)),
        }
    }
}

impl ConvNorm {
    /// A 1 x 1 convolution with its batch norm and activation.
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

/// The sizes of one block.
struct BlockShape {
    inputs: usize,
    /// The block's own, where the stage's is the first block's.
    stride: usize,
    stage: Stage,
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
            stride,
            stage,
        } = shape;
        let Stage {
            expansion,
            kernel,
            outputs,
            ..
        } = stage;
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
            excitation: SqueezeExcitation::new(parameters, &part(1), wide, inputs / SQUEEZE)?,
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
