//! One epoch on all devices of a training, and its validation.

use std::sync::mpsc::sync_channel;

use candle_core::{Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::batches::{Batch, as_is, augmented};
use super::checkpoint::Progress;
use super::error::TrainError;
use super::events::Event;
use super::films::PreparedFilms;
use super::frozen::FrozenFeatures;
use super::learner::{Learner, OptimiserState};
use super::recipe::{Recipe, Round};
use super::work::Work;
use crate::evaluate::curves::roc_auc;
use plumbline_nets::{Head, Mode, Traced, Training, Variant};

/// A training with its films.
pub(super) struct Trainer<'a> {
    recipe: &'a Recipe,
    training: &'a PreparedFilms,
    validation: &'a PreparedFilms,
    /// The device that validates, and whose weights are kept.
    pub(super) first: Learner,
    /// The devices beside it, which have shares of its batches.
    others: Vec<Learner>,
    /// Threads that prepare batches, where these are not the ones that compute.
    workers: Option<rayon::ThreadPool>,
}

/// Films of one validation batch.
const VALIDATION_BATCH: usize = 20;

impl<'a> Trainer<'a> {
    pub(super) fn new(
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
    pub(super) fn freeze(
        &self,
        round_index: usize,
        watch: &mut impl FnMut(Event),
    ) -> candle_core::Result<FrozenFeatures> {
        let round = &self.recipe.rounds[round_index];
        let features = |x: &Tensor| self.first.network.features(x, &mut Mode::Evaluation);
        let mut done = |films| watch(Event::Frozen(Work::freezing(round, films)));
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
    pub(super) fn epoch(
        &self,
        progress: Progress,
        state: &mut OptimiserState,
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
        let mut record_loss = |(index, loss): (usize, Tensor)| {
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
                work: Work::learning(round, round.batch),
                loss: value,
            });
            Ok(())
        };
        // A step's loss is read when the next step has been asked for, so that a GPU need not wait.
        let mut unrecorded = None;
        let mut on_step = |index: usize, loss: Tensor| match unrecorded.replace((index, loss)) {
            Some(before) => record_loss(before),
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
                    let logits =
                        self.to_logits(&first.network.head(&Traced::from(&features), &mut mode)?)?;
                    let targets = self.training.targets(batch)?;
                    let rate = rate(index);
                    on_step(
                        index,
                        first.learn(state, round, rate, &logits, &targets, None)?,
                    )?;
                }
            }
            None => self.on_all_devices(progress, state, batches, drawing, &rate, &mut on_step)?,
        }
        if let Some(last) = unrecorded {
            record_loss(last)?;
        }
        Ok(total / count as f64)
    }

    /// The steps of an epoch, each device on its share of each batch; `on_step` is told each step's
    /// number and loss.
    fn on_all_devices(
        &self,
        progress: Progress,
        state: &mut OptimiserState,
        batches: Vec<Vec<usize>>,
        mut drawing: ChaCha8Rng,
        rate: &(impl Fn(usize) -> f64 + Sync),
        on_step: &mut impl FnMut(usize, Tensor) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        let round = &self.recipe.rounds[progress.round];
        let replica_of =
            |learner| OptimiserState::replica_of(round, learner, (&self.first, &*state));
        let others = self
            .others
            .iter()
            .map(|learner| Ok((learner, replica_of(learner)?)));
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
            let own_batches = receivers.next().into_iter().flatten();
            let mut threads = Vec::new();
            let own = self.first.leave_on_error(|| {
                for ((learner, mut state), batches) in others.into_iter().zip(receivers) {
                    let work = move || {
                        let nothing = &mut |_, _| Ok(());
                        self.run_steps(learner, progress, &mut state, batches, rate, nothing)
                    };
                    // On the device's own thread, where it finds what it kept from the last epoch.
                    let work = move || learner.thread.run(|| learner.leave_on_error(work));
                    threads.push(scope.spawn(work));
                }
                self.run_steps(&self.first, progress, state, own_batches, rate, on_step)
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
    fn run_steps(
        &self,
        learner: &Learner,
        progress: Progress,
        state: &mut OptimiserState,
        batches: impl IntoIterator<Item = Batch>,
        rate: &impl Fn(usize) -> f64,
        on_step: &mut impl FnMut(usize, Tensor) -> Result<(), TrainError>,
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
            let logits = self.to_logits(&learner.network.forward(&x, &mut mode)?.logits)?;
            let rate = rate(index);
            on_step(
                index,
                learner.learn(state, round, rate, &logits, &targets, share)?,
            )?;
        }
        Ok(())
    }

    /// The logits of the head's outputs: one a film (`N`), or one for each finding (`N x C`).
    fn to_logits(&self, logits: &Traced) -> candle_core::Result<Traced> {
        match self.recipe.head() {
            Head::Study => plumbline_nets::logit(logits),
            Head::Linear { .. } => Ok(logits.clone()),
        }
    }

    /// Mean loss and ROC-AUC on the validation films; of several findings the mean of those that
    /// some films show and some do not.
    pub(super) fn validate(
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
                Some(frozen) => Traced::from(&frozen.validation(indices, device)?),
                None => {
                    let x = as_is(films, indices, round.side).tensor(device)?;
                    self.first.network.features(&x, &mut Mode::Evaluation)?
                }
            };
            let outputs = self.first.network.head(&features, &mut Mode::Evaluation)?;
            let logit = self.to_logits(&outputs)?;
            let loss: f32 = round.loss.of(&logit, &targets)?.value().to_scalar()?;
            total += f64::from(loss) * count as f64;
            let values = logit.value().flatten_all()?.to_vec1::<f32>()?;
            logits.extend(values.into_iter().map(f64::from));
        }
        let outputs = films.outputs();
        let areas = outputs.iter().enumerate().filter_map(|(output, shown)| {
            let both = shown.contains(&true) && shown.contains(&false);
            let own = logits.iter().copied().skip(output).step_by(outputs.len());
            both.then(|| roc_auc(&own.collect::<Vec<_>>(), shown))
        });
        let areas: Vec<f64> = areas.collect();
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
