//! The error of a training that another device has stopped.

/// The error of a rank whose group is no longer complete.
pub fn aborted() -> candle_core::Error {
    candle_core::Error::msg("the training on another of the devices has stopped")
}
