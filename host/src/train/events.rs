//! The events that a training reports.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::work::Work;

/// The figures of one epoch; one line of `epochs.csv`.
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
    /// True if it is the best of its round so far.
    pub best: bool,
    /// The time of its end, in seconds since 1970.
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

/// An event of a training.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A round begins or goes on, with this much to do until the last round's end.
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
