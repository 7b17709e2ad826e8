//! A film's result as it stood when it was entered into the audit log, for what is filed of it.

use rusqlite::{Connection, OptionalExtension};

use super::Store;
use super::error::StoreError;
use super::films::{StoredFilm, StoredReading, load};
use super::panel::BUTTON;
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
    /// When that came, by the wall clock (RFC 3339).
    pub came_at: String,
    /// True if a person has seen the result.
    pub acknowledged: bool,
    /// That person, if the station knows a name.
    pub acknowledged_by: Option<String>,
    /// The result before it of which a report was filed, if there is one.
    pub predecessor: Option<Revision>,
}

/// A result of a film among its others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The number of the entry of the audit log by which the film came to this result.
    pub number: i64,
    /// That entry's hash: numbers come again when an older backup is restored.
    pub entry: String,
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
    let entry = "SELECT wall, hash FROM audit WHERE sequence = ?2
        AND (EXISTS (SELECT 1 FROM states WHERE film = ?1 AND audit = ?2)
            OR EXISTS (SELECT 1 FROM orders WHERE film = ?1 AND audit = ?2))";
    let entry = database.query_row(entry, [film, number], |row| Ok((row.get(0)?, row.get(1)?)));
    let (entered, hash): (String, String) = entry.optional()?.ok_or(StoreError::NoFilm(film))?;
    let state = "SELECT state, who FROM states JOIN audit ON audit = sequence
        WHERE film = ?1 AND audit <= ?2 ORDER BY audit DESC LIMIT 1";
    let (state, who): (State, String) =
        database.query_row(state, [film, number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut stored = load(database, film, number)?;
    // What came of the film that a person has acknowledged.
    let last = "SELECT state, wall FROM states JOIN audit ON audit = sequence
        WHERE film = ?1 AND audit <= ?2
            AND state IN ('read', 'refused', 'failed') ORDER BY audit DESC LIMIT 1";
    let last = database.query_row(last, [film, number], |row| Ok((row.get(0)?, row.get(1)?)));
    let last: Option<(State, String)> = last.optional()?;
    let (last, came_at) = last.unzip();
    let came = match (last, stored.reading.take()) {
        (Some(State::Read), Some(reading)) => Came::Read(Box::new(reading)),
        (Some(State::Refused), _) => Came::Refused,
        _ => Came::Failed,
    };
    let bundle = match &came {
        Came::Read(reading) => Some(reading.bundle.clone()),
        Came::Refused | Came::Failed => None,
    };
    let acknowledged = state == State::Acknowledged;
    Ok(Filing {
        film: stored,
        revision: Revision {
            number,
            entry: hash,
            bundle,
        },
        came_at: came_at.unwrap_or_else(|| entered.clone()),
        entered,
        came,
        acknowledged,
        acknowledged_by: (acknowledged && who != BUTTON).then_some(who),
        predecessor: predecessor(database, film, number)?,
    })
}

/// The newest result of a film before `number` of which a report was to be filed.
fn predecessor(
    database: &Connection,
    film: i64,
    number: i64,
) -> Result<Option<Revision>, StoreError> {
    // A refused film, or one that crashed its reader, was read by no bundle, whatever it was before.
    let before = "SELECT result, hash, CASE
            (SELECT state FROM states WHERE states.film = ?1 AND audit <= result
                AND state IN ('read', 'refused', 'failed') ORDER BY audit DESC LIMIT 1)
            WHEN 'read' THEN (SELECT bundle FROM readings
                WHERE readings.film = ?1 AND audit <= result ORDER BY id DESC LIMIT 1)
            END
        FROM deliveries JOIN audit ON result = sequence
        WHERE film = ?1 AND result < ?2 AND kind = 'report' ORDER BY result DESC LIMIT 1";
    let before = database.query_row(before, [film, number], |row| {
        Ok(Revision {
            number: row.get(0)?,
            entry: row.get(1)?,
            bundle: row.get(2)?,
        })
    });
    Ok(before.optional()?)
}
