//! From a film to a reading, and a picture of it.

pub mod overlay;

use std::time::{Duration, Instant};

use plumbline_shared::bundle::{Bundle, BundleError, Reading};
use plumbline_shared::film::Film;
use plumbline_shared::preprocess::{Rect, prepare};

/// A film that was read.
#[derive(Debug, Clone)]
pub struct Read {
    /// What the network says.
    pub reading: Reading,
    /// Where the film lies in the network's 256 x 256 input.
    pub content: Rect,
    /// Time spent on preprocessing.
    pub prepare: Duration,
    /// Time spent in the network.
    pub read: Duration,
}

/// Prepares `film` and reads it with `bundle`.
///
/// # Errors
///
/// What [`Bundle::read`] says.
pub fn read(bundle: &Bundle, film: &Film) -> Result<Read, BundleError> {
    let start = Instant::now();
    let prepared = prepare(film);
    let tensor = prepared.tensor();
    let prepare = start.elapsed();
    let reading = bundle.read(&tensor)?;
    Ok(Read {
        reading,
        content: prepared.content(),
        prepare,
        read: start.elapsed() - prepare,
    })
}
