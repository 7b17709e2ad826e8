//! The operations on NVIDIA GPUs: dense convolutions by cuDNN, the rest by the kernels of
//! `kernels.cu`. Maps are `N x C x H x W`, `f32` or `bf16`; sums are always `f32`.
//!
//! Everything runs on the device's one stream, in order, and nothing waits for it.

pub mod batch_norm;
pub mod channels;
pub mod conv;
pub mod depthwise;
mod element;
mod kernels;
mod launch;
pub mod loss;
pub mod memory;
pub mod optimiser;
pub mod pool;
