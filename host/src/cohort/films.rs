//! One film of a cohort, from its file to what the networks see.

use std::path::{Path, PathBuf};

use plumbline_shared::decode::{DecodeError, ErrorKind, decode, read_file};
use plumbline_shared::film::Film;
use plumbline_shared::preprocess::{Prepared, prepare};

/// The share of a cohort's films, in per cent, that a command may leave out because they cannot be
/// used; one film always may be. More means that something else is wrong.
pub const MOST_LEFT_OUT_PER_CENT: usize = 5;

/// An error of preparing a cohort's film.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilmsError {
    /// The file is not a film, or cannot be read.
    #[error("cannot use the film {path}: {source}", path = path.display())]
    Undecodable {
        /// The film.
        path: PathBuf,
        /// The decoder's reason.
        source: DecodeError,
    },
    /// The cohort's packed films lack it.
    #[error(
        "the film {path} is not among the packed films; run `plumbline cohort pack` again",
        path = path.display()
    )]
    Unpacked {
        /// The film.
        path: PathBuf,
    },
}

impl FilmsError {
    /// Returns true if another attempt may succeed, as the system failed and not the film.
    pub fn is_of_the_system(&self) -> bool {
        matches!(self, Self::Undecodable { source, .. } if source.kind() == ErrorKind::Unreadable)
    }
}

/// More films cannot be used than may be left out.
#[derive(Debug, thiserror::Error)]
#[error(
    "{unusable} of {films} films cannot be used, more than the {MOST_LEFT_OUT_PER_CENT} % that may \
     be left out (the first: {first}); mend them, or take their rows out of the cohort"
)]
pub struct TooManyUnusable {
    /// Number of films that cannot be used.
    pub unusable: usize,
    /// Number of all films.
    pub films: usize,
    /// The error of the first of them.
    pub first: Box<FilmsError>,
}

/// Decodes one film of a cohort.
///
/// # Errors
/// If the file cannot be read or is not a film.
pub(super) fn decode_file(path: &Path) -> Result<Film, FilmsError> {
    let decoded = read_file(path).and_then(|bytes| decode(&bytes));
    let decoded = decoded.map_err(|source| FilmsError::Undecodable {
        path: path.to_owned(),
        source,
    })?;
    Ok(decoded.film)
}

/// Decodes and prepares one film of a cohort.
///
/// # Errors
/// If the file cannot be read or is not a film.
pub fn prepare_file(path: &Path) -> Result<Prepared, FilmsError> {
    Ok(prepare(&decode_file(path)?))
}
