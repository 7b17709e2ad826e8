//! The rounds and epochs of a run.

use std::fmt;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use candle_core::Device;
use serde::{Deserialize, Serialize};

use super::checkpoint::{self, Checkpoint, Progress, replace_file};
use super::epoch::Trainer;
use super::films::PreparedFilms;
use super::learner::Moving;
use super::recipe::Trained;
use super::run::{Run, RunError};
use super::work::Work;
use crate::nets::{Precision, WeightsError, WeightsFile};

/// Why a training stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The loss became infinite, not a number, or hopelessly large.
    #[error(
        "the loss is {loss} at step {step} of round {round}, epoch {epoch}; lower the round's \
         learning rate; the best weights so far are kept"
    )]
    Diverged {
        /// The loss.
        loss: f32,
        /// The step in the epoch, from 1.
        step: usize,
        /// The round, from 1.
        round: usize,
        /// The epoch, from 1.
        epoch: usize,
    },
    /// The same, on the validation films.
    #[error(
        "the validation loss is {loss} after epoch {epoch} of round {round}; lower the round's \
         learning rate; the best weights so far, and the epoch before as --resume takes it, are kept"
    )]
    ValidationDiverged {
        /// The loss.
        loss: f64,
        /// The round, from 1.
        round: usize,
        /// The epoch, from 1.
        epoch: usize,
    },
    /// The device cannot compute as the recipe wants.
    #[error(
        "the recipe's precision {0} needs a GPU; give --device cuda, or leave the precision out of \
         the recipe"
    )]
    Precision(Precision),
    /// There are more devices than films in a batch.
    #[error(
        "the batches of round {round}, of {batch} films, cannot be shared by {devices} devices; give \
         fewer devices or a larger batch"
    )]
    Shares {
        /// Films of a batch.
        batch: usize,
        /// The round, from 1.
        round: usize,
        /// How many devices there are.
        devices: usize,
    },
    /// A set of films lacks positives or negatives.
    #[error("the {0} must hold positives and negatives; give another cohort or recipe")]
    OneClass(&'static str),
    /// The run's folder.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The initial weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Candle's.
    #[error(transparent)]
    Network(#[from] candle_core::Error),
}

/// What one epoch gave; one line of `epochs.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// From 1.
    pub round: usize,
    /// From 1, in its round.
    pub epoch: usize,
    /// Mean training loss.
    pub loss: f64,
    /// Mean validation loss.
    pub validation_loss: f64,
    /// Validation ROC-AUC.
    pub validation_roc_auc: f64,
    /// Whether it is the best of its round so far.
    pub best: bool,
    /// When it was over, in seconds since 1970.
    pub ended: f64,
    /// Wall-clock seconds, validation included.
    pub seconds: f64,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "round {} epoch {}: loss {:.4}, validation loss {:.4}, ROC-AUC {:.4}{}, {:.0} s",
            self.round,
            self.epoch,
            self.loss,
            self.validation_loss,
            self.validation_roc_auc,
            if self.best { " (best)" } else { "" },
            self.seconds
        )
    }
}

/// What a training tells while it goes on.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A round begins or goes on, with so much to do until the last round's end.
    Ahead(Work),
    /// Some frozen features were computed.
    Frozen(Work),
    /// A step was made.
    Step {
        /// On what.
        work: Work,
        /// Its loss.
        loss: f32,
    },
    /// An epoch is over.
    Epoch(&'a Epoch),
}

/// Trains `run` to its end on `devices`, which share every batch, from its last checkpoint if it has
/// one, else from `initial` weights if given (their head only if it is the recipe's), and tells
/// `watch` how it goes.
///
/// The result depends on the recipe, the films and the initial weights alone, not on interruptions
/// or the number of threads.
///
/// # Errors
/// If the loss diverges or the run's folder cannot be used.
pub fn train(
    run: &Run,
    training: &PreparedFilms,
    validation: &PreparedFilms,
    initial: Option<&Path>,
    devices: &[Device],
    mut watch: impl FnMut(Event),
) -> Result<(), TrainError> {
    if devices.iter().any(Device::is_cpu) && run.recipe.precision != Precision::F32 {
        return Err(TrainError::Precision(run.recipe.precision));
    }
    for (index, round) in run.recipe.rounds.iter().enumerate() {
        if round.batch < devices.len() {
            return Err(TrainError::Shares {
                batch: round.batch,
                round: index + 1,
                devices: devices.len(),
            });
        }
    }
    for (films, name) in [
        (training, "training films"),
        (validation, "validation films"),
    ] {
        let positives = films.labels().iter().filter(|label| **label).count();
        if positives == 0 || positives == films.len() {
            return Err(TrainError::OneClass(name));
        }
    }
    for round in &run.recipe.rounds {
        let clear = training.clear_of(round.margin_degrees);
        let positives = clear
            .iter()
            .filter(|film| training.labels()[**film])
            .count();
        if positives == 0 || positives == clear.len() {
            return Err(TrainError::OneClass(
                "training films clear of a round's margin",
            ));
        }
    }
    let (architecture, variant) = (run.recipe.architecture, run.record.variant);
    let description = run.recipe.description(variant);
    let trainer = Trainer::new(&run.recipe, variant, training, validation, devices)?;
    let parameters = &trainer.first.parameters;
    let device = parameters.device();
    let mut epochs = Vec::new();
    let mut start = Progress::default();
    let mut saved = None;
    if run.checkpoint().exists() {
        let checkpoint = Checkpoint::read(&run.checkpoint(), device)?;
        start = checkpoint.progress;
        saved = Some(checkpoint);
        epochs = run.epochs()?;
        epochs.retain(|e: &Epoch| (e.round - 1, e.epoch - 1) < (start.round, start.epoch));
    } else if let Some(initial) = initial {
        WeightsFile::read(initial, device)?.give_features(
            &description,
            architecture,
            parameters,
        )?;
    }
    for (index, round) in run.recipe.rounds.iter().enumerate().skip(start.round) {
        let mut progress = Progress {
            round: index,
            ..Progress::default()
        };
        let saved = saved.take();
        if saved.is_none() && index > 0 {
            parameters.load(&run.best_weights())?;
        }
        let mut moving = Moving::new(round, &trainer.first)?;
        match saved {
            Some(checkpoint) => {
                progress = checkpoint.progress;
                checkpoint.apply(parameters, &mut moving)?;
            }
            None if index > 0 => {
                // From here on the best weights may become this round's: a resume must not take
                // them for the last round's.
                checkpoint::save(&run.checkpoint(), parameters, &moving, progress)?;
            }
            None => {}
        }
        let (training, validation) = (training.len(), validation.len());
        let ahead = Work::ahead(&run.recipe, progress, training, validation);
        watch(Event::Ahead(ahead));
        let frozen = match round.train {
            Trained::All => None,
            Trained::LastLayer => Some(trainer.freeze(index, &mut watch)?),
        };
        while progress.epoch < round.epochs && !progress.exhausted(round) {
            let started = Instant::now();
            let loss = trainer.epoch(progress, &mut moving, frozen.as_ref(), &mut watch)?;
            let validate = || trainer.validate(round, frozen.as_ref());
            let validated = match &moving.average {
                None => validate()?,
                Some(average) => average.in_place(parameters, validate)?,
            };
            let (validation_loss, auc) = validated;
            if round.loss.exploded(validation_loss as f32) {
                return Err(TrainError::ValidationDiverged {
                    loss: validation_loss,
                    round: index + 1,
                    epoch: progress.epoch + 1,
                });
            }
            let is_best = progress.best.is_none_or(|best| auc > best);
            progress.epoch += 1;
            progress.since_best += 1;
            if is_best {
                progress.best = Some(auc);
                progress.since_best = 0;
                let save = || {
                    replace_file(&run.best_weights(), |path| {
                        parameters.save(path, &description)
                    })
                };
                match &moving.average {
                    None => save()?,
                    Some(average) => average.in_place(parameters, save)?,
                }
            }
            let epoch = Epoch {
                round: index + 1,
                epoch: progress.epoch,
                loss,
                validation_loss,
                validation_roc_auc: auc,
                best: is_best,
                ended: SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0.0, |since| since.as_secs_f64()),
                seconds: started.elapsed().as_secs_f64(),
            };
            watch(Event::Epoch(&epoch));
            epochs.push(epoch);
            run.record_epochs(&epochs)?;
            checkpoint::save(&run.checkpoint(), parameters, &moving, progress)?;
        }
    }
    Ok(())
}
