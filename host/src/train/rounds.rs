//! The rounds and epochs of a run.

use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use candle_core::{Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::batches::{as_is, augmented, balanced_epoch};
use super::checkpoint::{self, Checkpoint, Progress, replace_file};
use super::films::PreparedFilms;
use super::loss::binary_cross_entropy;
use super::optimiser::Optimiser;
use super::recipe::{Recipe, Round, Trained};
use super::run::{Run, RunError};
use crate::evaluate::roc_auc;
use crate::nets::{Mode, Network, Parameters, WeightsError};

/// Why a training stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The loss became infinite or not a number.
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
    /// Wall-clock seconds, validation included.
    pub seconds: f64,
}

/// Trains `run` to its end, from its last checkpoint if it has one, else from `initial` weights
/// if given. Tells `step` after each step (films seen, loss), and `done` after each epoch.
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
    mut step: impl FnMut(usize, f32),
    mut done: impl FnMut(&Epoch),
) -> Result<(), TrainError> {
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
    let trainer = Trainer::new(&run.recipe, training, validation)?;
    let mut epochs = Vec::new();
    let mut start = Progress {
        round: 0,
        epoch: 0,
        best: None,
    };
    let mut saved = None;
    if run.checkpoint().exists() {
        let checkpoint = Checkpoint::read(&run.checkpoint())?;
        start = checkpoint.progress;
        saved = Some(checkpoint);
        epochs = run.epochs()?;
        epochs.retain(|e: &Epoch| (e.round - 1, e.epoch - 1) < (start.round, start.epoch));
    } else if let Some(initial) = initial {
        trainer.parameters.load(initial)?;
    }
    for (index, round) in run.recipe.rounds.iter().enumerate().skip(start.round) {
        let mut optimiser = trainer.optimiser(round)?;
        let (mut first, mut best) = (0, None);
        match saved.take() {
            Some(checkpoint) => {
                checkpoint.apply(&trainer.parameters, &mut optimiser)?;
                (first, best) = (start.epoch, start.best);
            }
            None if index > 0 => trainer.parameters.load(&run.best_weights())?,
            None => {}
        }
        for epoch in first..round.epochs {
            let started = Instant::now();
            let loss = trainer.epoch(index, epoch, &mut optimiser, &mut step)?;
            let (validation_loss, auc) = trainer.validate(round.side)?;
            let is_best = best.is_none_or(|best| auc > best);
            if is_best {
                best = Some(auc);
                replace_file(&run.best_weights(), |path| trainer.parameters.save(path))?;
            }
            let epoch_done = Epoch {
                round: index + 1,
                epoch: epoch + 1,
                loss,
                validation_loss,
                validation_roc_auc: auc,
                best: is_best,
                seconds: started.elapsed().as_secs_f64(),
            };
            done(&epoch_done);
            epochs.push(epoch_done);
            run.record_epochs(&epochs)?;
            let progress = Progress {
                round: index,
                epoch: epoch + 1,
                best,
            };
            checkpoint::save(&run.checkpoint(), &trainer.parameters, &optimiser, progress)?;
        }
    }
    Ok(())
}

/// A network in training with its films.
struct Trainer<'a> {
    recipe: &'a Recipe,
    training: &'a PreparedFilms,
    validation: &'a PreparedFilms,
    network: Network,
    parameters: Parameters,
}

/// Films of one validation batch.
const VALIDATION_BATCH: usize = 20;

impl<'a> Trainer<'a> {
    fn new(
        recipe: &'a Recipe,
        training: &'a PreparedFilms,
        validation: &'a PreparedFilms,
    ) -> candle_core::Result<Self> {
        let mut parameters = Parameters::new(&Device::Cpu, recipe.seed);
        let network = Network::new(recipe.architecture, &mut parameters)?;
        Ok(Self {
            recipe,
            training,
            validation,
            network,
            parameters,
        })
    }

    fn optimiser(&self, round: &Round) -> candle_core::Result<Optimiser> {
        let moved = match round.train {
            Trained::All => self.parameters.trainable().collect(),
            Trained::LastLayer => self.network.last_layer(&self.parameters),
        };
        Optimiser::new(round.optimiser, &moved)
    }

    /// One epoch; returns the mean loss.
    fn epoch(
        &self,
        round_index: usize,
        epoch: usize,
        optimiser: &mut Optimiser,
        step: &mut impl FnMut(usize, f32),
    ) -> Result<f64, TrainError> {
        let round = &self.recipe.rounds[round_index];
        let mut drawing = self.generator("batches", round_index, epoch);
        let mut dropping = self.generator("dropout", round_index, epoch);
        let labels = self.training.labels();
        let films = round.films.unwrap_or(labels.len());
        let clear = self.training.clear_of(round.margin_degrees);
        let batches = balanced_epoch(labels, &clear, films, round.batch, &mut drawing);
        let steps = batches.len() * round.epochs;
        let mut total = 0.0;
        let count = batches.len();
        std::thread::scope(|scope| {
            // Two batches are kept ready while the network works on a third.
            let (send, receive) = sync_channel(2);
            scope.spawn(move || {
                for batch in &batches {
                    let augmentation = &self.recipe.augmentation;
                    let ready =
                        augmented(self.training, batch, round.side, augmentation, &mut drawing);
                    if send.send(ready).is_err() {
                        return;
                    }
                }
            });
            for (index, batch) in receive.iter().enumerate() {
                let (x, label) = batch.tensors(self.parameters.device())?;
                let logit = self.training_logit(round, &x, &mut dropping)?;
                let loss = binary_cross_entropy(&logit, &label)?;
                let value: f32 = loss.to_scalar()?;
                if !value.is_finite() {
                    return Err(TrainError::Diverged {
                        loss: value,
                        step: index + 1,
                        round: round_index + 1,
                        epoch: epoch + 1,
                    });
                }
                let share = round.schedule.share(epoch * count + index, steps);
                optimiser.step(&loss.backward()?, round.learning_rate * share)?;
                total += f64::from(value);
                step(round.batch, value);
            }
            Ok(total / count as f64)
        })
    }

    fn training_logit(
        &self,
        round: &Round,
        x: &Tensor,
        dropping: &mut ChaCha8Rng,
    ) -> candle_core::Result<Tensor> {
        match round.train {
            Trained::All => self
                .network
                .forward(x, &mut Mode::Training(Some(dropping)))?
                .logit(),
            Trained::LastLayer => {
                let features = self.network.features(x, &mut Mode::Evaluation)?.detach();
                let logits = self
                    .network
                    .head(&features, &mut Mode::Training(Some(dropping)))?;
                crate::nets::logit(&logits)
            }
        }
    }

    /// Mean loss and ROC-AUC on the validation films.
    fn validate(&self, side: usize) -> candle_core::Result<(f64, f64)> {
        let films = self.validation;
        let mut logits = Vec::with_capacity(films.len());
        let mut total = 0.0;
        for first in (0..films.len()).step_by(VALIDATION_BATCH) {
            let indices = first..(first + VALIDATION_BATCH).min(films.len());
            let count = indices.len();
            let (x, label) = as_is(films, indices, side).tensors(self.parameters.device())?;
            let logit = self
                .network
                .forward(&x, &mut Mode::Evaluation)?
                .logit()?
                .detach();
            let loss: f32 = binary_cross_entropy(&logit, &label)?.to_scalar()?;
            total += f64::from(loss) * count as f64;
            logits.extend(logit.to_vec1::<f32>()?.into_iter().map(f64::from));
        }
        Ok((total / films.len() as f64, roc_auc(&logits, films.labels())))
    }

    /// A generator of its own for each purpose and epoch, so that an epoch does not depend on
    /// what ran before it in the same process.
    fn generator(&self, purpose: &str, round: usize, epoch: usize) -> ChaCha8Rng {
        let mut hash = Sha256::new();
        hash.update(format!("{purpose} {} {round} {epoch}", self.recipe.seed));
        ChaCha8Rng::from_seed(hash.finalize().into())
    }
}
