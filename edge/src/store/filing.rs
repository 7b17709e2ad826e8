//! A film's result as it stood when it was entered into the audit log, for what is filed of it.

use rusqlite::{Connection, OptionalExtension, params};

use super::Store;
use super::error::StoreError;
use super::films::{StoredFilm, StoredReading, load};
use super::state::State;

/// A result of a film, as it stood when it was entered into the audit log.
#[derive(Clone, Debug)]
pub struct Filing {
    /// The film.
    pub film: StoredFilm,
    /// Which of the film's results it is.
    pub revision: Revision,
    /// When it was entered, by the wall clock (RFC 3339).
    pub entered: String,
    /// What came of the film.
    pub came: Came,
    /// Who has seen the result, if somebody has.
    pub acknowledged_by: Option<String>,
    /// The result before it of which a report was filed, if there is one.
    pub predecessor: Option<Revision>,
}

/// A result of a film among its others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The number of the entry of the audit log by which the film came to this result.
    pub number: i64,
    /// The digest of the bundle that read it, if one did.
    pub bundle: Option<String>,
}

/// What came of a film.
#[derive(Clone, Debug, PartialEq)]
pub enum Came {
    /// It was read.
    Read(Box<StoredReading>),
    /// It should be taken or sent again.
    Refused,
    /// The reader crashed on it.
    Failed,
}

impl Filing {
    /// The reading, if the film was read.
    pub fn reading(&self) -> Option<&StoredReading> {
        match &self.came {
            Came::Read(reading) => Some(reading),
            Came::Refused | Came::Failed => None,
        }
    }
}

impl Store {
    /// Returns the result of `film` that has this number.
    ///
    /// # Errors
    /// [`StoreError::NoFilm`] if there is none.
    pub fn filing(&self, film: i64, number: i64) -> Result<Filing, StoreError> {
        filing(&self.lock(), film, number)
    }
}

fn filing(database: &Connection, film: i64, number: i64) -> Result<Filing, StoreError> {
    let entry = "SELECT state, wall, who FROM states JOIN audit ON audit = sequence
        WHERE film = ?1 AND audit = ?2";
    let entry = database.query_row(entry, [film, number], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    });
    let (state, entered, who): (State, String, String) =
        entry.optional()?.ok_or(StoreError::NoFilm(film))?;
    let mut stored = load(database, film, number)?;
    // What came of the film that a person has acknowledged.
    let last = "SELECT state FROM states WHERE film = ?1 AND audit <= ?2
        AND state IN ('read', 'refused', 'failed') ORDER BY audit DESC LIMIT 1";
    let last: Option<State> = database
        .query_row(last, [film, number], |row| row.get(0))
        .optional()?;
    let came = match (last, stored.reading.take()) {
        (Some(State::Read), Some(reading)) => Came::Read(Box::new(reading)),
        (Some(State::Refused), _) => Came::Refused,
        _ => Came::Failed,
    };
    let bundle = match &came {
        Came::Read(reading) => Some(reading.bundle.clone()),
        _ => None,
    };
    let before = "SELECT max(result) FROM deliveries
        WHERE film = ?1 AND result < ?2 AND kind = 'report'";
    let before: Option<i64> =
        database.query_row(before, params![film, number], |row| row.get(0))?;
    let predecessor = match before {
        Some(before) => Some(filing(database, film, before)?.revision),
        None => None,
    };
    Ok(Filing {
        film: stored,
        revision: Revision { number, bundle },
        entered,
        came,
        acknowledged_by: (state == State::Acknowledged).then_some(who),
        predecessor,
    })
}
