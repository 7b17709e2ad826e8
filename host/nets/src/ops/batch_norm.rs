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

use super::activation::{Activation, apply, before_activation};
use super::affine::{Affine, sum_with_product, through_statistics};
#[cfg(feature = "cuda")]
use super::cuda;
use super::map_sizes::map_sizes;
use super::statistics::{BatchStatistics, ChannelStatistics, Statistics};
use super::storage::elements;
use crate::autodiff::Traced;
use crate::devices::Rank;

/// `activation(gamma (x - mean) / sqrt(variance + epsilon) + beta)` for each channel of `x`
/// (`N x C x H x W`).
///
/// # Errors
/// If the shapes do not fit, or a device that has a share of the batch has stopped.
pub fn batch_norm(
    x: &Traced,
    gamma: &Traced,
    beta: &Traced,
    statistics: Statistics,
    epsilon: f32,
    activation: Activation,
) -> Result<Traced> {
    let maps = films_in_order(x.value())?;
    let (used, constant, share) = match statistics {
        Statistics::Running(running) => (running, true, None),
        Statistics::Batch(batch, share) => (batch, false, share),
    };
    let op = BatchNorm {
        used,
        constant,
        rank: share.map(|share| Arc::clone(share.rank)),
        gamma: gamma.value().clone(),
        beta: beta.value().clone(),
        epsilon,
        activation,
    };
    let y = maps.apply_op1_no_bwd(&op)?;
    Ok(Traced::node(&[x, gamma, beta], y, move |gradient, _| {
        let [of_maps, of_both] = op.gradients(&maps, &gradient.contiguous()?)?;
        Ok(vec![
            Some(of_maps),
            Some(of_both.get(0)?),
            Some(of_both.get(1)?),
        ])
    }))
}

/// The maps as the operation takes them: the elements of each film in order; on a GPU films may lie
/// apart.
fn films_in_order(x: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() && cuda::memory::film_step(x.layout()).is_some() {
        return Ok(x.clone());
    }
    x.contiguous()
}

/// A batch norm with its statistics and parameters.
#[derive(Clone)]
struct BatchNorm {
    used: BatchStatistics,
    /// True if the statistics are constants.
    constant: bool,
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
            let share = match self.constant {
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
            None => bail!("batch norm's backward pass gave no gradients of its parameters"),
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

/// Number of planes that a thread takes at once: the smallest maps are too little work for a task.
const PLANES_AT_ONCE: usize = 16;

impl CustomOp1 for BatchNorm {
    fn name(&self) -> &'static str {
        "batch norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, x_layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let [_, channels, height, width] = map_sizes(x_layout.dims(), "batch norm")?;
        let map = height * width;
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

/// The gradient of the input. The parameters' gradients (`2 x C`), sums of the same pass, are put
/// into `parameters`.
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
        let [_, channels, height, width] = map_sizes(x_layout.dims(), "batch norm")?;
        let map = height * width;
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

        // The sums over the whole batch flow through the statistics.
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
                // being the part that flows through the batch's own statistics.
                let (slope, offset) = if self.forward.constant {
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
