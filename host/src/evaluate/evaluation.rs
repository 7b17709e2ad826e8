//! A model against a cohort.

use std::io;
use std::path::Path;

use plumbline_shared::durable::replace_file;
use plumbline_shared::preprocess::tensor;
use rayon::prelude::*;
use serde::Serialize;

use super::measures::{Measures, Scored};
use super::predictions::{Prediction, write_predictions};
use crate::cohort::{Cohort, FilmsError, PackedFilms, Split, TooManyUnusable};
use crate::model::{Model, ModelError};

/// An error of measuring a model on a cohort.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// No films to measure on.
    #[error("the cohort has no labelled films in its {0} split; give another split or cohort")]
    NoFilms(&'static str),
    /// Too few films can be used.
    #[error(transparent)]
    Films(#[from] TooManyUnusable),
    /// The model.
    #[error(transparent)]
    Model(#[from] Box<ModelError>),
}

/// The progress of an evaluation, reported from any thread.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// The films of a split are scored next.
    Begin {
        /// The split's name.
        split: &'static str,
        /// Films.
        films: u64,
    },
    /// A film was scored.
    Film,
}

/// The result of a model on a cohort's films.
#[derive(Debug)]
pub struct Evaluation {
    /// The measures at the model's threshold.
    pub measures: Measures,
    /// The model's answer to each film, in the cohort's order.
    pub predictions: Vec<Prediction>,
    /// The reasons why films were left out.
    pub left_out: Vec<FilmsError>,
}

/// `measures.json`, and the object that `evaluate --json` prints.
#[derive(Serialize)]
struct MeasuresFile<'a> {
    #[serde(flatten)]
    measures: &'a Measures,
    /// Films that cannot be used.
    left_out: usize,
}

impl Evaluation {
    /// The measures as one JSON object.
    ///
    /// # Errors
    /// serde's.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(&MeasuresFile {
            measures: &self.measures,
            left_out: self.left_out.len(),
        })
    }

    /// Writes `measures.json` and `predictions.csv` into an existing folder.
    ///
    /// # Errors
    /// The system's, or an encoder's.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let table = write_predictions(&self.predictions).map_err(io::Error::other)?;
        replace_file(&folder.join("predictions.csv"), &table)?;
        replace_file(&folder.join("measures.json"), self.to_json()?.as_bytes())
    }
}

/// Measures `model` on the labelled films of one split, or of all.
///
/// # Errors
/// As [`score`].
pub fn evaluate(
    model: &Model,
    cohort: &Cohort,
    packed: &PackedFilms,
    split: Option<Split>,
    progress: impl Fn(Step) + Sync,
) -> Result<Evaluation, EvaluateError> {
    let Scores {
        predictions,
        left_out,
    } = score(model, cohort, packed, split, progress)?;
    Ok(Evaluation {
        measures: Measures::new(&Scored::of(&predictions), model.threshold),
        predictions,
        left_out,
    })
}

/// A model's answers to a cohort's films, not yet measured.
#[derive(Debug)]
pub struct Scores {
    /// The model's answer to each film, in the cohort's order.
    pub predictions: Vec<Prediction>,
    /// The reasons why films were left out.
    pub left_out: Vec<FilmsError>,
}

/// Runs `model` on the labelled films of one split, or of all, in `packed`, on all cores. Films that
/// cannot be used are left out.
///
/// # Errors
/// If there are no such films, too many of them cannot be used, or the model cannot be run.
pub fn score(
    model: &Model,
    cohort: &Cohort,
    packed: &PackedFilms,
    split: Option<Split>,
    progress: impl Fn(Step) + Sync,
) -> Result<Scores, EvaluateError> {
    let (entries, _) = cohort.labelled(split);
    let split = split.map_or("whole", Split::name);
    if entries.is_empty() {
        return Err(EvaluateError::NoFilms(split));
    }
    let (entries, left_out) = packed.usable(entries)?;
    progress(Step::Begin {
        split,
        films: entries.len() as u64,
    });
    let predictions: Vec<Prediction> = entries
        .par_iter()
        .map(|(entry, place)| {
            let tensor = tensor(packed.grey(*place));
            let decision = model.read(&tensor).map_err(Box::new)?.decision;
            progress(Step::Film);
            let film = entry.film.strip_prefix(cohort.folder());
            Ok(Prediction {
                film: film.unwrap_or(&entry.film).to_string_lossy().into_owned(),
                patient: entry.patient.clone(),
                label: u8::from(entry.label == Some(true)),
                logit: decision.logit,
                probability: decision.probability,
            })
        })
        .collect::<Result<_, Box<ModelError>>>()?;
    Ok(Scores {
        predictions,
        left_out,
    })
}
