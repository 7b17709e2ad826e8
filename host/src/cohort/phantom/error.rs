//! Errors of drawing a cohort of phantoms.

use std::io;
use std::path::PathBuf;

use crate::cohort::finishing::Unwritten;

/// An error of drawing a cohort of phantoms.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhantomError {
    /// The options make no cohort.
    #[error("cannot draw such a cohort: {0}")]
    Options(&'static str),
    /// The folder holds something else.
    #[error("{} is not empty and holds no unfinished cohort of these options and this program; give a new folder", .0.display())]
    Occupied(PathBuf),
    /// A file cannot be written.
    #[error("cannot write {}: {source}; check the space and the rights there", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A film cannot be encoded.
    #[error("cannot encode {}: {what}", file.display())]
    Encode {
        /// The film.
        file: PathBuf,
        /// The encoder's reason.
        what: String,
    },
}

impl From<Unwritten> for PhantomError {
    fn from(Unwritten { file, source }: Unwritten) -> Self {
        Self::Write { file, source }
    }
}
