//! From a trained network's weights to a bundle that stations run.
//!
//! The ONNX graph is built straight from the weights: batch norms that follow a convolution are
//! folded into it, weights are kept as f32 or int8, and the outputs are the logits and the last
//! feature map, from which Grad-CAM is computed where films are read.

mod bundle;
mod card;
mod error;
mod export_gate;
mod export_run;
mod fold;
mod onnx;
mod quantise;
mod statistics;
mod weights;

pub use bundle::{About, write_bundle};
pub use card::Card;
pub use error::ExportError;
pub use export_gate::{ExportedGate, GateMeasures, export_gate};
pub use export_run::{ExportOptions, Exported, export};
pub use onnx::onnx;
pub use statistics::{statistics, with_statistics};
pub use weights::{StoragePrecision, Weight, Weights, weights};
