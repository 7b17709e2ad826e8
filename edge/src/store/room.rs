//! Room on the disk: delivered films leave when it becomes low, the oldest first; undelivered ones
//! never.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};

use super::Store;
use super::audit::{self, Action, Entry, Event, Outcome};
use super::error::StoreError;
use super::films::object;
use super::work::instance;

impl Store {
    /// Free space of the disk in bytes.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn free(&self) -> Result<u64, StoreError> {
        Ok(self.files.space()?.0)
    }

    /// Size of the disk in bytes.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn disk_size(&self) -> Result<u64, StoreError> {
        Ok(self.files.space()?.1)
    }

    /// True if there is more free space than the reserve.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn has_room(&self) -> Result<bool, StoreError> {
        Ok(self.free()? >= self.files.limits().reserve)
    }

    /// Records that a film is where it should go: its file may leave when the disk becomes full.
    ///
    /// # Errors
    /// [`StoreError::NoFilm`].
    pub fn deliver(&self, film: i64, who: &str, to: &str) -> Result<(), StoreError> {
        self.change(|transaction| {
            let how = format!("delivered to {to}");
            enter_export(transaction, film, Action::Update, who, &how)?;
            transaction.execute("UPDATE films SET delivered = 1 WHERE id = ?1", [film])?;
            Ok(())
        })
    }

    /// Enters into the audit log that `who` has taken a film out of the store, and how.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn exported(&self, film: i64, who: &str, how: &str) -> Result<(), StoreError> {
        self.change(|transaction| enter_export(transaction, film, Action::Read, who, how))
    }

    /// Removes the files of delivered films, the oldest first, until there is as much free space as
    /// there should be, none is left to remove or the time is over. Returns how many were removed.
    ///
    /// # Errors
    /// If the database or the disk cannot be written.
    pub fn make_room(&self, longest: Duration) -> Result<usize, StoreError> {
        let until = Instant::now() + longest;
        let mut removed = 0;
        while self.free()? < self.files.limits().low_water && Instant::now() < until {
            let Some(hash) = self.remove_oldest()? else {
                break;
            };
            // After the row: a file without a row is set aside at the next start. The film may have
            // come again meanwhile.
            let database = self.lock();
            let left = "SELECT removed FROM films WHERE hash = ?1";
            if database.query_row(left, [&hash], |row| row.get(0))? {
                self.files.remove(&hash)?;
            }
            removed += 1;
        }
        Ok(removed)
    }

    /// Marks the oldest delivered film as removed, and returns its file's hash.
    pub(super) fn remove_oldest(&self) -> Result<Option<String>, StoreError> {
        self.change(|transaction| {
            let oldest = "SELECT id, hash FROM films WHERE delivered AND NOT removed
                AND state != 'received' ORDER BY id LIMIT 1";
            let oldest: Option<(i64, String)> = transaction
                .query_row(oldest, [], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((film, hash)) = oldest else {
                return Ok(None);
            };
            let instance = instance(transaction, film)?;
            let entry = Entry {
                event: Event::Deleted,
                action: Action::Delete,
                outcome: Outcome::Success,
                who: "station",
                object: &object(film, instance.as_deref()),
                detail: "its file was removed to make room; it was delivered",
            };
            audit::append(transaction, &entry)?;
            transaction.execute("UPDATE films SET removed = 1 WHERE id = ?1", params![film])?;
            Ok(Some(hash))
        })
    }

    /// Moves files that belong to no film into the folder `orphans`: those of a station that crashed
    /// between a file's renaming and its row, or between a film's removal and its file's, and those
    /// of a database that is not the newest one.
    pub(super) fn set_orphans_aside(&self) -> Result<(), StoreError> {
        let kept: HashSet<String> = {
            let database = self.lock();
            let mut statement = database.prepare("SELECT hash FROM films WHERE NOT removed")?;
            let hashes = statement.query_map([], |row| row.get(0))?;
            hashes.collect::<Result<_, _>>()?
        };
        for hash in self.files.hashes()? {
            if !kept.contains(&hash) {
                self.files.set_aside(&hash)?;
            }
        }
        Ok(())
    }

    /// Returns the films whose file is missing or has other bytes than it had; reads all of them.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn damaged_films(&self) -> Result<Vec<i64>, StoreError> {
        let films: Vec<(i64, String)> = {
            let database = self.lock();
            let kept = "SELECT id, hash FROM films WHERE NOT removed ORDER BY id";
            let mut statement = database.prepare(kept)?;
            let films = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            films.collect::<Result<_, _>>()?
        };
        let damaged = films
            .into_iter()
            .filter(|(_, hash)| !self.files.is_whole(hash));
        Ok(damaged.map(|(film, _)| film).collect())
    }
}

/// Enters into the audit log that a film has gone elsewhere.
fn enter_export(
    transaction: &Connection,
    film: i64,
    action: Action,
    who: &str,
    how: &str,
) -> Result<(), StoreError> {
    let instance = instance(transaction, film)?;
    let entry = Entry {
        event: Event::Exported,
        action,
        outcome: Outcome::Success,
        who,
        object: &object(film, instance.as_deref()),
        detail: how,
    };
    audit::append(transaction, &entry).map(|_| ())
}
