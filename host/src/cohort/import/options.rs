//! Options of an import, and its progress.

use std::path::PathBuf;

use serde::Serialize;

use crate::cohort::split::Shares;

/// The form that films and what is known of them are in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// PadChest: a table and PNG files, flat or in numbered folders.
    PadChest,
    /// Open-i's Indiana collection: XML reports and PNG files, or two tables and PNG files.
    OpenI,
    /// ChestX-ray14: a table and PNG files. It knows nothing of scoliosis.
    Nih,
    /// Folders that are named after what their films show, or a table of paths and labels.
    Folder {
        /// Name of the folder of positives; else `scoliosis`, `positive` or `1`.
        positive: Option<String>,
    },
    /// A tree of DICOM files.
    Dicom {
        /// A table of labels.
        labels: PathBuf,
    },
}

/// Options of an import.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportOptions {
    /// The form of the sources.
    pub format: Format,
    /// Folders, or tables beside their films.
    pub sources: Vec<PathBuf>,
    /// Folder to write, absent or empty.
    pub out: PathBuf,
    /// Seed of the splits.
    pub seed: u64,
    /// Shares of the splits.
    pub shares: Shares,
    /// True to keep lateral films as well.
    pub lateral: bool,
    /// True to copy the films, false to link their folders.
    pub copy: bool,
}

/// The progress of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Number of films that were found and are going to be decoded.
    Found(u64),
    /// One more film was decoded.
    Decoded,
}
