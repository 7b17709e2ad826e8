//! Errors of the store.

use std::io;
use std::path::PathBuf;

/// An error of the store. Each message is a whole sentence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or folder cannot be read or written.
    #[error("{} cannot be used ({error}): check the disk and the folder's owner", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The database cannot be read or written.
    #[error("the station's database cannot be used ({0}): check the disk, or restore a backup")]
    Database(#[from] rusqlite::Error),
    /// The database's pages are damaged, or its rows contradict each other.
    #[error("the station's database is damaged ({0}): restore a backup")]
    Damaged(String),
    /// There are films and no database.
    #[error(
        "{} is missing, and there are films: bring it back, or restore a backup; to begin anew, move \
         the whole data folder away", path.display()
    )]
    DatabaseMissing {
        /// The database.
        path: PathBuf,
    },
    /// A later version of the program has written the database.
    #[error(
        "the station's database has version {version} and this program knows {newest}: install the \
         newer program again, or restore a backup of the older one"
    )]
    Newer {
        /// The database's version.
        version: usize,
        /// The newest that this program knows.
        newest: usize,
    },
    /// Another process has the store open.
    #[error("{} is in use by another plumbline-edge: stop that one first", folder.display())]
    InUse {
        /// The store's folder.
        folder: PathBuf,
    },
    /// The disk has too little space left.
    #[error(
        "the disk has {free_mib} MiB left, less than the reserve of {reserve_mib} MiB: free space, \
         or deliver films so that they can leave"
    )]
    Full {
        /// Space left in MiB.
        free_mib: u64,
        /// Space kept free in MiB.
        reserve_mib: u64,
    },
    /// A file is longer than films may be.
    #[error("it has more than {most_mib} MiB, the most that a film may have")]
    TooLong {
        /// The limit in MiB.
        most_mib: u64,
    },
    /// There is no such film.
    #[error("there is no film {0}")]
    NoFilm(i64),
    /// There is no such delivery that waits or was refused.
    #[error("there is no delivery {0} that could be sent again: it was delivered, or never was")]
    NoDelivery(i64),
    /// The worklist tells of no such examination.
    #[error("the worklist has no examination {0} any more: look at /worklist")]
    NoExamination(i64),
    /// The film's state does not allow what was asked.
    #[error("film {film} is {state}: {why}")]
    State {
        /// The film.
        film: i64,
        /// Its state.
        state: super::State,
        /// What would be needed.
        why: &'static str,
    },
    /// The audit log was changed or cut.
    #[error("the audit log is broken at entry {sequence}: {why}")]
    Chain {
        /// The first entry that does not fit.
        sequence: i64,
        /// What does not fit.
        why: &'static str,
    },
    /// No entry has this hash.
    #[error(
        "no entry of the audit log from the film's first one on has the hash {0}: correct it, or leave it out"
    )]
    NoHash(String),
    /// An entry between those of a film was made before entries had digests.
    #[error(
        "entry {sequence} of the audit log was made by an older version of this program: what happened to film \
         {film} cannot be proved without telling of other films; films that came since can be"
    )]
    Undivided {
        /// The film.
        film: i64,
        /// The entry.
        sequence: i64,
    },
    /// A backup's folder lies in the store's, or the other way round.
    #[error("{} overlaps the station's data: keep backups in another folder, best on another disk",
        path.display())]
    BackupInStore {
        /// The backup's folder.
        path: PathBuf,
    },
    /// A backup is not whole.
    #[error("the backup {} is not whole ({why}): use another one", path.display())]
    Backup {
        /// The backup's folder or the file in it.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl StoreError {
    /// A film's file is needed, and has left.
    pub(super) const fn left(film: i64, state: super::State) -> Self {
        let why = "its file has left to make room; send it again";
        Self::State { film, state, why }
    }
}
