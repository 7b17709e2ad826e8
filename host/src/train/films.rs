//! Films prepared once and held in memory for all epochs.

use std::path::PathBuf;

use plumbline_shared::decode::{DecodeError, decode};
use plumbline_shared::preprocess::prepare;
use rayon::prelude::*;

use crate::cohort::Entry;

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
}

/// Films as the networks see them, 256 x 256, with their labels.
pub struct PreparedFilms {
    films: Vec<Vec<u16>>,
    labels: Vec<bool>,
}

impl PreparedFilms {
    /// Decodes and prepares the films of `entries` on all cores, telling `done` after each.
    ///
    /// # Errors
    /// The first film that cannot be used, in the cohort's order.
    pub fn load(entries: &[&Entry], done: impl Fn() + Sync) -> Result<Self, FilmsError> {
        let films = entries
            .par_iter()
            .map(|entry| {
                let path = &entry.film;
                let bytes = std::fs::read(path).map_err(|source| FilmsError::Unreadable {
                    path: path.clone(),
                    source,
                })?;
                let film = decode(&bytes).map_err(|source| FilmsError::Undecodable {
                    path: path.clone(),
                    source,
                })?;
                let grey = prepare(&film).grey().to_vec();
                done();
                Ok(grey)
            })
            .collect::<Result<_, _>>()?;
        let labels = entries.iter().map(|entry| entry.label).collect();
        Ok(Self { films, labels })
    }

    /// How many films there are.
    pub fn len(&self) -> usize {
        self.films.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.films.is_empty()
    }

    /// The labels in order.
    pub fn labels(&self) -> &[bool] {
        &self.labels
    }

    /// Film `index`, 256 x 256, 0 to 65535.
    pub fn grey(&self, index: usize) -> &[u16] {
        &self.films[index]
    }
}
