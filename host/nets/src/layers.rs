//! The layers that both networks consist of.

use candle_core::{Result, Tensor, Var};
use rand::RngExt;

use crate::autodiff::Traced;
use crate::mode::{Mode, Training};
use crate::ops::{self, Activation, BatchStatistics, DenseFeatures, Padding, Statistics};
use crate::parameters::{Parameters, Start};
use crate::precision::Precision;

/// A dense convolution without bias.
pub struct Convolution {
    weight: Traced,
    stride: usize,
    padding: Padding,
    precision: Precision,
}

/// The connections whose number scales a convolution's initial weights.
#[derive(Clone, Copy)]
pub enum Fan {
    /// Inputs summed into one output (DenseNet).
    In,
    /// Outputs fed by one input (EfficientNet).
    Out,
}

impl Convolution {
    /// A convolution of `inputs` to `outputs` channels with a `kernel x kernel` window, padded on
    /// every side.
    ///
    /// # Errors
    /// Candle's, if the weight is there with another shape.
    pub fn new(
        parameters: &mut Parameters,
        name: &str,
        (inputs, outputs): (usize, usize),
        kernel: usize,
        stride: usize,
        fan: Fan,
    ) -> Result<Self> {
        let fan = kernel
            * kernel
            * if matches!(fan, Fan::In) {
                inputs
            } else {
                outputs
            };
        let shape = [outputs, inputs, kernel, kernel];
        let weight =
            parameters.parameter(&format!("{name}.weight"), &shape, Start::Kaiming { fan })?;
        Ok(Self {
            weight,
            stride,
            padding: Padding::Symmetric,
            precision: Precision::F32,
        })
    }

    /// The kernel, `outputs x inputs x kernel x kernel`.
    pub fn weight(&self) -> &Traced {
        &self.weight
    }

    /// The same convolution with another padding.
    pub fn padded(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    /// Allows a GPU to round factors to TF32, or forbids it.
    pub fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
    }

    /// Convolves `N x inputs x H x W` to `N x outputs x H/stride x W/stride`.
    ///
    /// # Errors
    /// Candle's, if `x` has another shape.
    pub fn forward(&self, x: &Traced) -> Result<Traced> {
        let weight = self.weight.to_dtype(x.dtype())?;
        ops::conv2d(x, &weight, self.stride, self.padding, self.precision)
    }
}

/// A depthwise convolution without bias.
pub struct DepthwiseConvolution {
    weight: Traced,
    stride: usize,
    padding: Padding,
}

impl DepthwiseConvolution {
    /// A convolution with a `kernel x kernel` window for each of `channels`.
    ///
    /// # Errors
    /// Candle's, if the weight is there with another shape.
    pub fn new(
        parameters: &mut Parameters,
        name: &str,
        channels: usize,
        kernel: usize,
        stride: usize,
        padding: Padding,
    ) -> Result<Self> {
        let shape = [channels, 1, kernel, kernel];
        let start = Start::Kaiming {
            fan: kernel * kernel,
        };
        let weight = parameters.parameter(&format!("{name}.weight"), &shape, start)?;
        Ok(Self {
            weight,
            stride,
            padding,
        })
    }

    /// Convolves `N x channels x H x W` to `N x channels x H/stride x W/stride`.
    ///
    /// # Errors
    /// Candle's, if `x` has another shape.
    pub fn forward(&self, x: &Traced) -> Result<Traced> {
        let weight = self.weight.to_dtype(x.dtype())?;
        ops::depthwise_conv2d(x, &weight, self.stride, self.padding)
    }
}

/// Batch norm with the activation that follows it.
pub struct BatchNorm {
    gamma: Traced,
    beta: Traced,
    running_mean: Var,
    running_variance: Var,
    epsilon: f32,
    activation: Activation,
}

/// The share of a batch's statistics in the running ones at each step (torchvision's default).
const MOMENTUM: f64 = 0.1;

impl BatchNorm {
    /// A batch norm of `channels` channels, with `epsilon` under the root.
    ///
    /// # Errors
    /// Candle's, if a tensor is there with another shape.
    pub fn new(
        parameters: &mut Parameters,
        name: &str,
        channels: usize,
        epsilon: f32,
        activation: Activation,
    ) -> Result<Self> {
        let shape = [channels];
        Ok(Self {
            gamma: parameters.parameter(&format!("{name}.weight"), &shape, Start::Constant(1.0))?,
            beta: parameters.parameter(&format!("{name}.bias"), &shape, Start::Constant(0.0))?,
            running_mean: parameters.statistic(&format!("{name}.running_mean"), &shape, 0.0)?,
            running_variance: parameters.statistic(&format!("{name}.running_var"), &shape, 1.0)?,
            epsilon,
            activation,
        })
    }

    /// Normalises `N x channels x H x W`. In training by the batch's statistics, which also update
    /// the running ones (with the unbiased variance, as PyTorch does).
    ///
    /// # Errors
    /// Candle's, if `x` has another shape.
    pub fn forward(&self, x: &Traced, mode: &Mode) -> Result<Traced> {
        let statistics = match mode {
            Mode::Training(training) => {
                Statistics::Batch(ops::measure(x.value(), training.share)?, training.share)
            }
            Mode::Evaluation => Statistics::Running(self.running()?),
        };
        self.normalise_with(x, statistics)
    }

    /// Normalises the maps of a dense block, whose channels were measured as they were added.
    ///
    /// # Errors
    /// Candle's, if they have other channels.
    pub fn forward_dense(&self, x: &DenseFeatures) -> Result<Traced> {
        let statistics = match x.statistics()? {
            Some(batch) => batch,
            None => Statistics::Running(self.running()?),
        };
        self.normalise_with(x.maps(), statistics)
    }

    fn normalise_with(&self, x: &Traced, statistics: Statistics) -> Result<Traced> {
        if let Statistics::Batch(batch, _) = &statistics {
            self.update_running(batch)?;
        }
        let (gamma, beta) = (&self.gamma, &self.beta);
        ops::batch_norm(x, gamma, beta, statistics, self.epsilon, self.activation)
    }

    /// Scale and shift of each channel.
    pub fn affine(&self) -> [&Traced; 2] {
        [&self.gamma, &self.beta]
    }

    /// The running statistics.
    ///
    /// # Errors
    /// Candle's.
    pub fn running(&self) -> Result<BatchStatistics> {
        Ok(BatchStatistics {
            mean: self.running_mean.detach(),
            variance: self.running_variance.detach(),
            count: 1,
        })
    }

    /// Updates the running statistics by a batch's.
    ///
    /// # Errors
    /// Candle's, if the statistics are of other channels.
    pub fn update_running(&self, batch: &BatchStatistics) -> Result<()> {
        let unbiased = batch.count as f64 / (batch.count.max(2) - 1) as f64;
        update_average(&self.running_mean, &batch.mean, 1.0)?;
        update_average(&self.running_variance, &batch.variance, unbiased)
    }
}

fn update_average(running: &Var, batch: &Tensor, scale: f64) -> Result<()> {
    let average = ops::Average {
        decay: 1.0 - MOMENTUM,
        share: MOMENTUM * scale,
    };
    running.inplace_op2(batch, &ops::RunningAverage::of(average))
}

/// A dense layer.
pub struct Linear {
    weight: Traced,
    bias: Traced,
}

impl Linear {
    /// A layer of `inputs` to `outputs`, initialised as PyTorch does it.
    ///
    /// # Errors
    /// Candle's, if a tensor is there with another shape.
    pub fn new(
        parameters: &mut Parameters,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self> {
        let start = Start::Uniform {
            bound: 1.0 / (inputs as f32).sqrt(),
        };
        Ok(Self {
            weight: parameters.parameter(&format!("{name}.weight"), &[outputs, inputs], start)?,
            bias: parameters.parameter(&format!("{name}.bias"), &[outputs], start)?,
        })
    }

    /// A layer whose weight is initialised and stored as a 1 x 1 convolution's:
    /// `outputs x inputs x 1 x 1`.
    ///
    /// # Errors
    /// Candle's, if a tensor is there with another shape.
    pub fn pointwise(
        parameters: &mut Parameters,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self> {
        let start = Start::Kaiming { fan: outputs };
        let shape = [outputs, inputs, 1, 1];
        let constant = Start::Constant(0.0);
        Ok(Self {
            weight: parameters.parameter(&format!("{name}.weight"), &shape, start)?,
            bias: parameters.parameter(&format!("{name}.bias"), &[outputs], constant)?,
        })
    }

    /// Maps `N x inputs` to `N x outputs`.
    ///
    /// # Errors
    /// Candle's, if `x` has another shape.
    pub fn forward(&self, x: &Traced) -> Result<Traced> {
        ops::linear(x, &self.weight, &self.bias)
    }
}

/// Squeeze and excitation (Hu et al., 2018): each channel scaled by a gate computed from all
/// channels' means.
pub struct SqueezeExcitation {
    squeeze: Linear,
    excite: Linear,
}

impl SqueezeExcitation {
    /// A gate for `channels` channels through `squeezed` units.
    ///
    /// # Errors
    /// Candle's, if a tensor is there with another shape.
    pub fn new(
        parameters: &mut Parameters,
        name: &str,
        channels: usize,
        squeezed: usize,
    ) -> Result<Self> {
        Ok(Self {
            squeeze: Linear::pointwise(parameters, &format!("{name}.fc1"), channels, squeezed)?,
            excite: Linear::pointwise(parameters, &format!("{name}.fc2"), squeezed, channels)?,
        })
    }

    /// Scales each channel of `N x channels x H x W` by its gate between 0 and 1.
    ///
    /// # Errors
    /// Candle's, if `x` has another shape.
    pub fn forward(&self, x: &Traced) -> Result<Traced> {
        let squeezed = self.squeeze.forward(&ops::global_average_pool(x)?)?;
        let gate = self.excite.forward(&ops::silu(&squeezed)?)?;
        ops::scale_channels(x, &ops::sigmoid(&gate)?)
    }
}

/// Zeroes each element with probability `rate` in training and scales the rest by `1 / (1 - rate)`
/// (Srivastava et al., 2014). Does nothing in evaluation.
///
/// # Errors
/// Candle's.
pub fn dropout(x: &Traced, rate: f32, mode: &mut Mode) -> Result<Traced> {
    match mode {
        Mode::Training(Training {
            drops: Some(rng), ..
        }) if rate > 0.0 => {
            let kept = 1.0 / (1.0 - rate);
            let mask: Vec<f32> = (0..x.elem_count())
                .map(|_| {
                    if rng.random::<f32>() < rate {
                        0.0
                    } else {
                        kept
                    }
                })
                .collect();
            ops::mask(x, Tensor::from_vec(mask, x.shape(), x.device())?)
        }
        _ => Ok(x.clone()),
    }
}

/// Drops whole films' branches with probability `rate` in training and scales the rest by
/// `1 / (1 - rate)` (stochastic depth, Huang et al., 2016). Does nothing in evaluation.
///
/// # Errors
/// Candle's, if `x` is not 4-d.
pub fn drop_branch(x: &Traced, rate: f32, mode: &mut Mode) -> Result<Traced> {
    match mode {
        Mode::Training(Training {
            drops: Some(rng), ..
        }) if rate > 0.0 => {
            let (films, channels, _, _) = x.dims4()?;
            let kept = 1.0 / (1.0 - rate);
            let scale: Vec<f32> = (0..films)
                .map(|_| {
                    if rng.random::<f32>() < rate {
                        0.0
                    } else {
                        kept
                    }
                })
                .flat_map(|scale| std::iter::repeat_n(scale, channels))
                .collect();
            let scale = Tensor::from_vec(scale, (films, channels), x.device())?;
            ops::scale_channels(x, &Traced::from(&scale))
        }
        _ => Ok(x.clone()),
    }
}
