//! The modes of a network: evaluation and training.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use crate::devices::Rank;

/// The mode in which a network runs.
pub enum Mode<'a> {
    /// Uses running statistics, and no dropout.
    Evaluation,
    /// Uses batch statistics (and updates the running ones), dropout and stochastic depth.
    Training(Training<'a>),
}

/// The inputs of a network in training beside the batch.
#[derive(Default)]
pub struct Training<'a> {
    /// The random numbers of dropout and stochastic depth; without them, both are left out.
    pub drops: Option<&'a mut ChaCha8Rng>,
    /// The whole batch, of which this one is a share; none if this one is whole.
    pub share: Option<Share<'a>>,
}

/// A batch that several devices share: batch norms use the statistics of the whole batch.
#[derive(Clone, Copy)]
pub struct Share<'a> {
    /// This device's rank.
    pub rank: &'a Arc<Rank>,
    /// Number of films in the whole batch.
    pub films: usize,
}
