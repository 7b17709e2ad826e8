//! A film that was screened.

use std::time::Duration;

use crate::pipeline::Read;

/// A film that was screened.
pub(super) struct Screened<'a> {
    /// The film and its reading.
    pub read: Read<'a>,
    /// The time of drawing.
    pub overlay: Duration,
    /// The time of all steps.
    pub total: Duration,
}
