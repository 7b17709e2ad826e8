//! Errors of an export.

use std::io;
use std::path::PathBuf;

use plumbline_reader::BundleError;
use plumbline_shared::manifest::ManifestError;

use crate::evaluate::EvaluateError;
use crate::model::ModelError;
use crate::train::RunError;

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
    /// No good films.
    #[error("the calibration cohort has no good films in its val split; give another cohort")]
    NoGoodFilms,
    /// Too few films for statistics.
    #[error("the cohort has too few films that differ for statistics of features; give another")]
    TooFewFilms,
    /// The bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
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
