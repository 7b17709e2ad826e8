//! Differentiable operations with hand-written forward and backward passes.
//!
//! Candle's own convolutions, batch norm and pooling are many times slower than they need to be
//! on a CPU, and some have wrong or missing gradients. Each operation here is a node of
//! [`Traced`](crate::Traced) values, built on Candle's custom ops. All tensors are `f32` (on a GPU maps
//! may be `bf16`), contiguous, `N x C x H x W` unless said otherwise.
//!
//! Sums that cross threads are always added in the same order, so a step gives the same bits
//! whatever the number of threads.

mod activation;
mod affine;
mod batch_norm;
mod channels;
mod conv;
mod conv_op;
mod conv_sizes;
#[cfg(feature = "cuda")]
mod cuda;
mod dense;
mod dense_block;
mod dense_features;
mod depthwise;
mod depthwise_sizes;
mod frame;
mod gemm;
mod loss;
mod map_sizes;
mod optimiser;
mod padding;
mod patches;
mod pool;
mod statistics;
mod storage;
mod sums;
mod update;
mod vectorised;

pub use activation::Activation;
pub use batch_norm::batch_norm;
pub use channels::scale_channels;
pub use conv::conv2d;
pub use dense::{linear, mask, relu, sigmoid, silu};
pub use dense_block::{DenseLayer, LayerStatistics, dense_block};
pub use dense_features::DenseFeatures;
pub use depthwise::depthwise_conv2d;
pub use loss::Loss;
pub use optimiser::{RunningAverage, update_parameters};
pub use padding::Padding;
pub use pool::{average_pool_2x2, global_average_pool, max_pool_3x3};
pub use statistics::{BatchStatistics, Statistics, measure};
pub use update::{Average, OptimiserStep, ParameterUpdate};
