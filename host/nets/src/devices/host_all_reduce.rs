//! Sums over several devices in the host's memory.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use candle_core::Result;

use super::aborted::aborted;

/// An all-reduce in the host's memory: each rank contributes a vector and waits for the sum.
pub struct HostAllReduce {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The ranks' vectors; taken when the last one is there.
    contributions: Vec<Option<Vec<f32>>>,
    sum: Arc<[f32]>,
    /// Number of sums computed so far.
    sums: usize,
    /// The rank that left first.
    aborted: Option<usize>,
}

impl HostAllReduce {
    /// An all-reduce of so many ranks.
    pub fn new(ranks: usize) -> Self {
        let state = State {
            contributions: vec![None; ranks],
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sum of all ranks' vectors.
    pub fn sum(&self, rank: usize, values: Vec<f32>) -> Result<Vec<f32>> {
        let mut state = self.state();
        let sums = state.sums;
        state.contributions[rank] = Some(values);
        if state.contributions.iter().all(Option::is_some) {
            // In the order of ranks, so that the bits do not depend on which came first.
            let mut all = state.contributions.iter_mut().filter_map(Option::take);
            let mut sum = all.next().unwrap_or_default();
            for other in all {
                if other.len() != sum.len() {
                    candle_core::bail!("devices disagree about what is to be summed");
                }
                sum.iter_mut().zip(other).for_each(|(sum, x)| *sum += x);
            }
            state.sum = sum.into();
            state.sums += 1;
            self.changed.notify_all();
        }
        let waiting = |state: &mut State| state.sums == sums && state.aborted.is_none();
        let state = self
            .changed
            .wait_while(state, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        if state.sums == sums {
            return Err(aborted());
        }
        Ok(state.sum.to_vec())
    }

    /// Makes the other ranks' sums fail from now on.
    pub fn leave(&self, rank: usize) {
        self.state().aborted.get_or_insert(rank);
        self.changed.notify_all();
    }

    /// The rank that left first.
    pub fn first_to_leave(&self) -> Option<usize> {
        self.state().aborted
    }
}
