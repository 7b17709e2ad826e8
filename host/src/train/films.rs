//! Films prepared once and held in memory for all epochs.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use plumbline_shared::decode::{DecodeError, decode};
use plumbline_shared::preprocess::{Prepared, prepare};
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

/// Films as the networks see them, 256 x 256, with their labels.
pub struct PreparedFilms {
    films: Vec<Vec<u16>>,
    labels: Vec<bool>,
    cobb_degrees: Vec<Option<f32>>,
}

/// The Cobb angle from which a film is positive (Scoliosis Research Society).
const POSITIVE_DEGREES: f32 = 10.0;

impl PreparedFilms {
    /// Decodes and prepares the films of `entries`, which have these `labels`, on all cores,
    /// telling `done` after each.
    ///
    /// # Errors
    /// The first film that cannot be used, in the cohort's order.
    pub fn load(
        entries: &[&Entry],
        labels: Vec<bool>,
        done: impl Fn() + Sync,
    ) -> Result<Self, FilmsError> {
        let films = entries
            .par_iter()
            .map(|entry| {
                let grey = prepare_file(&entry.film)?.grey().to_vec();
                done();
                Ok(grey)
            })
            .collect::<Result<_, _>>()?;
        let cobb_degrees = entries.iter().map(|entry| entry.cobb_degrees).collect();
        Ok(Self {
            films,
            labels,
            cobb_degrees,
        })
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

    /// The labels of some films, 0 or 1, on the CPU.
    ///
    /// # Errors
    /// Candle's.
    pub fn label_tensor(&self, films: &[usize]) -> candle_core::Result<Tensor> {
        let label = |film: &usize| f32::from(u8::from(self.labels[*film]));
        Tensor::from_vec(films.iter().map(label).collect(), films.len(), &Device::Cpu)
    }

    /// The films whose Cobb angle is not known to be nearer than `margin` degrees to the one that
    /// divides the classes.
    pub fn clear_of(&self, margin: f32) -> Vec<usize> {
        let clear =
            |cobb: &Option<f32>| cobb.is_none_or(|d| (d - POSITIVE_DEGREES).abs() >= margin);
        let films = self.cobb_degrees.iter().enumerate();
        films
            .filter(|(_, cobb)| clear(cobb))
            .map(|(index, _)| index)
            .collect()
    }

    /// Film `index`, 256 x 256, 0 to 65535.
    pub fn grey(&self, index: usize) -> &[u16] {
        &self.films[index]
    }
}
