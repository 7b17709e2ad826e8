//! Rejected films, each with the place where it was named and the reason.

use std::fmt;
use std::path::{Path, PathBuf};

use plumbline_shared::decode::MAX_BYTES;
use serde::Serialize;

/// Name of the rejects' table in a cohort's folder.
pub const REJECTS: &str = "rejects.csv";

/// Reasons to reject a film. Its text is a sentence without a full stop.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reason {
    /// A row, report or other file that cannot be used.
    Row(String),
    /// A row without the film's name.
    Unnamed,
    /// A path that leads out of the source.
    Outside,
    /// A name that a manifest cannot hold.
    Name,
    /// No such file.
    Absent,
    /// Several files of this name.
    Ambiguous(String),
    /// Not a film by name or content.
    NoFilm,
    /// Not known to be positive or negative.
    Unlabelled,
    /// The patient is not named.
    NoPatient,
    /// Taken from the side, and these are not asked for.
    Lateral,
    /// Neither frontal nor lateral.
    View(String),
    /// Not a projection radiograph.
    Modality(String),
    /// There already.
    Duplicate(String),
    /// There already, with another label.
    Conflict(String),
    /// Given for another split than other films of the patient.
    TwoSplits(String),
    /// A file that is longer than any film's.
    TooLong(u64),
    /// The decoder's sentence.
    Undecodable(String),
}

impl Reason {
    /// Returns the kind of reason, for counting.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Row(_) | Self::Unnamed => "not understood",
            Self::Outside => "path leads out of the source",
            Self::Name => "name cannot be kept",
            Self::Absent => "file absent",
            Self::Ambiguous(_) => "several files of one name",
            Self::NoFilm => "not a film",
            Self::Unlabelled => "no label",
            Self::NoPatient => "no patient",
            Self::Lateral => "lateral view",
            Self::View(_) => "other view",
            Self::Modality(_) => "other modality",
            Self::Duplicate(_) => "duplicate",
            Self::Conflict(_) => "duplicate with another label",
            Self::TwoSplits(_) => "patient in two splits",
            Self::TooLong(_) | Self::Undecodable(_) => "cannot be read as a film",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(what) => write!(f, "{what}"),
            Self::Unnamed => write!(f, "the row names no film"),
            Self::Outside => write!(
                f,
                "the path leads out of the source's folder; put the film in there and name it by a \
                 relative path"
            ),
            Self::Name => write!(
                f,
                "the manifest cannot hold the name: it has a backslash, a control character or a blank \
                 at its end, or is not UTF-8; rename the file"
            ),
            Self::Absent => write!(f, "there is no such file in the source"),
            Self::Ambiguous(paths) => {
                write!(
                    f,
                    "several files have this name ({paths}); keep one of them"
                )
            }
            Self::NoFilm => write!(f, "the file is no film by its name or its content"),
            Self::Unlabelled => write!(f, "the film has no label"),
            Self::NoPatient => write!(
                f,
                "the patient is not named, so that the splits cannot be kept apart"
            ),
            Self::Lateral => write!(f, "lateral view; ask for such films by --lateral"),
            Self::View(view) => write!(f, "the projection {view:?} is neither frontal nor lateral"),
            Self::Modality(modality) => write!(
                f,
                "the modality {modality:?} is not one of projection radiography (CR, DX, RG, RF or OT)"
            ),
            Self::Duplicate(first) => write!(f, "the same as {first}"),
            Self::Conflict(first) => write!(f, "the same as {first}, but with another label"),
            Self::TwoSplits(split) => write!(
                f,
                "the patient's films before it are for {split}; keep a patient's films together"
            ),
            Self::TooLong(bytes) => write!(
                f,
                "the file has {bytes} bytes, more than the {} MiB that are read; give a single film",
                MAX_BYTES >> 20
            ),
            Self::Undecodable(sentence) => write!(f, "{sentence}"),
        }
    }
}

/// The place where a film was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// The table, the report, or the folder that was searched.
    pub(super) file: PathBuf,
    /// Line of a table, from 1.
    pub(super) line: Option<u64>,
}

impl Origin {
    /// A whole file or folder.
    pub(super) fn whole(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line} of {}", self.file.display()),
            None => write!(f, "{}", self.file.display()),
        }
    }
}

/// A film that is not taken.
#[derive(Debug)]
pub(super) struct Reject {
    pub(super) origin: Origin,
    /// The film as it is named there; empty where none is.
    pub(super) film: String,
    pub(super) reason: Reason,
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {}: {}", self.film, self.origin, self.reason)
    }
}

#[derive(Serialize)]
struct Row<'a> {
    source: String,
    line: Option<u64>,
    film: &'a str,
    reason: String,
}

/// Returns the table's bytes.
pub(super) fn write(rejects: &[Reject]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    writer.write_record(["source", "line", "film", "reason"])?;
    for reject in rejects {
        writer.serialize(Row {
            source: reject.origin.file.display().to_string(),
            line: reject.origin.line,
            film: &reject.film,
            reason: reject.reason.to_string(),
        })?;
    }
    writer
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))
}
