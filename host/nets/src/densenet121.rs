//! DenseNet121's features (Huang et al., "Densely Connected Convolutional Networks", CVPR 2017) as
//! torchvision builds them.

use candle_core::Result;

use crate::autodiff::Traced;
use crate::layer::{Layer, no_such_layer};
use crate::layers::{BatchNorm, Convolution, Fan};
use crate::mode::Mode;
use crate::ops::{
    self, Activation, DenseFeatures, LayerStatistics, average_pool_2x2, dense_block, max_pool_3x3,
};
use crate::parameters::Parameters;
use crate::precision::Precision;
use crate::variant::Variant;

/// Channels of the first convolution, which has a 7 x 7 window and stride 2; a 3 x 3 max pool at
/// stride 2 follows it.
pub const STEM: usize = 64;

/// Layers of the dense blocks. A transition, which halves channels, height and width, follows each
/// block but the last.
pub const BLOCKS: [usize; 4] = [6, 12, 24, 16];

/// Channels that each layer adds.
pub const GROWTH: usize = 32;

/// Channels that each layer narrows its input to before its 3 x 3 convolution.
pub const BOTTLENECK: usize = 4 * GROWTH;

/// The features; 6,953,856 trained numbers.
pub(super) struct DenseNet121 {
    stem: Convolution,
    stem_norm: BatchNorm,
    blocks: Vec<Block>,
    last_norm: BatchNorm,
    epsilon: f32,
    recompute: bool,
}

/// A dense block with the transition after it.
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
        let mut channels = STEM;
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
            epsilon: variant.epsilon,
            recompute: false,
        })
    }

    /// All layers in their order.
    pub(super) fn layers(&self) -> Vec<Layer> {
        let mut layers = vec![Layer::Stem, Layer::Pool];
        for (number, block) in (1..).zip(&self.blocks) {
            layers.push(Layer::DenseBlock(number));
            if block.transition.is_some() {
                layers.push(Layer::Transition(number));
            }
        }
        layers.push(Layer::Last);
        layers
    }

    /// Computes the narrow maps of the layers again in the backward pass: less memory, more time.
    pub(super) fn recompute(&mut self) {
        self.recompute = true;
    }

    pub(super) fn set_precision(&mut self, precision: Precision) {
        self.stem.set_precision(precision);
        for block in &mut self.blocks {
            for layer in &mut block.layers {
                layer.conv1.set_precision(precision);
                layer.conv2.set_precision(precision);
            }
            if let Some((_, conv)) = &mut block.transition {
                conv.set_precision(precision);
            }
        }
    }

    /// The maps after `layer`, from those before it.
    pub(super) fn forward(&self, layer: Layer, x: &Traced, mode: &Mode) -> Result<Traced> {
        match layer {
            Layer::Stem => self.stem_norm.forward(&self.stem.forward(x)?, mode),
            Layer::Pool => max_pool_3x3(x),
            Layer::DenseBlock(number) => {
                let block = self.block(layer, number)?;
                // The fused operation measures on one CPU alone.
                let shared = matches!(mode, Mode::Training(training) if training.share.is_some());
                if x.device().is_cpu() && !shared {
                    block.forward_fused(x, mode, self.epsilon, self.recompute)
                } else {
                    block.forward_by_layer(x, mode)
                }
            }
            Layer::Transition(number) => match &self.block(layer, number)?.transition {
                Some((norm, conv)) => average_pool_2x2(&conv.forward(&norm.forward(x, mode)?)?),
                None => Err(no_such_layer(layer)),
            },
            Layer::Last => self.last_norm.forward(x, mode),
            Layer::Stage(_) => Err(no_such_layer(layer)),
        }
    }

    /// The block of a number from 1.
    fn block(&self, layer: Layer, number: usize) -> Result<&Block> {
        let block = number.checked_sub(1).and_then(|at| self.blocks.get(at));
        block.ok_or_else(|| no_such_layer(layer))
    }
}

fn pointwise(
    parameters: &mut Parameters,
    name: &str,
    channels: (usize, usize),
) -> Result<Convolution> {
    Convolution::new(parameters, name, channels, 1, 1, Fan::In)
}

impl Block {
    /// The maps after the dense block, computed as one operation.
    fn forward_fused(
        &self,
        x: &Traced,
        mode: &Mode,
        epsilon: f32,
        recompute: bool,
    ) -> Result<Traced> {
        let layers: Vec<_> = self.layers.iter().map(DenseLayer::parameters).collect();
        let running = match mode {
            Mode::Training(_) => None,
            Mode::Evaluation => {
                let running = self.layers.iter().map(DenseLayer::running);
                Some(running.collect::<Result<_>>()?)
            }
        };
        let training = running.is_none();
        let (y, batch) = dense_block(x, &layers, running, epsilon, recompute)?;
        if training {
            for (layer, batch) in self.layers.iter().zip(&batch) {
                layer.norm1.update_running(&batch.first)?;
                layer.norm2.update_running(&batch.second)?;
            }
        }
        Ok(y)
    }

    /// The maps after the dense block, computed layer by layer.
    fn forward_by_layer(&self, x: &Traced, mode: &Mode) -> Result<Traced> {
        let added = self.layers.iter().map(|layer| layer.conv2.weight().dim(0));
        let channels = x.dim(1)? + added.sum::<Result<usize>>()?;
        let mut maps = DenseFeatures::new(x, channels, mode)?;
        for layer in &self.layers {
            maps.push(&layer.forward(&maps, mode)?)?;
        }
        Ok(maps.maps().clone())
    }
}

impl DenseLayer {
    /// The maps that the layer adds to those it reads.
    fn forward(&self, x: &DenseFeatures, mode: &Mode) -> Result<Traced> {
        let narrow = self.conv1.forward(&self.norm1.forward_dense(x)?)?;
        self.conv2.forward(&self.norm2.forward(&narrow, mode)?)
    }

    fn parameters(&self) -> ops::DenseLayer<'_> {
        ops::DenseLayer {
            norm1: self.norm1.affine(),
            conv1: self.conv1.weight(),
            norm2: self.norm2.affine(),
            conv2: self.conv2.weight(),
        }
    }

    fn running(&self) -> Result<LayerStatistics> {
        Ok(LayerStatistics {
            first: self.norm1.running()?,
            second: self.norm2.running()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{D, Device, Tensor, Var};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::mode::Training;

    const EPSILON: f32 = 1e-3;

    /// A block of three layers with few channels.
    fn block(parameters: &mut Parameters) -> Block {
        let relu = |parameters: &mut Parameters, name: &str, channels| {
            BatchNorm::new(parameters, name, channels, EPSILON, Activation::Relu).unwrap()
        };
        let layers = (0..3).map(|index| {
            let channels = 7 + 4 * index;
            DenseLayer {
                norm1: relu(parameters, &format!("{index}.norm1"), channels),
                conv1: pointwise(parameters, &format!("{index}.conv1"), (channels, 10)).unwrap(),
                norm2: relu(parameters, &format!("{index}.norm2"), 10),
                conv2: Convolution::new(
                    parameters,
                    &format!("{index}.conv2"),
                    (10, 4),
                    3,
                    1,
                    Fan::In,
                )
                .unwrap(),
            }
        });
        Block {
            layers: layers.collect(),
            transition: None,
        }
    }

    #[derive(Clone, Copy)]
    enum Method {
        ByLayer,
        Fused,
        Recomputing,
    }

    /// A block's output and, of a weighted sum of it, the gradients of the input and of all
    /// parameters; then the parameters and statistics it leaves.
    fn everything(method: Method, x: &Tensor, training: bool) -> Vec<Tensor> {
        let variable = Var::from_tensor(x).unwrap();
        let x = Traced::from(&variable);
        let mut parameters = Parameters::new(&Device::Cpu, 5);
        let block = block(&mut parameters);
        let mode = if training {
            Mode::Training(Training::default())
        } else {
            Mode::Evaluation
        };
        let y = match method {
            Method::ByLayer => block.forward_by_layer(&x, &mode),
            Method::Fused => block.forward_fused(&x, &mode, EPSILON, false),
            Method::Recomputing => block.forward_fused(&x, &mode, EPSILON, true),
        };
        let y = y.unwrap();
        let weights = Tensor::arange(0f32, y.elem_count() as f32, &Device::Cpu).unwrap();
        let weights = weights.sin().unwrap().reshape(y.shape()).unwrap();
        let gradients = y.backward_from(weights).unwrap();
        let mut all = vec![y.value().clone(), gradients.get(&variable).unwrap().clone()];
        let trained = parameters.trainable();
        all.extend(trained.map(|(_, var)| gradients.get(var).unwrap().clone()));
        let mut left: Vec<_> = parameters.tensors().into_iter().collect();
        left.sort_by(|a, b| a.0.cmp(&b.0));
        all.extend(left.into_iter().map(|(_, tensor)| tensor));
        all
    }

    /// The largest magnitude.
    fn largest(tensor: &Tensor) -> f32 {
        let all = tensor.abs().unwrap().flatten_all().unwrap();
        all.max(D::Minus1).unwrap().to_scalar().unwrap()
    }

    fn with_threads(count: usize, work: impl FnOnce() -> Vec<Tensor> + Send) -> Vec<Tensor> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
        pool.unwrap().install(work)
    }

    #[test]
    fn a_fused_block_is_its_layers_one_by_one() {
        // Groups of one film, of several, and a last group of fewer; strips within a film and over
        // several.
        for (films, height, width) in [(2, 33, 31), (9, 5, 7), (7, 13, 12), (1, 1, 1)] {
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            let count = films * 7 * height * width;
            let x: Vec<f32> = (0..count).map(|_| rng.random_range(-3.0..4.0)).collect();
            let x = Tensor::from_vec(x, (films, 7, height, width), &Device::Cpu).unwrap();
            for training in [true, false] {
                let layered = everything(Method::ByLayer, &x, training);
                let kept = with_threads(1, || everything(Method::Fused, &x, training));
                let recomputed = with_threads(3, || everything(Method::Recomputing, &x, training));
                assert_eq!(layered.len(), kept.len());
                for (index, expected) in layered.iter().enumerate() {
                    let difference = largest(&(&kept[index] - expected).unwrap());
                    assert!(
                        difference <= 2e-5 * largest(expected).max(1.0),
                        "{:?}, training {training}, tensor {index}: {difference}",
                        x.shape()
                    );
                    // To the last bit.
                    let difference = (&kept[index] - &recomputed[index]).unwrap();
                    assert_eq!(largest(&difference), 0.0, "tensor {index}");
                }
            }
        }
    }
}
