//! What is asked and told of the self-test by others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// What others ask and are told of the self-test.
#[derive(Debug, Default)]
pub struct SelfTestStatus {
    wanted: AtomicBool,
    /// Why none can be begun.
    failure: Mutex<Option<String>>,
}

impl SelfTestStatus {
    /// Has the station test itself soon.
    pub fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Why no test can be begun, if none can.
    pub fn failure(&self) -> Option<String> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.clone()
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    pub(super) fn begun(&self) {
        self.wanted.store(false, Ordering::Relaxed);
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn set_failure(&self, why: String) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }
}
