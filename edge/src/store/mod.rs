//! The station's memory: films' files by hash, and one SQLite database of what became of them. A
//! change of a film's state and its entry in the audit log are one transaction, so that after any
//! crash both are there or neither is.
//!
//! One process has the store open at a time ([`Store::open`]). `plumbline-edge backup` and `check`
//! read beside it ([`Store::beside`]).

mod audit;
mod backup;
mod commitment;
mod data_set;
mod error;
mod files;
mod filing;
mod films;
mod folder_files;
mod orders;
mod outbox;
mod panel;
mod parts;
mod proof;
mod results;
mod room;
mod schema;
mod self_tests;
mod state;
mod work;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use plumbline_shared::durable::{Disk, Medium};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use uuid::Uuid;

use self::files::Files;
use self::parts::Parts;

pub use audit::{Action, Entry, Event, Newest, Outcome, Row};
pub use backup::{BackedUp, back_up, restore};
pub use commitment::Question;
pub use data_set::DataSet;
pub use error::StoreError;
pub use files::{Incoming, Limits};
pub use filing::{Came, Filing, Revision};
pub use films::{Arrival, Finding, Kept, Origin, StoredFilm, StoredReading};
pub use folder_files::FileVersion;
pub use orders::{Examination, Offer, Worklist};
pub use outbox::{Delivery, DeliveryState, Kind, Listed, Recipient, Sent, SentAs};
pub use panel::{PanelDeed, PanelState};
pub use parts::{Part, PartError};
pub use proof::{Chain, ChainError, Link, Proved};
pub use self_tests::SelfTest;
pub use state::State;
pub use work::{Answer, Job};

/// The database's file in the store's folder.
const DATABASE: &str = "plumbline.sqlite";

/// The file that the process which has the store open locks.
const LOCK: &str = "lock";

/// The file of the token that uploads need.
pub const TOKEN: &str = "token";

/// How long a writer waits for another process, such as a backup.
const WAIT: Duration = Duration::from_secs(30);

/// The station's memory. Threads share it.
pub struct Store {
    folder: PathBuf,
    files: Arc<Files>,
    parts: Parts,
    database: Mutex<Connection>,
    /// Held open for its lock.
    _lock: Option<File>,
}

impl Store {
    /// Opens the store in `folder`, which is made if it is not there: brings its database to this
    /// version, removes what was half received, and takes back the jobs of a station that crashed.
    ///
    /// # Errors
    /// If another process has it open, or the disk or the database cannot be used.
    pub fn open(
        folder: &Path,
        limits: Limits,
        medium: Arc<dyn Medium + Send + Sync>,
    ) -> Result<Self, StoreError> {
        let failed = |path: &Path, error| StoreError::File {
            path: path.to_path_buf(),
            error,
        };
        fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        let lock = lock(folder)?;
        let files = Arc::new(Files::open(folder, medium, limits)?);
        let path = folder.join(DATABASE);
        // A new database would make orphans of all films.
        if !path.exists() && !files.hashes()?.is_empty() {
            return Err(StoreError::DatabaseMissing { path });
        }
        let mut database = Connection::open(&path)?;
        prepare(&database)?;
        schema::migrate(&mut database)?;
        // The database's own name must survive as well.
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| failed(folder, error))?;
        let store = Self {
            folder: folder.to_path_buf(),
            files,
            parts: Parts::default(),
            database: Mutex::new(database),
            _lock: Some(lock),
        };
        store.take_back_jobs()?;
        store.take_back_deliveries()?;
        store.set_orphans_aside()?;
        Ok(store)
    }

    /// Opens the store in `folder` beside the process that serves it, to read it or to append to
    /// the audit log.
    ///
    /// # Errors
    /// If there is no store, or it has another version than this program's.
    pub fn beside(folder: &Path, limits: Limits) -> Result<Self, StoreError> {
        let path = folder.join(DATABASE);
        if !path.is_file() {
            let error = io::ErrorKind::NotFound.into();
            return Err(StoreError::File { path, error });
        }
        let database = Connection::open(&path)?;
        prepare(&database)?;
        schema::version(&database)?;
        Ok(Self {
            folder: folder.to_path_buf(),
            files: Arc::new(Files::beside(folder, disk(), limits)),
            parts: Parts::default(),
            database: Mutex::new(database),
            _lock: None,
        })
    }

    /// The store's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of a film.
    ///
    /// # Errors
    /// [`StoreError::State`] if it has left.
    pub fn path(&self, film: &StoredFilm) -> Result<PathBuf, StoreError> {
        match film.removed {
            true => Err(StoreError::left(film.film, film.state)),
            false => Ok(self.files.path(&film.hash)),
        }
    }

    /// The SHA-256 that the file of a film has now, in hexadecimal digits.
    ///
    /// # Errors
    /// The system's.
    pub fn digest(&self, film: &StoredFilm) -> io::Result<String> {
        self.files.digest(&film.hash)
    }

    /// The station's UID, which is drawn when it is first asked for and then stays.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn station_uid(&self) -> Result<String, StoreError> {
        let drawn = draw_uid();
        self.change(|transaction| {
            let insert = "INSERT OR IGNORE INTO station VALUES ('uid', ?1)";
            transaction.execute(insert, [drawn])?;
            let uid = "SELECT value FROM station WHERE name = 'uid'";
            Ok(transaction.query_row(uid, [], |row| row.get(0))?)
        })
    }

    /// Begins to receive a film.
    ///
    /// # Errors
    /// [`StoreError::Full`] below the reserve; others if the disk cannot be used.
    pub fn begin(&self) -> Result<Incoming, StoreError> {
        self.files.begin()
    }

    /// Appends an entry to the audit log that no film's state belongs to.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn log(&self, entry: &Entry) -> Result<i64, StoreError> {
        self.change(|transaction| audit::append(transaction, entry))
    }

    /// Looks at every page of the database, and at every row that names another.
    ///
    /// # Errors
    /// If one is damaged.
    pub fn require_sound(&self) -> Result<(), StoreError> {
        require_sound(&self.lock())
    }

    /// Computes the audit log's chain again, and returns the newest entry.
    ///
    /// # Errors
    /// [`StoreError::Chain`] at the first entry that was changed or is missing.
    pub fn verify_audit(&self) -> Result<Option<Newest>, StoreError> {
        audit::verify(&self.lock())
    }

    /// The newest entry of the audit log.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn newest_audit(&self) -> Result<Option<Newest>, StoreError> {
        audit::newest(&self.lock())
    }

    /// Does `work` in one transaction: all of it is written, or nothing.
    fn change<T>(
        &self,
        work: impl FnOnce(&Transaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut database = self.lock();
        let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A thread that panicked has rolled its transaction back.
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Draws a UID (PS3.5, B.2).
pub(crate) fn draw_uid() -> String {
    format!("2.25.{}", Uuid::new_v4().as_u128())
}

fn require_sound(database: &Connection) -> Result<(), StoreError> {
    let check: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if check != "ok" {
        return Err(StoreError::Damaged(check));
    }
    let broken = "SELECT count(*) FROM pragma_foreign_key_check";
    match database.query_row(broken, [], |row| row.get(0))? {
        0_u64 => Ok(()),
        rows => Err(StoreError::Damaged(format!(
            "rows that name missing ones: {rows}"
        ))),
    }
}

/// The system's own files.
fn disk() -> Arc<dyn Medium + Send + Sync> {
    Arc::new(Disk)
}

/// Locks the store in `folder` for this process.
fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK);
    let file = File::create(&path).map_err(|error| StoreError::File { path, error })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(StoreError::InUse {
            folder: folder.to_path_buf(),
        }),
    }
}

/// Sets what a connection needs: a commit returns when it survives a power cut.
fn prepare(database: &Connection) -> Result<(), StoreError> {
    database.busy_timeout(WAIT)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.pragma_update(None, "foreign_keys", true)?;
    Ok(())
}

#[cfg(test)]
mod tests;
