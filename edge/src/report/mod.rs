//! What the station files of a film's result in the hospital's systems: a structured report for
//! machines, a capture (the picture with the heat map) for viewers that show no reports, and a page for
//! those who have paper alone. All belong to the film's own study. Their UIDs are made of what the store knows alone, so that an object that is
//! made again is the same object.

mod capture;
mod code;
mod content;
mod document;
mod element;
mod encapsulated;
mod page;
mod region;
mod result;
mod uid;
mod words;

pub use capture::capture;
pub use document::{CAPTURE_CLASS, Made, PAGE_CLASS, REPORT_CLASS, Station};
pub(crate) use element::{fitted, known, put_known, put_texts};
pub use encapsulated::encapsulated;
pub use page::{Picture, page};
pub use result::report;
pub(crate) use uid::uid_of_hash;
pub(crate) use words::in_words;

use crate::paper::PaperError;

/// Why a result cannot be filed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The film came without the UIDs of a study.
    #[error("the film came without a study, as a picture does: there is nothing to file it in")]
    NoStudy,
    /// A time of the audit log is none.
    #[error("the audit log has a time that is none: {0:?}")]
    NoTime(String),
    /// The page cannot be made.
    #[error("the page cannot be made: {0}")]
    Paper(PaperError),
    /// The encoder's error.
    #[error("it cannot be written as DICOM: {0}")]
    Unwritten(String),
}
