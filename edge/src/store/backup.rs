//! Backups of the store, taken while the station runs, and their restoration.
//!
//! A backup is a folder with a copy of the database as it was at one moment, and the films' files
//! that it names. Files are never changed, so one that is there already is not copied again.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::audit::{self, Action, Entry, Event, Newest, Outcome};
use super::error::StoreError;
use super::files::{Files, Limits};
use super::{DATABASE, Store, schema};

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackedUp {
    /// Number of films whose files are in it.
    pub films: usize,
    /// The newest entry of its audit log.
    pub newest: Option<Newest>,
}

/// Writes a backup of the store in `folder` to the folder `target`, while another process may serve
/// it. Called again with the same target it adds what is new.
///
/// # Errors
/// If the store cannot be read or the target not be written.
pub fn back_up(folder: &Path, target: &Path, limits: Limits) -> Result<BackedUp, StoreError> {
    let store = Store::beside(folder, limits)?;
    store.log(&Entry {
        event: Event::Exported,
        action: Action::Read,
        outcome: Outcome::Success,
        who: "plumbline-edge backup",
        object: "the whole store",
        detail: "a backup is being written",
    })?;
    fs::create_dir_all(target).map_err(|error| failed(target, error))?;
    let written = target.join(".plumbline.sqlite.unfinished");
    if written.exists() {
        fs::remove_file(&written).map_err(|error| failed(&written, error))?;
    }
    copy_database(&store.lock(), &written)?;
    let database = Connection::open(&written)?;
    let copies = Files::beside(target, super::disk(), limits);
    let hashes = kept(&database)?;
    for hash in &hashes {
        let (from, to) = (store.files.path(hash), copies.path(hash));
        if to.is_file() {
            continue;
        }
        match copy_file(&from, &to) {
            // It was delivered, and has left since the copy of the database was made.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !from.exists() => {
                database.execute("UPDATE films SET removed = 1 WHERE hash = ?1", [hash])?;
            }
            copied => copied.map_err(|error| failed(&to, error))?,
        }
    }
    let newest = audit::newest(&database)?;
    drop(database);
    let place = target.join(DATABASE);
    let renamed = File::open(&written)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&written, &place))
        .and_then(|()| File::open(target)?.sync_all());
    renamed.map_err(|error| failed(&place, error))?;
    Ok(BackedUp {
        films: hashes.len(),
        newest,
    })
}

/// Makes the backup `source` the store in `folder`. A store that is there is kept beside it, under
/// the name that is returned.
///
/// # Errors
/// If the backup is not whole, or a process has the store open: then nothing is changed.
pub fn restore(
    source: &Path,
    folder: &Path,
    limits: Limits,
) -> Result<(BackedUp, Option<PathBuf>), StoreError> {
    let not_whole = |path: &Path, why: &str| StoreError::Backup {
        path: path.to_path_buf(),
        why: why.to_owned(),
    };
    let path = source.join(DATABASE);
    if !path.is_file() {
        return Err(not_whole(source, "it has no database"));
    }
    // Held until the store has been exchanged.
    let _lock = match folder.exists() {
        true => Some(super::lock(folder)?),
        false => None,
    };
    let new = beside(folder, "restoring");
    if new.exists() {
        fs::remove_dir_all(&new).map_err(|error| failed(&new, error))?;
    }
    fs::create_dir_all(&new).map_err(|error| failed(&new, error))?;
    let place = new.join(DATABASE);
    copy_database(&Connection::open(&path)?, &place)?;
    let (hashes, newest) = {
        let mut database = Connection::open(&place)?;
        let check: String = database
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .map_err(|error| not_whole(&path, &error.to_string()))?;
        if check != "ok" {
            return Err(not_whole(&path, "its database is damaged"));
        }
        schema::migrate(&mut database)?;
        let newest = audit::verify(&database)?;
        (kept(&database)?, newest)
    };
    let (from, to) = (
        Files::beside(source, super::disk(), limits),
        Files::beside(&new, super::disk(), limits),
    );
    for hash in &hashes {
        let (copy, place) = (from.path(hash), to.path(hash));
        if !from.is_whole(hash) {
            return Err(not_whole(&copy, "the film is missing or damaged"));
        }
        copy_file(&copy, &place).map_err(|error| failed(&place, error))?;
    }
    // A name of its own each time: an earlier one may be the only copy of the true store.
    let mut names = (1..).map(|number| beside(folder, &format!("before-restore-{number}")));
    let old = names
        .find(|name| !name.exists())
        .filter(|_| folder.exists());
    let exchanged = || {
        if let Some(old) = &old {
            fs::rename(folder, old)?;
        }
        fs::rename(&new, folder)?;
        match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
            _ => Ok(()),
        }
    };
    exchanged().map_err(|error| failed(folder, error))?;
    let films = hashes.len();
    Ok((BackedUp { films, newest }, old))
}

/// The hashes of the films whose files are there.
fn kept(database: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = database.prepare("SELECT hash FROM films WHERE NOT removed")?;
    let hashes = statement.query_map([], |row| row.get(0))?;
    Ok(hashes.collect::<Result<_, _>>()?)
}

/// Copies a database as it is now, with what lies in its log, into one file.
fn copy_database(database: &Connection, to: &Path) -> Result<(), StoreError> {
    let mut copy = Connection::open(to)?;
    // All pages in one step: the copy is of one moment.
    Backup::new(database, &mut copy)?.run_to_completion(i32::MAX, super::WAIT, None)?;
    // Without a log of its own.
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    Ok(())
}

/// Copies a file under a temporary name, makes its folders, and gives it its name when it is whole.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let folder = to.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let unfinished = beside(to, "unfinished");
    fs::copy(from, &unfinished)?;
    File::open(&unfinished)?.sync_all()?;
    fs::rename(&unfinished, to)?;
    File::open(folder)?.sync_all()
}

/// The name `PATH.SUFFIX`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn failed(path: &Path, error: io::Error) -> StoreError {
    StoreError::File {
        path: path.to_path_buf(),
        error,
    }
}
