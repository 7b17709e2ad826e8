//! The study's two networks and the gate's, trainable end to end: reverse-mode automatic
//! differentiation, operations for CPUs and NVIDIA GPUs, EfficientNet-B0, DenseNet121 and a small
//! convolutional network, and their weights on disk.
//!
//! All networks take `N x 3 x S x S` (S = 256 in the field) and end in feature maps, their global
//! average, and a small head. Names of parameters and statistics are torchvision's.

mod autodiff;
pub mod densenet121;
mod description;
pub mod devices;
pub mod efficientnet_b0;
pub mod gate;
mod head;
mod layer;
pub mod layers;
mod mode;
mod network;
pub mod ops;
mod parameters;
mod precision;
mod shape_mismatch;
mod variant;
mod weights_file;

pub use autodiff::{Gradients, Traced};
pub use description::{Description, SCOLIOSIS};
pub use head::Head;
pub use layer::Layer;
pub use mode::{Mode, Share, Training};
pub use network::{Network, Output, logit};
pub use parameters::Parameters;
pub use precision::Precision;
pub use shape_mismatch::{ShapeMismatch, Shapes, shortened};
pub use variant::{Input, Variant};
pub use weights_file::{WeightsError, WeightsFile, weights_to_bytes};
