//! A dense block as one operation, on the CPU.
//!
//! Every layer reads all channels that were there before it and adds a few: batch norm, ReLU and a
//! 1 x 1 convolution to a few bottleneck maps, then batch norm, ReLU and a 3 x 3 convolution (Huang
//! et al., "Densely Connected Convolutional Networks", 2017). Layer by layer, each joins its
//! channels to a copy of all others, keeps a normalised copy of them, and measures their mean and
//! variance again. Here all layers share one buffer per film to which channels are added in place;
//! a channel is measured once; normalised maps live only as long as the matrix product that reads
//! them, and are computed again in the backward pass (Pleiss et al., "Memory-Efficient
//! Implementation of DenseNets", 2017). Kept for the backward pass are the block's output and,
//! unless they too are to be computed again, the bottleneck maps.

mod backward;
mod block;
mod forward;
mod op;
mod sizes;

pub use block::{DenseLayer, LayerStatistics};
pub use op::dense_block;
