//! Errors of opening a cohort.

use std::path::PathBuf;

/// An error of opening a cohort.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CohortError {
    /// The manifest cannot be read.
    #[error("cannot read {}: {source}; give the folder that holds a cohort", file.display())]
    Manifest {
        /// The manifest.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A column is missing.
    #[error("{} has no column `{column}`; add it to the header", file.display())]
    MissingColumn {
        /// The manifest.
        file: PathBuf,
        /// The column.
        column: &'static str,
    },
    /// A row cannot be understood.
    #[error("line {line} of {} cannot be used: {what}", file.display())]
    Row {
        /// The manifest.
        file: PathBuf,
        /// Line, from 1.
        line: u64,
        /// The fault.
        what: String,
    },
    /// A film or mask is absent.
    #[error("{} is listed in the manifest but is not there; restore it or remove its row", file.display())]
    Absent {
        /// The file.
        file: PathBuf,
    },
    /// One patient's films are in two splits.
    #[error("patient {patient:?} in {} is in two splits; keep all films of a patient in one", file.display())]
    SplitPatient {
        /// The manifest.
        file: PathBuf,
        /// The patient.
        patient: String,
    },
}
