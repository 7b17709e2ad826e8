//! Errors of importing films.

use std::io;
use std::path::PathBuf;

use crate::cohort::packed::PackError;

/// An error of importing films. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The options make no cohort.
    #[error("cannot import so: {0}")]
    Options(String),
    /// The folder to write holds something.
    #[error("{} is not an empty folder; give a new one", .0.display())]
    Occupied(PathBuf),
    /// A folder of this name is in the way of the temporary one.
    #[error(
        "{} is in the way and no import left it there; move it elsewhere",
        .0.display()
    )]
    InTheWay(PathBuf),
    /// The folder to write lies in a source.
    #[error(
        "{} lies in the source {}, which must stay as it is; give a folder elsewhere",
        out.display(),
        source_folder.display()
    )]
    Nested {
        /// The folder to write.
        out: PathBuf,
        /// The source.
        source_folder: PathBuf,
    },
    /// A source cannot be read.
    #[error("cannot read {}: {source}; check its name and its permissions", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A source does not hold what its format asks for.
    #[error("{} holds no {what}", folder.display())]
    Lacking {
        /// The source.
        folder: PathBuf,
        /// The missing thing, and the remedy.
        what: String,
    },
    /// A table lacks a needed column.
    #[error("{} has no column {column}; its header names {header}", file.display())]
    MissingColumn {
        /// The table.
        file: PathBuf,
        /// The column, and the other names that it may have.
        column: String,
        /// The columns that are there.
        header: String,
    },
    /// Two columns of a table have one name.
    #[error("{} has two columns `{column}`; rename or remove one", file.display())]
    TwoColumns {
        /// The table.
        file: PathBuf,
        /// The column.
        column: String,
    },
    /// A table is not text in UTF-8.
    #[error("line {line} of {} is not UTF-8 text; save the table as UTF-8", file.display())]
    Encoding {
        /// The table.
        file: PathBuf,
        /// Line, from 1.
        line: u64,
    },
    /// A table ends before its end or is otherwise no table.
    #[error("line {line} of {} cannot be read: {source}", file.display())]
    Table {
        /// The table.
        file: PathBuf,
        /// Line, from 1.
        line: u64,
        /// The reason.
        source: csv::Error,
    },
    /// The sources name no films.
    #[error("{} names no film at all; check that it is the source meant", list(.0))]
    NoFilms(Vec<PathBuf>),
    /// Every film was rejected.
    #[error("none of {films} films can be imported; the first, {first}")]
    AllRejected {
        /// Number of films rejected.
        films: usize,
        /// The first of them, and the reason.
        first: String,
    },
    /// The films cannot be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A file cannot be written.
    #[error("cannot write {}: {source}; check the space and the rights there", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}
