//! One film of a cohort, from its file to what the networks see.

use std::path::{Path, PathBuf};

use plumbline_shared::decode::{DecodeError, decode};
use plumbline_shared::preprocess::{Prepared, prepare};

/// Why a cohort's film could not be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilmsError {
    /// The file could not be read.
    #[error("cannot read the film {path}: {source}")]
    Unreadable {
        /// The film.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a film.
    #[error("cannot use the film {path}: {source}")]
    Undecodable {
        /// The film.
        path: PathBuf,
        /// Why.
        source: DecodeError,
    },
    /// The cohort's packed films lack it.
    #[error("the film {path} is not among the packed films; run `plumbline cohort pack` again")]
    Unpacked {
        /// The film.
        path: PathBuf,
    },
}

/// Decodes and prepares one film of a cohort.
///
/// # Errors
/// If the file cannot be read or is not a film.
pub fn prepare_file(path: &Path) -> Result<Prepared, FilmsError> {
    let bytes = std::fs::read(path).map_err(|source| FilmsError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let film = decode(&bytes).map_err(|source| FilmsError::Undecodable {
        path: path.to_owned(),
        source,
    })?;
    Ok(prepare(&film))
}
