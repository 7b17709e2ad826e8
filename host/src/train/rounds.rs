//! The rounds and epochs of a run.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use candle_core::Device;
use plumbline_nets::{Parameters, Precision, WeightsFile};

use super::checkpoint::{Checkpoint, Progress};
use super::epoch::Trainer;
use super::error::TrainError;
use super::events::{Epoch, Event};
use super::films::PreparedFilms;
use super::learner::OptimiserState;
use super::recipe::{Recipe, Trained};
use super::run::Run;
use super::work::Work;

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
    initial: Option<WeightsFile>,
    devices: &[Device],
    mut watch: impl FnMut(Event),
) -> Result<(), TrainError> {
    check_devices(&run.recipe, devices)?;
    check_classes(&run.recipe, training, validation)?;
    let variant = run.record.variant;
    let trainer = Trainer::new(&run.recipe, variant, training, validation, devices)?;
    let parameters = &trainer.first.parameters;
    let mut epochs = Vec::new();
    let mut start = Progress::default();
    let mut saved = None;
    if run.checkpoint().exists() {
        let checkpoint = Checkpoint::read(&run.checkpoint(), parameters.device())?;
        start = checkpoint.progress;
        saved = Some(checkpoint);
        epochs = run.epochs()?;
        epochs.retain(|e: &Epoch| (e.round - 1, e.epoch - 1) < (start.round, start.epoch));
    } else if let Some(initial) = initial {
        let description = run.recipe.description(variant);
        initial.give_features(&description, run.recipe.architecture, parameters)?;
    }
    for (index, round) in run.recipe.rounds.iter().enumerate().skip(start.round) {
        let (mut progress, mut state) = begin_round(run, &trainer, index, saved.take())?;
        let ahead = Work::ahead(&run.recipe, progress, training.len(), validation.len());
        watch(Event::Ahead(ahead));
        let frozen = match round.train {
            Trained::All => None,
            Trained::LastLayer => Some(trainer.freeze(index, &mut watch)?),
        };
        while progress.epoch < round.epochs && !progress.exhausted(round) {
            let started = Instant::now();
            let loss = trainer.epoch(progress, &mut state, frozen.as_ref(), &mut watch)?;
            let validate = || trainer.validate(round, frozen.as_ref());
            let (validation_loss, auc) = with_average(&state, parameters, validate)?;
            if round.loss.exploded(validation_loss as f32) {
                return Err(TrainError::ValidationDiverged {
                    loss: validation_loss,
                    round: index + 1,
                    epoch: progress.epoch + 1,
                });
            }
            let best = progress.record(auc);
            if best {
                with_average(&state, parameters, || run.save_best(parameters))?;
            }
            let epoch = Epoch {
                round: index + 1,
                epoch: progress.epoch,
                loss,
                validation_loss,
                validation_roc_auc: auc,
                best,
                ended: SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0.0, |since| since.as_secs_f64()),
                seconds: started.elapsed().as_secs_f64(),
            };
            epochs.push(epoch);
            run.record_epochs(&epochs)?;
            run.save_checkpoint(parameters, &state, progress)?;
            // Told last: whoever listens may fail.
            watch(Event::Epoch(&epochs[epochs.len() - 1]));
        }
    }
    Ok(())
}

/// Begins a round, or continues it from a `saved` state: sets the network's weights and returns the
/// progress and the optimiser's state.
fn begin_round(
    run: &Run,
    trainer: &Trainer,
    index: usize,
    saved: Option<Checkpoint>,
) -> Result<(Progress, OptimiserState), TrainError> {
    let round = &run.recipe.rounds[index];
    let parameters = &trainer.first.parameters;
    if saved.is_none() && index > 0 {
        WeightsFile::read(&run.best_weights())?.give_all(parameters)?;
    }
    let mut state = OptimiserState::new(round, &trainer.first)?;
    let mut progress = Progress {
        round: index,
        ..Progress::default()
    };
    match saved {
        Some(checkpoint) => {
            progress = checkpoint.progress;
            checkpoint.apply(parameters, &mut state)?;
        }
        None if index > 0 => {
            // From here on the best weights may become this round's: a resume must not take them
            // for the last round's.
            run.save_checkpoint(parameters, &state, progress)?;
        }
        None => {}
    }
    Ok((progress, state))
}

/// Runs `work` with the averaged weights in the network's place of its own, where the round keeps an
/// average.
fn with_average<T, E: From<candle_core::Error>>(
    state: &OptimiserState,
    parameters: &Parameters,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    match &state.average {
        None => work(),
        Some(average) => average.in_place(parameters, work),
    }
}

/// Refuses devices that cannot compute as the recipe says.
fn check_devices(recipe: &Recipe, devices: &[Device]) -> Result<(), TrainError> {
    if devices.iter().any(Device::is_cpu) && recipe.precision != Precision::F32 {
        return Err(TrainError::Precision(recipe.precision));
    }
    for (index, round) in recipe.rounds.iter().enumerate() {
        if round.batch < devices.len() {
            return Err(TrainError::Shares {
                batch: round.batch,
                round: index + 1,
                devices: devices.len(),
            });
        }
    }
    Ok(())
}

/// Refuses films of one class only.
fn check_classes(
    recipe: &Recipe,
    training: &PreparedFilms,
    validation: &PreparedFilms,
) -> Result<(), TrainError> {
    let both = |labels: &[bool]| labels.contains(&true) && labels.contains(&false);
    if !both(training.labels()) {
        return Err(TrainError::OneClass("training films"));
    }
    if !both(validation.labels()) {
        return Err(TrainError::OneClass("validation films"));
    }
    for round in &recipe.rounds {
        let clear = training.clear_of(round.margin_degrees).into_iter();
        let labels: Vec<bool> = clear.map(|film| training.labels()[film]).collect();
        if !both(&labels) {
            return Err(TrainError::OneClass(
                "training films clear of a round's margin",
            ));
        }
    }
    Ok(())
}
