//! A cohort's packed films, opened or made, for all commands that read films.

use crate::cohort::{Cohort, FilmsError, PackedFilms, Packing, StaleReason};

use super::out;
use super::progress::bar;

/// Failures that are told one by one.
const TOLD: usize = 20;

/// Returns the cohort's packed films: those that are there, or else packed now.
///
/// # Errors
/// If there is no room for them.
pub fn open_packed(cohort: &Cohort) -> anyhow::Result<PackedFilms> {
    match cohort.packed() {
        Ok(packed) => Ok(packed),
        Err(reason) => Ok(pack(cohort, &reason)?.packed),
    }
}

/// Packs the cohort's films, for this `reason`, with a bar, and reports the films that cannot be
/// used.
///
/// # Errors
/// If there is no room for them.
pub fn pack(cohort: &Cohort, reason: &StaleReason) -> anyhow::Result<Packing> {
    let films = cohort.entries().len();
    out::note(format_args!(
        "{reason}: packing the films of {}",
        cohort.folder().display()
    ));
    let started = std::time::Instant::now();
    let bar = bar(films as u64, "films packed");
    let packing = cohort.pack(|| bar.inc(1))?;
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    let rate = films as f64 / seconds;
    out::note(format_args!(
        "{films} films packed in {seconds:.1} s ({rate:.1} a second)"
    ));
    tell(packing.failures.iter().map(|(_, failure)| failure));
    if let Some(why) = &packing.unkept {
        out::complain(format_args!(
            "the packed films cannot be kept in {} ({why}), so every command packs \
             them anew in the temporary folder; make the cohort's folder writable to keep them",
            cohort.folder().display()
        ));
    }
    Ok(packing)
}

/// Reports the faults of films, the first ones one by one.
pub fn tell<'a>(failures: impl ExactSizeIterator<Item = &'a FilmsError>) {
    let more = failures.len().saturating_sub(TOLD);
    for failure in failures.take(TOLD) {
        out::complain(failure);
    }
    if more > 0 {
        out::complain(format_args!("and {more} more"));
    }
}
