//! Cohorts: folders of films with a manifest that says what they show.

pub mod bend;
mod canvas;
mod derived;
pub mod duplicates;
mod error;
mod films;
mod finishing;
pub mod import;
pub mod join;
pub mod manifest;
mod newlines;
mod opened;
pub mod packed;
pub mod phantom;
#[cfg(all(test, unix))]
mod power_cut;
mod sheet;
mod split;
pub mod spoil;
mod summary;

pub use derived::DerivedError;
pub use error::CohortError;
pub use films::{FilmsError, TooManyUnusable, prepare_file};
pub use manifest::{Entry, MANIFEST, NO_FINDING, Split};
pub use opened::Cohort;
pub use packed::{PackError, PackedFilms, Packing, StaleReason};
pub use split::Shares;
pub use summary::Summary;
