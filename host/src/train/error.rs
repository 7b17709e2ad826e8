//! Errors that stop a training.

use plumbline_nets::{Precision, WeightsError};

use super::run::RunError;

/// An error that stopped a training.
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
        /// The number of devices.
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
