//! Errors of importing weights.

use plumbline_nets::{ShapeMismatch, shortened};
use plumbline_shared::architecture::Architecture;

use super::pickle::PickleError;
use super::source::Source;

/// Bytes of a file at most.
pub(super) const LARGEST: usize = 2 << 30;

/// An error of importing weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsImportError {
    /// The file could not be read, or the new one not be written.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// A file larger than that of any such weights.
    #[error("it is larger than {} GiB, which no weights of these networks are", LARGEST >> 30)]
    TooLarge,
    /// A file of another kind.
    #[error(
        "it is none of the files that weights come in; give PyTorch's (.pth, .pt, .tar), \
         safetensors or HDF5 (.h5)"
    )]
    Format,
    /// A file that PyTorch does not write on ordinary machines.
    #[error("{0}; save the weights again with PyTorch")]
    Unsupported(String),
    /// A file that is not whole.
    #[error("{0}; fetch the file again")]
    Damaged(String),
    /// No naming of the architecture.
    #[error(
        "it has no names of {architecture} that any known source gives; it has {}; give the \
         weights of this architecture",
        if names.is_empty() { "none of a tensor".to_owned() } else { shortened(names) }
    )]
    Unrecognised {
        /// The architecture that was asked for.
        architecture: Architecture,
        /// The file's names.
        names: Vec<String>,
    },
    /// A source that names its tensors otherwise.
    #[error(
        "its tensors are named as {}'s, not as {}'s; leave out --source, or give the right one",
        found.name(), given.name()
    )]
    OtherSource {
        /// The source that was given.
        given: Source,
        /// The source that the names tell.
        found: Source,
    },
    /// Tensors that the network needs otherwise.
    #[error("as weights of {} it does not fit {architecture}: {mismatch}", origin.name())]
    ShapeMismatch {
        /// The source that was assumed.
        origin: Source,
        /// The network.
        architecture: Architecture,
        /// Names and shapes that do not fit, as the file has them.
        mismatch: Box<ShapeMismatch>,
    },
    /// More or fewer class names than outputs.
    #[error("it has {outputs} outputs and was given {given} classes; give a name for each output")]
    Classes {
        /// Its outputs, of which a negative and a positive one answer for one class.
        outputs: usize,
        /// Number of names given.
        given: usize,
    },
    /// Infinities, or values that are not numbers.
    #[error("its tensor {0} holds values that are not finite numbers")]
    NotFinite(String),
    /// Candle's.
    #[error(transparent)]
    Network(#[from] candle_core::Error),
}

impl WeightsImportError {
    /// Returns the error of a file that is not whole, from its fault.
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }
}

impl From<PickleError> for WeightsImportError {
    fn from(error: PickleError) -> Self {
        Self::damaged(error.to_string())
    }
}
