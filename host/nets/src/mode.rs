//! How a network is run: for its answers, or to train it.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use crate::devices::Rank;

/// How a network is run.
pub enum Mode<'a> {
    /// Running statistics, no dropout.
    Evaluation,
    /// Batch statistics (the running ones are updated); dropout and stochastic depth.
    Training(Training<'a>),
}

/// What a network in training is given beside a batch.
#[derive(Default)]
pub struct Training<'a> {
    /// What dropout and stochastic depth are drawn from; without, they are left out.
    pub drops: Option<&'a mut ChaCha8Rng>,
    /// Whose batch this is a share of; without, it is whole.
    pub share: Option<Share<'a>>,
}

/// A batch of which several devices have shares: its statistics are the whole batch's.
#[derive(Clone, Copy)]
pub struct Share<'a> {
    /// This device among them.
    pub rank: &'a Arc<Rank>,
    /// Films of the whole batch.
    pub films: usize,
}
