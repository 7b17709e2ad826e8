//! Batch norm fused with the activation that follows it.
//!
//! Ioffe and Szegedy, "Batch Normalization" (2015). The activation is fused because the pair is
//! bound by memory, not arithmetic: one pass over the maps instead of two, and one map fewer kept
//! for the backward pass.

use std::sync::{Arc, OnceLock};

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::cuda;
use super::vectorised::vectorised;
use super::{Traced, elements};
use crate::devices::Rank;
use crate::mode::Share;

/// What is applied after the normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// `max(z, 0)`.
    Relu,
    /// `z / (1 + exp(-z))`, also called swish.
    Silu,
}

/// Mean and variance of each channel, over films and places, where the network is computed.
#[derive(Clone, Debug)]
pub struct BatchStatistics {
    /// One mean a channel.
    pub mean: Tensor,
    /// One biased variance a channel.
    pub variance: Tensor,
    /// Elements that each was taken over.
    pub count: usize,
}

/// Which statistics a batch norm uses.
#[derive(Clone)]
pub enum Statistics<'a> {
    /// These, as constants (evaluation).
    Running(BatchStatistics),
    /// The batch's own as [`measure`] gives them, through which the gradient also flows (training).
    Batch(BatchStatistics, Option<Share<'a>>),
}

/// The same as numbers.
#[derive(Clone, Debug)]
pub(super) struct ChannelStatistics {
    pub mean: Vec<f32>,
    pub variance: Vec<f32>,
    pub count: usize,
}

impl BatchStatistics {
    /// Those of the whole batch, from those of this device's `films` of it.
    fn of_all(self, films: usize, Share { rank, films: all }: Share) -> Result<Self> {
        let weight = films as f64 / all as f64;
        let mean = rank.sum(&(&self.mean * weight)?)?;
        let between = (&self.mean - &mean)?.sqr()?;
        let variance = rank.sum(&((&self.variance + between)? * weight)?)?;
        Ok(Self {
            mean,
            variance,
            count: self.count / films * all,
        })
    }

    pub(super) fn numbers(&self) -> Result<ChannelStatistics> {
        Ok(ChannelStatistics {
            mean: self.mean.to_vec1()?,
            variance: self.variance.to_vec1()?,
            count: self.count,
        })
    }
}

impl ChannelStatistics {
    pub fn tensors(self) -> Result<BatchStatistics> {
        Ok(BatchStatistics {
            mean: Tensor::new(self.mean, &Device::Cpu)?,
            variance: Tensor::new(self.variance, &Device::Cpu)?,
            count: self.count,
        })
    }
}

/// The statistics of a batch, `N x C x H x W`; where `x` is a share of it, the whole batch's.
///
/// # Errors
/// If `x` has another shape, or a device that has a share of the batch has left.
pub fn measure(x: &Tensor, share: Option<Share>) -> Result<BatchStatistics> {
    let both = x.contiguous()?.apply_op1_no_bwd(&Measure)?;
    let own = BatchStatistics {
        mean: both.get(0)?,
        variance: both.get(1)?,
        count: x.elem_count() / both.dim(1)?,
    };
    match share {
        None => Ok(own),
        Some(share) => own.of_all(x.dim(0)?, share),
    }
}

/// `activation(gamma (x - mean) / sqrt(variance + epsilon) + beta)` for each channel of `x`
/// (`N x C x H x W`).
///
/// # Errors
/// If the shapes do not fit, or a device that has a share of the batch has left.
pub fn batch_norm(
    x: &Traced,
    gamma: &Traced,
    beta: &Traced,
    statistics: Statistics,
    epsilon: f32,
    activation: Activation,
) -> Result<Traced> {
    let maps = films_in_order(x)?;
    let (used, held, share) = match statistics {
        Statistics::Running(running) => (running, true, None),
        Statistics::Batch(batch, share) => (batch, false, share),
    };
    let op = BatchNorm {
        used,
        held,
        rank: share.map(|share| Arc::clone(share.rank)),
        gamma: gamma.value().clone(),
        beta: beta.value().clone(),
        epsilon,
        activation,
    };
    let y = maps.apply_op1_no_bwd(&op)?;
    Ok(Traced::step(&[x, gamma, beta], y, move |gradient, _| {
        let [of_maps, of_both] = op.gradients(&maps, &gradient.contiguous()?)?;
        Ok(vec![
            Some(of_maps),
            Some(of_both.get(0)?),
            Some(of_both.get(1)?),
        ])
    }))
}

/// The maps as the operation takes them: each film's in order; a GPU also takes films that lie
/// apart.
fn films_in_order(x: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() && cuda::film_step(x.layout()).is_some() {
        return Ok(x.clone());
    }
    x.contiguous()
}

/// Mean and biased variance of each channel, `2 x C`.
struct Measure;

impl CustomOp1 for Measure {
    fn name(&self) -> &'static str {
        "batch statistics"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (films, channels, map) = sizes(layout)?;
        let x = elements(x, layout)?;
        let ChannelStatistics { mean, variance, .. } =
            statistics(channels, films, |channel, film| {
                &x[(film * channels + channel) * map..][..map]
            });
        let both = [mean, variance].concat();
        Ok((CpuStorage::F32(both), Shape::from((2, channels))))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::batch_norm::statistics(x, layout)
    }
}

/// Films, channels and places of maps.
pub(super) fn sizes(layout: &Layout) -> Result<(usize, usize, usize)> {
    match layout.dims() {
        &[films, channels, height, width] if layout.shape().elem_count() > 0 => {
            Ok((films, channels, height * width))
        }
        other => bail!("batch norm needs a 4-d input, got {other:?}"),
    }
}

#[derive(Clone)]
struct BatchNorm {
    used: BatchStatistics,
    /// Whether the statistics are constants.
    held: bool,
    /// This device, where the statistics are of a batch that others have shares of.
    rank: Option<Arc<Rank>>,
    gamma: Tensor,
    beta: Tensor,
    epsilon: f32,
    activation: Activation,
}

impl BatchNorm {
    /// The gradients of gamma and beta, `2 x C`, over the whole batch.
    fn over_all(&self, gradients: &Tensor) -> Result<Tensor> {
        match &self.rank {
            Some(rank) => rank.sum(gradients),
            None => Ok(gradients.clone()),
        }
    }

    /// The statistics, gamma and beta as numbers.
    fn numbers(&self) -> Result<(ChannelStatistics, Vec<f32>, Vec<f32>)> {
        let (gamma, beta) = (self.gamma.to_vec1()?, self.beta.to_vec1()?);
        Ok((self.used.numbers()?, gamma, beta))
    }

    /// The gradient of the maps, and those of gamma and beta, `2 x C`.
    fn gradients(&self, x: &Tensor, y_gradient: &Tensor) -> Result<[Tensor; 2]> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let share = match self.held {
                true => 0.0,
                false => 1.0 / self.used.count as f32,
            };
            let over_all = |both: &Tensor| self.over_all(both);
            return cuda::batch_norm::gradients([x, y_gradient], &self.on_cuda(), over_all, share);
        }
        let op = Gradient {
            forward: self,
            parameters: OnceLock::new(),
        };
        let x_gradient = x.apply_op2_no_bwd(y_gradient, &op)?;
        match op.parameters.into_inner() {
            Some(both) => Ok([x_gradient, both]),
            None => bail!("batch norm's gradient left no parameter gradients"),
        }
    }

    #[cfg(feature = "cuda")]
    fn on_cuda(&self) -> cuda::batch_norm::Normalisation<'_> {
        cuda::batch_norm::Normalisation {
            gamma: &self.gamma,
            beta: &self.beta,
            mean: &self.used.mean,
            variance: &self.used.variance,
            epsilon: self.epsilon,
            activation: self.activation,
        }
    }
}

/// Planes a thread takes at once: the smallest maps are too little work for one task.
const PLANES_AT_ONCE: usize = 16;

impl CustomOp1 for BatchNorm {
    fn name(&self) -> &'static str {
        "batch norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, x_layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, channels, map) = sizes(x_layout)?;
        let x = elements(x, x_layout)?;
        let (used, gamma, beta) = self.numbers()?;
        let affine = Affine::new(&used, self.epsilon, &gamma, &beta)?;
        if affine.scale.len() != channels {
            bail!("batch norm of {channels} channels was given parameters of other sizes");
        }
        let mut y = vec![0.0; x.len()];
        y.par_chunks_mut(map)
            .zip(x.par_chunks(map))
            .enumerate()
            .with_min_len(PLANES_AT_ONCE)
            .for_each(|(plane, (y, x))| {
                let c = plane % channels;
                apply(self.activation, x, affine.scale[c], affine.shift[c], y);
            });
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, x_layout: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::batch_norm::forward(x, x_layout, &self.on_cuda())
    }
}

/// The gradient of the input; the parameters' gradients (`2 x C`), sums of the same pass, are left
/// in `parameters`.
struct Gradient<'a> {
    forward: &'a BatchNorm,
    parameters: OnceLock<Tensor>,
}

impl CustomOp2 for Gradient<'_> {
    fn name(&self) -> &'static str {
        "batch norm gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        y_gradient: &CpuStorage,
        y_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, channels, map) = sizes(x_layout)?;
        let x = elements(x, x_layout)?;
        let y_gradient = elements(y_gradient, y_layout)?;
        let (used, gamma, beta) = self.forward.numbers()?;
        let affine = Affine::new(&used, self.forward.epsilon, &gamma, &beta)?;
        let activation = self.forward.activation;

        // First the gradient before the activation, and per plane its sum and its product with x.
        let mut gradient = vec![0.0; x.len()];
        let sums: Vec<(f32, f32)> = gradient
            .par_chunks_mut(map)
            .zip(x.par_chunks(map).zip(y_gradient.par_chunks(map)))
            .enumerate()
            .with_min_len(PLANES_AT_ONCE)
            .map(|(plane, (gradient, (x, y_gradient)))| {
                let c = plane % channels;
                let (scale, shift) = (affine.scale[c], affine.shift[c]);
                before_activation(activation, x, y_gradient, scale, shift, gradient);
                sum_with_product(gradient, x, affine.mean[c])
            })
            .collect();
        let mut gamma_gradient = vec![0.0f64; channels];
        let mut beta_gradient = vec![0.0f64; channels];
        for (plane, (sum, product)) in sums.into_iter().enumerate() {
            beta_gradient[plane % channels] += f64::from(sum);
            gamma_gradient[plane % channels] += f64::from(product);
        }
        for (gradient, inverse) in gamma_gradient.iter_mut().zip(&affine.inverse) {
            *gradient *= f64::from(*inverse);
        }

        // What flows through the statistics are the sums over the whole batch.
        let both = gamma_gradient
            .iter()
            .chain(&beta_gradient)
            .map(|g| *g as f32);
        let both = Tensor::from_iter(both, &Device::Cpu)?.reshape((2, channels))?;
        let over_all = self
            .forward
            .over_all(&both)?
            .flatten_all()?
            .to_vec1::<f32>()?;
        self.parameters.get_or_init(|| both);
        let count = used.count as f32;
        gradient
            .par_chunks_mut(map)
            .zip(x.par_chunks(map))
            .enumerate()
            .with_min_len(PLANES_AT_ONCE)
            .for_each(|(plane, (gradient, x))| {
                let c = plane % channels;
                // dx = scale (dz - mean(dz) - normalised x mean(dz normalised x)), the two means
                // being the way through the batch's own statistics.
                let (slope, offset) = if self.forward.held {
                    (0.0, 0.0)
                } else {
                    let slope = over_all[c] / count * affine.inverse[c];
                    let mean = over_all[channels + c] / count;
                    (slope, mean - slope * affine.mean[c])
                };
                through_statistics(gradient, x, affine.scale[c], slope, offset);
            });
        Ok((CpuStorage::F32(gradient), x_layout.shape().clone()))
    }
}

/// A normalisation as `x scale + shift`, for each channel.
pub(super) struct Affine<'a> {
    pub mean: &'a [f32],
    /// One over the deviation.
    pub inverse: Vec<f32>,
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
}

impl<'a> Affine<'a> {
    /// # Errors
    /// If the sizes differ.
    pub fn new(
        statistics: &'a ChannelStatistics,
        epsilon: f32,
        gamma: &[f32],
        beta: &[f32],
    ) -> Result<Self> {
        let ChannelStatistics { mean, variance, .. } = statistics;
        let channels = gamma.len();
        if [beta.len(), mean.len(), variance.len()] != [channels; 3] {
            bail!("batch norm of {channels} channels was given parameters of other sizes");
        }
        let inverse: Vec<f32> = variance
            .iter()
            .map(|variance| 1.0 / (variance + epsilon).sqrt())
            .collect();
        let scale: Vec<f32> = gamma.iter().zip(&inverse).map(|(g, i)| g * i).collect();
        let shift = beta
            .iter()
            .zip(mean.iter().zip(&scale))
            .map(|(beta, (mean, scale))| beta - mean * scale)
            .collect();
        Ok(Self {
            mean,
            inverse,
            scale,
            shift,
        })
    }
}

/// Mean and variance of each channel, over `planes` parts that `plane` gives for a channel and a
/// number. Two passes, as the difference of large squares would lose the variance of a bright
/// channel.
pub(super) fn statistics<'a>(
    channels: usize,
    planes: usize,
    plane: impl Fn(usize, usize) -> &'a [f32] + Sync,
) -> ChannelStatistics {
    let planes_of = |channel| (0..planes).map(move |number| (channel, number));
    let count = planes_of(0).map(|(c, n)| plane(c, n).len()).sum();
    let (mean, variance) = (0..channels)
        .into_par_iter()
        .map(|channel| {
            let total = |part: &dyn Fn(&[f32]) -> f32| -> f32 {
                let sums = planes_of(channel).map(|(c, n)| f64::from(part(plane(c, n))));
                (sums.sum::<f64>() / count as f64) as f32
            };
            let mean = total(&sum);
            (mean, total(&|x| sum_of_squares(x, mean)))
        })
        .unzip();
    ChannelStatistics {
        mean,
        variance,
        count,
    }
}

/// Independent partial sums, which let the compiler use vectors and lose less to rounding.
pub(super) const LANES: usize = 32;

vectorised! {
    fn sum(x: &[f32]) -> f32 {
        let (blocks, tail) = x.as_chunks::<LANES>();
        let mut lanes = [0.0f32; LANES];
        for block in blocks {
            for lane in 0..LANES {
                lanes[lane] += block[lane];
            }
        }
        lanes.iter().sum::<f32>() + tail.iter().sum::<f32>()
    }
}

vectorised! {
    fn sum_of_squares(x: &[f32], mean: f32) -> f32 {
        let (blocks, tail) = x.as_chunks::<LANES>();
        let mut lanes = [0.0f32; LANES];
        for block in blocks {
            for lane in 0..LANES {
                let centred = block[lane] - mean;
                lanes[lane] += centred * centred;
            }
        }
        lanes.iter().sum::<f32>() + tail.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>()
    }
}

vectorised! {
    /// The sum of `gradient`, and of its products with `x - mean`.
    pub(super) fn sum_with_product(gradient: &[f32], x: &[f32], mean: f32) -> (f32, f32) {
        let (gradients, gradient_tail) = gradient.as_chunks::<LANES>();
        let (blocks, tail) = x.as_chunks::<LANES>();
        let (mut sums, mut products) = ([0.0f32; LANES], [0.0f32; LANES]);
        for (gradient, x) in gradients.iter().zip(blocks) {
            for lane in 0..LANES {
                sums[lane] += gradient[lane];
                products[lane] += gradient[lane] * (x[lane] - mean);
            }
        }
        let mut sum: f32 = sums.iter().sum();
        let mut product: f32 = products.iter().sum();
        for (gradient, x) in gradient_tail.iter().zip(tail) {
            sum += gradient;
            product += gradient * (x - mean);
        }
        (sum, product)
    }
}

/// ReLU; not-a-number stays what it is, so that a network that is lost shows it in its loss.
#[inline(always)]
pub(super) fn rectified(z: f32) -> f32 {
    if z < 0.0 { 0.0 } else { z }
}

vectorised! {
    /// `y = activation(x scale + shift)`.
    pub(super) fn apply(activation: Activation, x: &[f32], scale: f32, shift: f32, y: &mut [f32]) {
        match activation {
            Activation::Identity => {
                for (y, x) in y.iter_mut().zip(x) {
                    *y = x * scale + shift;
                }
            }
            Activation::Relu => {
                for (y, x) in y.iter_mut().zip(x) {
                    *y = rectified(x * scale + shift);
                }
            }
            Activation::Silu => {
                for (y, x) in y.iter_mut().zip(x) {
                    let z = x * scale + shift;
                    *y = z * logistic(z);
                }
            }
        }
    }
}

vectorised! {
    /// The gradient before the activation of [`apply`], from the one after it.
    fn before_activation(
        activation: Activation,
        x: &[f32],
        y_gradient: &[f32],
        scale: f32,
        shift: f32,
        gradient: &mut [f32],
    ) {
        match activation {
            Activation::Identity => gradient.copy_from_slice(y_gradient),
            Activation::Relu => {
                for ((gradient, x), y) in gradient.iter_mut().zip(x).zip(y_gradient) {
                    *gradient = if x * scale + shift > 0.0 { *y } else { 0.0 };
                }
            }
            Activation::Silu => {
                for ((gradient, x), y) in gradient.iter_mut().zip(x).zip(y_gradient) {
                    let z = x * scale + shift;
                    let s = logistic(z);
                    *gradient = y * s * (1.0 + z * (1.0 - s));
                }
            }
        }
    }
}

vectorised! {
    /// `gradient = scale (gradient - (x slope + offset))`.
    pub(super) fn through_statistics(gradient: &mut [f32], x: &[f32], scale: f32, slope: f32, offset: f32) {
        for (gradient, x) in gradient.iter_mut().zip(x) {
            *gradient = scale * (*gradient - (x * slope + offset));
        }
    }
}

/// `1 / (1 + exp(-z))`, branch-free so that it vectorises.
///
/// `exp` is reduced to `2^k 2^f`, `|f| <= 1/2`, with the Taylor polynomial of degree 7 for `2^f`:
/// relative error below 2e-7 in `f32`.
#[inline(always)]
fn logistic(z: f32) -> f32 {
    // Adding and taking away 1.5 * 2^23 rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let t = (-z).clamp(-87.0, 87.0) * std::f32::consts::LOG2_E;
    let rounded = t + ROUND;
    let whole = rounded - ROUND;
    let f = (t - whole) * std::f32::consts::LN_2;
    let mut power = 1.0 / 5040.0;
    for coefficient in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        power = power * f + coefficient;
    }
    // The integer stands in the lowest bits of `rounded`; in the exponent it makes 2^k.
    let scale = f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
    1.0 / (1.0 + power * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logistic_agrees_with_the_library_function() {
        for i in -20_000..=20_000 {
            let z = i as f32 * 0.005;
            let exact = 1.0 / (1.0 + (-f64::from(z)).exp());
            let relative = (f64::from(logistic(z)) - exact).abs() / exact.max(1e-30);
            // Past 40 the argument itself, rounded to f32, carries the error.
            assert!(
                relative < 1e-6 * f64::from(z.abs().max(1.0)),
                "at {z}: {relative}"
            );
        }
    }
}
