//! Errors of packing films and of opening packed ones.

use std::io;
use std::path::PathBuf;

/// An error of packing films.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// Greys are stored little endian and read in place.
    #[error("packed films need a little-endian processor; train on another computer")]
    BigEndian,
    /// A path is no text.
    #[error("the film's path {} is not UTF-8; rename it", film.display())]
    Name {
        /// The path.
        film: PathBuf,
    },
    /// Neither the cohort's folder nor the temporary one takes them.
    #[error(
        "cannot pack the films of {}, which needs {} MiB: {source}; free that space there or, where \
         that folder is read-only, in the temporary one (TMPDIR)",
        folder.display(), bytes.div_ceil(1 << 20)
    )]
    File {
        /// The cohort's folder.
        folder: PathBuf,
        /// Bytes of the whole file.
        bytes: u64,
        /// The system's reason.
        source: io::Error,
    },
}

/// Reasons not to use packed films as they are; packing again is the remedy for all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StaleReason {
    /// None yet.
    #[error("the films are not packed yet")]
    Absent,
    /// The file cannot be read.
    #[error("the packed films cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The layout is another one.
    #[error("the films were packed by another version of plumbline")]
    Version,
    /// The preprocessing is another one.
    #[error("the films were packed with another preprocessing")]
    Preprocessing,
    /// The file is not whole.
    #[error("the file of packed films is damaged: {0}")]
    Damaged(&'static str),
    /// A film is not among them.
    #[error("the film {} has been added", .0.display())]
    Added(PathBuf),
    /// A film's file is another one than was packed.
    #[error("the film {} has changed", .0.display())]
    Changed(PathBuf),
}
