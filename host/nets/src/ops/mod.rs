//! Differentiable operations with hand-written forward and backward passes.
//!
//! Candle's own convolutions, batch norm and pooling are many times slower than they need to be
//! on a CPU, and some have wrong or missing gradients. Each operation here is a step of
//! [`Traced`] values, made of Candle custom ops. All tensors are `f32` (on a GPU maps may be
//! `bf16`), contiguous, `N x C x H x W` unless said otherwise.
//!
//! Sums that cross threads are always added in the same order, so a step gives the same bits
//! whatever the number of threads.

mod batch_norm;
mod channels;
mod conv;
mod conv_op;
#[cfg(feature = "cuda")]
mod cuda;
mod dense;
mod dense_block;
mod dense_features;
mod depthwise;
mod frame;
mod gemm;
mod loss;
mod optimiser;
mod patches;
mod pool;
mod vectorised;

pub use batch_norm::{Activation, BatchStatistics, Statistics, batch_norm, measure};
pub use channels::scale_channels;
pub use conv::conv2d;
#[cfg(feature = "cuda")]
pub use cuda::allow_tf32;
pub use dense::{linear, mask, relu, sigmoid, silu};
pub use dense_block::{DenseLayer, LayerStatistics, dense_block};
pub use dense_features::DenseFeatures;
pub use depthwise::depthwise_conv2d;
pub use loss::Loss;
pub use optimiser::{Average, Moved, RunningAverage, Step, step};
pub use pool::{average_pool_2x2, global_average_pool, max_pool_3x3};

use candle_core::{CpuStorage, Layout, Result, Tensor, bail};
use serde::{Deserialize, Serialize};

use super::Traced;

/// Where zeros lie around a map that is convolved at a stride. At stride 1, and for odd sizes at
/// stride 2, the two are one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// Half the kernel on every side (PyTorch's usual).
    #[default]
    Symmetric,
    /// As few as the last place needs, the odd one right and below (TensorFlow's `SAME`).
    Same,
}

impl Padding {
    /// Zeros before the first of `size` elements, of which at least one, for an odd kernel.
    pub fn before(self, size: usize, kernel: usize, stride: usize) -> usize {
        match self {
            Self::Symmetric => kernel / 2,
            Self::Same => ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size) / 2,
        }
    }
}

/// The elements of a contiguous `f32` tensor on the CPU.
pub(crate) fn elements<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let all = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&all[start..end]),
        None => bail!("a custom operation was given a tensor that is not contiguous"),
    }
}

/// Runs `f` on the elements of a contiguous `f32` CPU tensor.
fn with_elements<T>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> Result<T>) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        candle_core::Storage::Cpu(cpu) => f(elements(cpu, layout)?),
        _ => bail!("this operation runs on the CPU only"),
    }
}

/// Adds the parts in their order, so that the sum does not depend on which thread was first.
fn sum_in_order(parts: Vec<Vec<f32>>) -> Vec<f32> {
    let mut parts = parts.into_iter();
    let mut sum = parts.next().unwrap_or_default();
    for part in parts {
        for (sum, part) in sum.iter_mut().zip(part) {
            *sum += part;
        }
    }
    sum
}

#[cfg(test)]
mod tests;
