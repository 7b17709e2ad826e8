//! The rounds and epochs of a run.

use std::fmt;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use candle_core::{Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::batches::{Batch, as_is, augmented};
use super::checkpoint::{self, Checkpoint, Progress, replace_file};
use super::films::PreparedFilms;
use super::frozen::FrozenFeatures;
use super::learner::{Learner, Moving};
use super::recipe::{Recipe, Round, Trained};
use super::run::{Run, RunError};
use crate::evaluate::roc_auc;
use crate::nets::{Head, Mode, Precision, Training, Variant, WeightsError, WeightsFile};

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
    /// The frozen features of some films were computed.
    Frozen {
        /// How many.
        films: usize,
    },
    /// A step was made.
    Step {
        /// Films in its batch.
        films: usize,
        /// Its loss.
        loss: f32,
    },
    /// An epoch is over.
    Epoch(&'a Epoch),
}

/// Trains `run` to its end on `devices`, which share every batch, from its last checkpoint if it has one, else from `initial`
/// weights if given (their head only if it is the recipe's), and tells `watch` how it goes.
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
    let device = trainer.first.parameters.device();
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
            &trainer.first.parameters,
        )?;
    }
    for (index, round) in run.recipe.rounds.iter().enumerate().skip(start.round) {
        let mut progress = Progress {
            round: index,
            ..Progress::default()
        };
        let saved = saved.take();
        if saved.is_none() && index > 0 {
            trainer.first.parameters.load(&run.best_weights())?;
        }
        let mut moving = Moving::new(round, &trainer.first)?;
        match saved {
            Some(checkpoint) => {
                progress = checkpoint.progress;
                checkpoint.apply(&trainer.first.parameters, &mut moving)?;
            }
            None if index > 0 => {
                // From here on the best weights may become this round's: a resume must not take
                // them for the last round's.
                checkpoint::save(
                    &run.checkpoint(),
                    &trainer.first.parameters,
                    &moving,
                    progress,
                )?;
            }
            None => {}
        }
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
                Some(average) => average.in_place(&trainer.first.parameters, validate)?,
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
                        trainer.first.parameters.save(path, &description)
                    })
                };
                match &moving.average {
                    None => save()?,
                    Some(average) => average.in_place(&trainer.first.parameters, save)?,
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
            checkpoint::save(
                &run.checkpoint(),
                &trainer.first.parameters,
                &moving,
                progress,
            )?;
        }
    }
    Ok(())
}

/// A training with its films.
struct Trainer<'a> {
    recipe: &'a Recipe,
    training: &'a PreparedFilms,
    validation: &'a PreparedFilms,
    /// The device that validates, and whose weights are kept.
    first: Learner,
    /// Those that have shares of its batches.
    others: Vec<Learner>,
    /// What prepares batches, where it is not what computes.
    workers: Option<rayon::ThreadPool>,
}

/// Films of one validation batch.
const VALIDATION_BATCH: usize = 20;

/// Bytes of stack that a thread needs to train: Candle's backward pass calls itself once for every
/// operation of the network.
pub const STACK_BYTES: usize = 256 << 20;

impl<'a> Trainer<'a> {
    fn new(
        recipe: &'a Recipe,
        variant: Variant,
        training: &'a PreparedFilms,
        validation: &'a PreparedFilms,
        devices: &[Device],
    ) -> candle_core::Result<Self> {
        let mut learners = Learner::all(recipe, variant, devices)?.into_iter();
        let Some(first) = learners.next() else {
            candle_core::bail!("a training needs a device");
        };
        let workers = recipe.workers.map(|count| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(count);
            pool.build().map_err(candle_core::Error::wrap)
        });
        Ok(Self {
            recipe,
            training,
            validation,
            first,
            others: learners.collect(),
            workers: workers.transpose()?,
        })
    }

    /// The frozen features of all films of a round.
    fn freeze(
        &self,
        round_index: usize,
        watch: &mut impl FnMut(Event),
    ) -> candle_core::Result<FrozenFeatures> {
        let round = &self.recipe.rounds[round_index];
        let features = |x: &Tensor| self.first.network.features(x, &mut Mode::Evaluation);
        let mut done = |films| watch(Event::Frozen { films });
        let place = |film: usize, placement: usize| {
            let mut generator = self.generator("placement", film, placement);
            self.recipe.augmentation_of(round).draw(&mut generator)
        };
        let device = self.first.parameters.device();
        let mut frozen = FrozenFeatures::new(round.placements);
        frozen.add_varied(
            self.training,
            round.side,
            place,
            device,
            &features,
            &mut done,
        )?;
        frozen.add_as_is(self.validation, round.side, device, &features, &mut done)?;
        Ok(frozen)
    }

    /// The epoch that `progress` comes to; returns the mean loss.
    fn epoch(
        &self,
        progress: Progress,
        moving: &mut Moving,
        frozen: Option<&FrozenFeatures>,
        watch: &mut impl FnMut(Event),
    ) -> Result<f64, TrainError> {
        let round = &self.recipe.rounds[progress.round];
        let mut drawing = self.generator("batches", progress.round, progress.epoch);
        let labels = self.training.labels();
        let films = round.films.unwrap_or(labels.len());
        let clear = self.training.clear_of(round.margin_degrees);
        let batches = round
            .sampling
            .epoch(labels, &clear, films, round.batch, &mut drawing);
        let (count, steps) = (batches.len(), batches.len() * round.epochs);
        let rate = |index: usize| {
            let share = round.schedule.share(progress.epoch * count + index, steps);
            round.learning_rate * share
        };
        let mut total = 0.0;
        let mut settle = |(index, loss): (usize, Tensor)| {
            let value: f32 = loss.to_scalar()?;
            if round.loss.exploded(value) {
                return Err(TrainError::Diverged {
                    loss: value,
                    step: index + 1,
                    round: progress.round + 1,
                    epoch: progress.epoch + 1,
                });
            }
            total += f64::from(value);
            watch(Event::Step {
                films: round.batch,
                loss: value,
            });
            Ok(())
        };
        // A step's loss is read when the next step has been asked for, so that a GPU need not wait.
        let mut unsettled = None;
        let mut made = |index: usize, loss: Tensor| match unsettled.replace((index, loss)) {
            Some(before) => settle(before),
            None => Ok(()),
        };
        match frozen {
            Some(frozen) => {
                let first = &self.first;
                let mut dropping = self.generator("dropout", progress.round, progress.epoch);
                for (index, batch) in batches.iter().enumerate() {
                    let features = frozen.draw(batch, &mut drawing, first.parameters.device())?;
                    let mut mode = Mode::Training(Training {
                        drops: Some(&mut dropping),
                        share: None,
                    });
                    let logits = self.told(&first.network.head(&features, &mut mode)?)?;
                    let targets = self.training.targets(batch)?;
                    let rate = rate(index);
                    made(
                        index,
                        first.learn(moving, round, rate, &logits, &targets, None)?,
                    )?;
                }
            }
            None => self.on_all_devices(progress, moving, batches, drawing, &rate, &mut made)?,
        }
        if let Some(last) = unsettled {
            settle(last)?;
        }
        Ok(total / count as f64)
    }

    /// The steps of an epoch, each device on its share of each batch; `made` is told each step's
    /// number and loss.
    fn on_all_devices(
        &self,
        progress: Progress,
        moving: &mut Moving,
        batches: Vec<Vec<usize>>,
        mut drawing: ChaCha8Rng,
        rate: &(impl Fn(usize) -> f64 + Sync),
        made: &mut impl FnMut(usize, Tensor) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        let round = &self.recipe.rounds[progress.round];
        let beside = |learner| Moving::beside(round, learner, (&self.first, &*moving));
        let others = self
            .others
            .iter()
            .map(|learner| Ok((learner, beside(learner)?)));
        let others: Vec<_> = others.collect::<candle_core::Result<_>>()?;
        // Two batches are kept ready while the networks work on a third.
        let shares = 1 + others.len();
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..shares).map(|_| sync_channel(2)).unzip();
        let mut receivers = receivers.into_iter();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for batch in &batches {
                    let augmentation = self.recipe.augmentation_of(round);
                    let films = self.training;
                    let mut prepare =
                        || augmented(films, batch, round.side, augmentation, &mut drawing);
                    let ready = match &self.workers {
                        Some(workers) => workers.install(prepare),
                        None => prepare(),
                    };
                    let ready = ready.shares(shares);
                    if ready
                        .into_iter()
                        .zip(&senders)
                        .any(|(share, to)| to.send(share).is_err())
                    {
                        return;
                    }
                }
            });
            let own = receivers.next();
            let mut threads = Vec::new();
            let own = self.first.or_leave(|| {
                for ((learner, mut moving), batches) in others.into_iter().zip(receivers) {
                    let work = move || {
                        let nothing = &mut |_, _| Ok(());
                        learner.or_leave(|| {
                            self.follow(learner, progress, &mut moving, batches, rate, nothing)
                        })
                    };
                    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
                    let spawned = thread.spawn_scoped(scope, work);
                    threads.push(spawned.map_err(candle_core::Error::wrap)?);
                }
                let batches = own.into_iter().flatten();
                self.follow(&self.first, progress, moving, batches, rate, made)
            });
            let mut results = vec![own];
            for thread in threads {
                match thread.join() {
                    Ok(result) => results.push(result),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            // What stopped one device stopped the others.
            let rank = self.first.rank.as_ref();
            let cause = rank.and_then(|rank| rank.first_to_leave()).unwrap_or(0);
            results.swap_remove(cause)
        })
    }

    /// A device's steps on its shares of an epoch's batches.
    fn follow(
        &self,
        learner: &Learner,
        progress: Progress,
        moving: &mut Moving,
        batches: impl IntoIterator<Item = Batch>,
        rate: &impl Fn(usize) -> f64,
        made: &mut impl FnMut(usize, Tensor) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        let round = &self.recipe.rounds[progress.round];
        let dropping = match learner.rank.as_ref().map_or(0, |rank| rank.index()) {
            0 => "dropout".to_owned(),
            rank => format!("dropout of {rank}"),
        };
        let mut dropping = self.generator(&dropping, progress.round, progress.epoch);
        let share = learner.share(round.batch);
        for (index, batch) in batches.into_iter().enumerate() {
            let targets = self.training.targets(batch.films())?;
            let x = batch.tensor(learner.parameters.device())?;
            let mut mode = Mode::Training(Training {
                drops: Some(&mut dropping),
                share,
            });
            let logits = self.told(&learner.network.forward(&x, &mut mode)?.logits)?;
            let rate = rate(index);
            made(
                index,
                learner.learn(moving, round, rate, &logits, &targets, share)?,
            )?;
        }
        Ok(())
    }

    /// What the head's outputs say: one logit a film (`N`), or one for each finding (`N x C`).
    fn told(&self, logits: &Tensor) -> candle_core::Result<Tensor> {
        match self.recipe.head() {
            Head::Study => crate::nets::logit(logits),
            Head::Linear { .. } => Ok(logits.clone()),
        }
    }

    /// Mean loss and ROC-AUC on the validation films; of several findings the mean of those that
    /// some films show and some do not.
    fn validate(
        &self,
        round: &Round,
        frozen: Option<&FrozenFeatures>,
    ) -> candle_core::Result<(f64, f64)> {
        let films = self.validation;
        let device = self.first.parameters.device();
        let mut logits = Vec::with_capacity(films.len());
        let mut total = 0.0;
        for first in (0..films.len()).step_by(VALIDATION_BATCH) {
            let indices = first..(first + VALIDATION_BATCH).min(films.len());
            let count = indices.len();
            let targets = films.targets(&indices.clone().collect::<Vec<_>>())?;
            let features = match frozen {
                Some(frozen) => frozen.validation(indices, device)?,
                None => {
                    let x = as_is(films, indices, round.side).tensor(device)?;
                    self.first.network.features(&x, &mut Mode::Evaluation)?
                }
            };
            let outputs = self.first.network.head(&features, &mut Mode::Evaluation)?;
            let told = self.told(&outputs)?.detach();
            let loss: f32 = round.loss.of(&told, &targets)?.to_scalar()?;
            total += f64::from(loss) * count as f64;
            let told = told.flatten_all()?.to_vec1::<f32>()?;
            logits.extend(told.into_iter().map(f64::from));
        }
        let outputs = films.outputs();
        let told = outputs.iter().enumerate().filter_map(|(output, shown)| {
            let both = shown.contains(&true) && shown.contains(&false);
            let own = logits.iter().copied().skip(output).step_by(outputs.len());
            both.then(|| roc_auc(&own.collect::<Vec<_>>(), shown))
        });
        let areas: Vec<f64> = told.collect();
        let area = areas.iter().sum::<f64>() / areas.len() as f64;
        Ok((total / films.len() as f64, area))
    }

    /// A generator of its own for each purpose and epoch, so that an epoch does not depend on
    /// what ran before it in the same process.
    fn generator(&self, purpose: &str, round: usize, epoch: usize) -> ChaCha8Rng {
        let mut hash = Sha256::new();
        hash.update(format!("{purpose} {} {round} {epoch}", self.recipe.seed));
        ChaCha8Rng::from_seed(hash.finalize().into())
    }
}
