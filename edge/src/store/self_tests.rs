//! The self-tests of the station and how they ended.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use super::Store;
use super::audit::{self, Action, Entry, Event, Outcome};
use super::error::StoreError;
use super::films::{StoredFilm, json, object, parsed};

/// How many tests before one it is compared with.
const COMPARED: usize = 1000;

/// A self-test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SelfTest {
    /// The number of its film.
    pub film: i64,
    /// Its day, `YYYYMMDD`.
    pub day: String,
    /// What was found wrong, a sentence for each thing; none as long as it runs.
    pub wrong: Option<Vec<String>>,
    /// A digest of all that its result depends on: the bundle, the film and the preprocessing. None if it was
    /// not read.
    pub basis: Option<String>,
    /// The logit of its film.
    pub logit: Option<f64>,
    /// How long its film took to be decoded, prepared, looked at and read, in milliseconds.
    pub milliseconds: Option<f64>,
}

impl Store {
    /// Enters that a self-test has begun, by its film and its day.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn begin_self_test(&self, film: i64, day: &str) -> Result<(), StoreError> {
        self.change(|transaction| {
            let begin = "INSERT INTO self_tests (film, day) VALUES (?1, ?2)";
            transaction.execute(begin, params![film, day])?;
            Ok(())
        })
    }

    /// Enters how the self-test of `film` has ended.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn end_self_test(
        &self,
        film: &StoredFilm,
        basis: Option<&str>,
        wrong: &[String],
    ) -> Result<(), StoreError> {
        self.change(|transaction| {
            let reading = film.reading.as_ref();
            let end = "UPDATE self_tests SET wrong = ?2, basis = ?3, logit = ?4, milliseconds = ?5
                WHERE film = ?1";
            transaction.execute(
                end,
                params![
                    film.film,
                    json(&wrong)?,
                    basis,
                    reading.map(|reading| f64::from(reading.logit)),
                    reading.map(|reading| reading.milliseconds.iter().sum::<f64>()),
                ],
            )?;
            let object = object(film.film, film.header.sop_instance_uid.as_deref());
            let entry = match wrong {
                [] => Entry {
                    event: Event::Accessed,
                    action: Action::Execute,
                    outcome: Outcome::Success,
                    who: "self-test",
                    object: &object,
                    detail: "self-test: nothing is wrong",
                },
                _ => Entry {
                    event: Event::Alert,
                    action: Action::Execute,
                    outcome: Outcome::Serious,
                    who: "self-test",
                    object: &object,
                    detail: &format!("self-test: {}", wrong.join("; ")),
                },
            };
            audit::append(transaction, &entry)?;
            Ok(())
        })
    }

    /// The newest self-test.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn newest_self_test(&self) -> Result<Option<SelfTest>, StoreError> {
        let newest = "SELECT * FROM self_tests ORDER BY film DESC LIMIT 1";
        Ok(self.lock().query_row(newest, [], self_test).optional()?)
    }

    /// The newest self-test that has ended.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn last_self_test(&self) -> Result<Option<SelfTest>, StoreError> {
        Ok(ended_before(&self.lock(), i64::MAX, 1)?.pop())
    }

    /// The self-tests before that of `film` that have ended, the newest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn self_tests_before(&self, film: i64) -> Result<Vec<SelfTest>, StoreError> {
        ended_before(&self.lock(), film, COMPARED)
    }
}

fn ended_before(
    database: &Connection,
    film: i64,
    most: usize,
) -> Result<Vec<SelfTest>, StoreError> {
    let ended = "SELECT * FROM self_tests WHERE film < ?1 AND wrong IS NOT NULL
        ORDER BY film DESC LIMIT ?2";
    let mut statement = database.prepare(ended)?;
    let tests = statement.query_map(params![film, most], self_test)?;
    Ok(tests.collect::<Result<_, _>>()?)
}

fn self_test(row: &Row) -> rusqlite::Result<SelfTest> {
    let wrong: Option<String> = row.get("wrong")?;
    Ok(SelfTest {
        film: row.get("film")?,
        day: row.get("day")?,
        wrong: wrong.map(|wrong| parsed(&wrong)).transpose()?,
        basis: row.get("basis")?,
        logit: row.get("logit")?,
        milliseconds: row.get("milliseconds")?,
    })
}
