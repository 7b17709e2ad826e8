//! Wakes the readers when there is work.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Wakes those who wait for it.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Mutex<u64>,
    wake: Condvar,
}

impl Bell {
    /// Wakes all who wait.
    pub fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.wake.notify_all();
    }

    /// Number of times it was rung.
    pub fn rung(&self) -> u64 {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it was rung more than `heard` times, at most for `longest`.
    pub fn wait(&self, heard: u64, longest: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .wake
            .wait_timeout_while(rung, longest, |rung| *rung <= heard);
        drop(waited);
    }
}
