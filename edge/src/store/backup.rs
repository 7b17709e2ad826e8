//! Backups of the store, taken while the station runs, and their restoration.
//!
//! A backup is a folder with a copy of the database as it was at one moment, and the films' files
//! that it names. Files are never changed, so one that is there already is not copied again.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::audit::{self, Action, Entry, Event, Newest, Outcome};
use super::error::StoreError;
use super::files::{Files, Limits};
use super::{DATABASE, Store, TOKEN, schema};
use crate::deidentify::KEY;
use crate::stick::SEAL_KEY;
use plumbline_shared::durable::replace_file;

/// The object of the audit entries.
const STORE: &str = "the whole store";

/// Copies are not refused for want of room: the system says when there is none.
const NO_LIMITS: Limits = Limits {
    film: u64::MAX,
    reserve: 0,
    low_water: 0,
};

/// What a backup or a store that was restored holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackedUp {
    /// Number of films whose files are in it.
    pub films: usize,
    /// The films whose files were missing or had other bytes than they should, and are not in it.
    pub damaged: Vec<i64>,
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
    fs::create_dir_all(target).map_err(|error| failed(target, error))?;
    require_apart(folder, target)?;
    store.log(&Entry {
        event: Event::Exported,
        action: Action::Read,
        outcome: Outcome::Success,
        who: "plumbline-edge backup",
        object: STORE,
        detail: "a backup is being written",
    })?;
    let written = target.join(".plumbline.sqlite.unfinished");
    if written.exists() {
        fs::remove_file(&written).map_err(|error| failed(&written, error))?;
    }
    copy_database(&store.lock(), &written)?;
    let database = Connection::open(&written)?;
    let copies = Arc::new(Files::open(target, super::disk(), NO_LIMITS)?);
    let mut done = BackedUp {
        films: 0,
        damaged: Vec::new(),
        newest: audit::newest(&database)?,
    };
    for Film { film, hash, bytes } in kept(&database)? {
        let there = fs::metadata(copies.path(&hash)).is_ok_and(|file| file.len() == bytes);
        if there || copy(&store.files, &copies, &hash)? {
            done.films += 1;
        } else if store.film(film)?.removed {
            // It was delivered, and has left since the copy of the database was made.
            database.execute("UPDATE films SET removed = 1 WHERE id = ?1", [film])?;
        } else {
            done.damaged.push(film);
        }
    }
    drop(database);
    let place = target.join(DATABASE);
    let renamed = File::open(&written)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&written, &place))
        .and_then(|()| File::open(target)?.sync_all());
    renamed.map_err(|error| failed(&place, error))?;
    Ok(done)
}

/// Makes the backup `source` the store in `folder`. A store that is there is kept beside it, under
/// the name that is returned. Films that are damaged in the backup are left out and listed.
///
/// # Errors
/// If the backup's database is not whole, or a process has the store open: then nothing is changed.
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
        true => {
            require_apart(folder, source)?;
            Some(super::lock(folder)?)
        }
        false => None,
    };
    let new = beside(folder, "restoring");
    if new.exists() {
        fs::remove_dir_all(&new).map_err(|error| failed(&new, error))?;
    }
    fs::create_dir_all(&new).map_err(|error| failed(&new, error))?;
    let place = new.join(DATABASE);
    copy_database(&Connection::open(&path)?, &place)?;
    let mut database = Connection::open(&place)?;
    super::require_sound(&database).map_err(|error| not_whole(&path, &error.to_string()))?;
    schema::migrate(&mut database)?;
    audit::verify(&database)?;

    let backup = Files::beside(source, super::disk(), limits);
    let files = Arc::new(Files::open(&new, super::disk(), NO_LIMITS)?);
    let (mut films, mut damaged) = (0, Vec::new());
    for Film { film, hash, .. } in kept(&database)? {
        match copy(&backup, &files, &hash)? {
            true => films += 1,
            false => damaged.push(film),
        }
    }
    audit::append(
        &database,
        &Entry {
            event: Event::Alert,
            action: Action::Update,
            outcome: Outcome::Success,
            who: "plumbline-edge restore",
            object: STORE,
            detail: &format!("restored from a backup, in place of {}", end_of_log(folder)),
        },
    )?;
    let newest = audit::newest(&database)?;
    drop(database);
    for name in [TOKEN, KEY, SEAL_KEY] {
        let secret = folder.join(name);
        if secret.exists() {
            let copied = fs::read(&secret).and_then(|bytes| replace_file(&new.join(name), &bytes));
            copied.map_err(|error| failed(&secret, error))?;
        }
    }
    let old = exchange(&new, folder).map_err(|error| failed(folder, error))?;
    let done = BackedUp {
        films,
        damaged,
        newest,
    };
    Ok((done, old))
}

/// Gives the folder `new` the name `folder`, and returns the name that what was there has now: one
/// of its own each time, for an earlier one may be the only copy of the true store.
fn exchange(new: &Path, folder: &Path) -> io::Result<Option<PathBuf>> {
    let mut names = (1..).map(|number| beside(folder, &format!("before-restore-{number}")));
    let old = names
        .find(|name| !name.exists())
        .filter(|_| folder.exists());
    let medium = super::disk();
    match &old {
        None => medium.rename(new, folder)?,
        Some(old) => match medium.exchange(new, folder) {
            Ok(()) => medium.rename(new, old)?,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                medium.rename(folder, old)?;
                medium.rename(new, folder)?;
            }
            Err(error) => return Err(error),
        },
    }
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => medium.sync_folder(parent)?,
        _ => {}
    }
    Ok(old)
}

/// Where the audit log of the store in `folder` ends, in words.
fn end_of_log(folder: &Path) -> String {
    let path = folder.join(DATABASE);
    if !path.is_file() {
        return "nothing".into();
    }
    let newest = Connection::open(&path)
        .map_err(StoreError::from)
        .and_then(|database| audit::newest(&database));
    match newest {
        Ok(Some(Newest { sequence, hash, .. })) => {
            format!("a store whose log ended at entry {sequence}, {hash}")
        }
        Ok(None) => "a store with an empty log".into(),
        Err(_) => "a store whose log cannot be read".into(),
    }
}

/// Refuses a backup's folder that lies in the store's, or the other way round.
fn require_apart(folder: &Path, backup: &Path) -> Result<(), StoreError> {
    let full = |path: &Path| path.canonicalize().map_err(|error| failed(path, error));
    let (store, copy) = (full(folder)?, full(backup)?);
    match store.starts_with(&copy) || copy.starts_with(&store) {
        true => Err(StoreError::BackupInStore { path: copy }),
        false => Ok(()),
    }
}

/// A film whose file is there.
struct Film {
    film: i64,
    hash: String,
    bytes: u64,
}

/// The films whose files are there.
fn kept(database: &Connection) -> Result<Vec<Film>, StoreError> {
    let mut statement = database.prepare("SELECT id, hash, bytes FROM films WHERE NOT removed")?;
    let films = statement.query_map([], |row| {
        Ok(Film {
            film: row.get(0)?,
            hash: row.get(1)?,
            bytes: row.get(2)?,
        })
    })?;
    Ok(films.collect::<Result<_, _>>()?)
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

/// Copies the file of the film with this hash, and returns false if it is not there or has not the
/// bytes that it had: then nothing is copied.
fn copy(from: &Files, to: &Arc<Files>, hash: &str) -> Result<bool, StoreError> {
    let Ok(mut file) = File::open(from.path(hash)) else {
        return Ok(false);
    };
    let mut incoming = to.begin()?;
    let copied = incoming.write_all_of(&mut file, || {})?;
    let whole = copied.is_ok() && incoming.hash() == hash;
    if whole {
        incoming.finish(hash)?;
    }
    Ok(whole)
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
