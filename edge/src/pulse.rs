//! Signs of life of the station's threads, for systemd's watchdog.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When a thread was seen at work last.
#[derive(Debug)]
pub struct Pulse(Mutex<Instant>);

impl Pulse {
    /// Notes that the thread is at work.
    pub fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// The time since it was seen last.
    pub fn age(&self) -> Duration {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.elapsed()
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}
