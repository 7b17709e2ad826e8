//! `cohort import`: films that others have collected, as a cohort.
//!
//! A format's reader goes through its tables or files and gives films, and rejects with their
//! reasons. The steps after it are the same for all: films that are there twice, that are not
//! frontal or that cannot be decoded are rejected too; patients are split; the manifest and the
//! rejects are written. The films themselves stay in their place, behind links, unless copies are
//! asked for. The folder appears whole or not at all, also after a power cut.

mod cells;
mod dicom;
mod draft;
mod error;
mod folder;
mod gathered;
mod index;
mod nih;
mod openi;
mod options;
mod padchest;
mod pipeline;
mod python_list;
mod record;
mod rejects;
mod report;
mod source;
mod table;
#[cfg(test)]
mod tests;

pub use error::ImportError;
pub use options::{Format, ImportOptions, Step};
pub use pipeline::import;
pub use record::IMPORT;
pub use rejects::REJECTS;
pub use report::Report;
