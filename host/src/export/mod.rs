//! From a trained network's weights to a bundle that stations run.
//!
//! The ONNX graph is built straight from the weights: batch norms that follow a convolution are
//! folded into it, weights are kept as f32 or int8, and the outputs are the logits and the last
//! feature map, from which Grad-CAM is computed where films are read.

mod bundle;
mod card;
mod export_run;
mod fold;
mod onnx;
mod quantise;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use plumbline_shared::manifest::ManifestError;

use plumbline_nets::Parameters;

use crate::evaluate::EvaluateError;
use crate::model::ModelError;
use crate::train::RunError;

pub use bundle::{About, write_bundle};
pub use card::Card;
pub use export_run::{ExportOptions, Exported, export};
pub use onnx::onnx;

/// A dense tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Size of each dimension.
    pub shape: Vec<usize>,
    /// The values, as many as the sizes' product.
    pub data: Vec<f32>,
}

/// A network's tensors by their names in torchvision's state dict.
pub type Weights = BTreeMap<String, Tensor>;

/// The tensors of a network in Candle.
///
/// # Errors
/// Candle's, if one is not of 32-bit floats.
pub fn weights(parameters: &Parameters) -> candle_core::Result<Weights> {
    let tensors = parameters.tensors().into_iter();
    tensors
        .map(|(name, tensor)| {
            let shape = tensor.dims().to_vec();
            let data = tensor.flatten_all()?.to_vec1()?;
            Ok((name, Tensor { shape, data }))
        })
        .collect()
}

/// The precision in which an exported network stores its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// As they were trained.
    F32,
    /// Weights of convolutions and fully connected layers in int8 with one scale an output
    /// channel, all else in f32. Computation stays in f32.
    Int8,
}

/// An error of exporting a network or writing a bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A tensor the architecture needs.
    #[error("the weights have no tensor {0}: give the weights of this architecture")]
    Missing(String),
    /// A tensor the architecture does not know.
    #[error(
        "the weights have a tensor {0} that the architecture does not: give the weights of this architecture"
    )]
    Unknown(String),
    /// A tensor of another shape.
    #[error(
        "tensor {name} has shape {found:?} where {expected:?} was expected: give the weights of this architecture"
    )]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The architecture's.
        expected: Vec<usize>,
    },
    /// A tensor that holds infinities or what is not a number.
    #[error(
        "tensor {0} holds values that are not finite numbers: the training diverged; train again with a lower learning rate"
    )]
    NotFinite(String),
    /// A run of other classes.
    #[error(
        "the run answers for other classes than scoliosis, which no station reads; train with its \
         weights as --init first"
    )]
    OtherClasses,
    /// Films of one class.
    #[error(
        "the calibration cohort's val films are of one class only, so no threshold can be found; \
         give another cohort"
    )]
    OneClass,
    /// The run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The model, opened to be measured.
    #[error(transparent)]
    Model(#[from] Box<ModelError>),
    /// The films that measure it.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// Candle's.
    #[error(transparent)]
    Network(#[from] candle_core::Error),
    /// The recipe, which the model card quotes.
    #[error("the recipe cannot be written into the model card ({0})")]
    Card(#[from] toml::ser::Error),
    /// A manifest that would be refused.
    #[error("the bundle's manifest would be refused ({0}): correct it and export again")]
    Manifest(#[from] ManifestError),
    /// Something in the bundle's place that is not a bundle.
    #[error("{} exists and is not a bundle: move it away or choose another folder", .0.display())]
    Occupied(PathBuf),
    /// A file or folder that cannot be written.
    #[error("{} cannot be written ({error})", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
}
