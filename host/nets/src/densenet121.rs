//! DenseNet121's features (Huang et al., "Densely Connected Convolutional Networks", 2017).

use candle_core::Result;

use super::layers::{BatchNorm, Convolution, Fan};
use super::ops::{
    self, Activation, DenseFeatures, LayerStatistics, average_pool_2x2, max_pool_3x3,
};
use super::parameters::Parameters;
use crate::autodiff::Traced;
use crate::mode::Mode;
use crate::variant::Variant;

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
    epsilon: f32,
    recompute: bool,
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
            epsilon: variant.epsilon,
            recompute: false,
        })
    }

    /// Computes the middles of the layers again in the backward pass: less memory, more time.
    pub(super) fn recompute(&mut self) {
        self.recompute = true;
    }

    pub(super) fn features(&self, x: &Traced, mode: &Mode) -> Result<Traced> {
        let mut x = self.stem.forward(x)?;
        x = max_pool_3x3(&self.stem_norm.forward(&x, mode)?)?;
        for block in &self.blocks {
            // The operation that takes a block at once measures on one CPU alone.
            let shared = matches!(mode, Mode::Training(training) if training.share.is_some());
            x = if x.device().is_cpu() && !shared {
                block.at_once(&x, mode, self.epsilon, self.recompute)?
            } else {
                block.layer_by_layer(&x, mode)?
            };
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

impl Block {
    /// As one operation.
    fn at_once(&self, x: &Traced, mode: &Mode, epsilon: f32, recompute: bool) -> Result<Traced> {
        let layers: Vec<_> = self.layers.iter().map(DenseLayer::parameters).collect();
        let running = match mode {
            Mode::Training(_) => None,
            Mode::Evaluation => {
                let running = self.layers.iter().map(DenseLayer::running);
                Some(running.collect::<Result<_>>()?)
            }
        };
        let training = running.is_none();
        let (y, batch) = ops::dense_block(x, &layers, running, epsilon, recompute)?;
        if training {
            for (layer, batch) in self.layers.iter().zip(&batch) {
                layer.norm1.learn(&batch.first)?;
                layer.norm2.learn(&batch.second)?;
            }
        }
        Ok(y)
    }

    fn layer_by_layer(&self, x: &Traced, mode: &Mode) -> Result<Traced> {
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
    fn forward(&self, x: &DenseFeatures, mode: &Mode) -> Result<Traced> {
        let narrow = self.conv1.forward(&self.norm1.forward_grown(x)?)?;
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

    use super::super::Training;
    use super::*;

    const EPSILON: f32 = 1e-3;

    /// A block of three layers on maps of odd sizes, and something to read.
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
    enum Way {
        LayerByLayer,
        AtOnce,
        Recomputing,
    }

    /// A block's output and, of a weighted sum of it, the gradients of the input and of all
    /// parameters; then the parameters and statistics it leaves.
    fn everything(way: Way, x: &Tensor, training: bool) -> Vec<Tensor> {
        let variable = Var::from_tensor(x).unwrap();
        let x = Traced::from(&variable);
        let mut parameters = Parameters::new(&Device::Cpu, 5);
        let block = block(&mut parameters);
        let mode = if training {
            Mode::Training(Training::default())
        } else {
            Mode::Evaluation
        };
        let y = match way {
            Way::LayerByLayer => block.layer_by_layer(&x, &mode),
            Way::AtOnce => block.at_once(&x, &mode, EPSILON, false),
            Way::Recomputing => block.at_once(&x, &mode, EPSILON, true),
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
    fn a_block_at_once_is_its_layers_one_by_one() {
        // Groups of one film, of several, and a last group of fewer; strips within a film and over
        // several.
        for (films, height, width) in [(2, 33, 31), (9, 5, 7), (7, 13, 12), (1, 1, 1)] {
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            let count = films * 7 * height * width;
            let x: Vec<f32> = (0..count).map(|_| rng.random_range(-3.0..4.0)).collect();
            let x = Tensor::from_vec(x, (films, 7, height, width), &Device::Cpu).unwrap();
            for training in [true, false] {
                let layered = everything(Way::LayerByLayer, &x, training);
                let kept = with_threads(1, || everything(Way::AtOnce, &x, training));
                let recomputed = with_threads(3, || everything(Way::Recomputing, &x, training));
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
