//! The reader's jobs: films that wait, and what became of them.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Store;
use super::audit::{Action, Entry, Outcome};
use super::error::StoreError;
use super::films::{Finding, StoredReading, enter, json, object};
use super::state::State;

/// How often the reader may crash on a film.
const MOST_FAILURES: u32 = 2;

/// Who reads films, for the audit log.
const STATION: &str = "station";

/// A film that one reader has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The film's number.
    pub film: i64,
    /// Its file.
    pub path: PathBuf,
    /// True if it is to be read whatever the quality gate says.
    pub read_anyway: bool,
    /// Marks this taking of the film: an answer to an earlier one does not count.
    lease: String,
}

/// What a reader says of a film.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// It was read; the findings are cautions.
    Read {
        /// The cautions.
        findings: Vec<Finding>,
        /// The network's answer.
        reading: StoredReading,
    },
    /// It should be taken or sent again.
    Refused {
        /// What is wrong with it.
        findings: Vec<Finding>,
    },
    /// The reader crashed, hung or was killed.
    Crashed {
        /// How, in words.
        how: String,
    },
}

impl Store {
    /// Takes the film that has waited longest, if one waits.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn take(&self) -> Result<Option<Job>, StoreError> {
        self.change(|transaction| {
            let waiting = "SELECT id, hash, read_anyway IS NOT NULL FROM films
                WHERE state = 'received' AND held IS NULL AND lease IS NULL ORDER BY id LIMIT 1";
            let job = transaction.query_row(waiting, [], |row| {
                Ok(Job {
                    film: row.get(0)?,
                    path: self.files.path(&row.get::<_, String>(1)?),
                    read_anyway: row.get(2)?,
                    lease: Uuid::new_v4().to_string(),
                })
            });
            let job = job.optional()?;
            if let Some(job) = &job {
                let lease = "UPDATE films SET lease = ?2 WHERE id = ?1";
                transaction.execute(lease, params![job.film, job.lease])?;
            }
            Ok(job)
        })
    }

    /// Keeps what a reader says of a film that it has taken, and returns the film's state; none if the
    /// film was taken back meanwhile, and the answer does not count.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn answer(&self, job: &Job, answer: &Answer) -> Result<Option<State>, StoreError> {
        let film = job.film;
        self.change(|transaction| {
            let returned = "UPDATE films SET lease = NULL WHERE id = ?1 AND lease = ?2";
            if transaction.execute(returned, params![film, job.lease])? == 0 {
                return Ok(None);
            }
            let instance = instance(transaction, film)?;
            let object = object(film, instance.as_deref());

            let passed = "passed the quality gate";
            let mut entry = Entry::on_film(Action::Read, STATION, &object, passed);
            match answer {
                Answer::Read { findings, reading } => {
                    let audit = enter(transaction, film, State::Gated, None, &entry)?;
                    insert_findings(transaction, film, findings, audit)?;
                    let result = in_log(reading);
                    entry.detail = &result;
                    let audit = enter(transaction, film, State::Read, None, &entry)?;
                    insert_reading(transaction, film, reading, audit)?;
                    Ok(Some(State::Read))
                }
                Answer::Refused { findings } => {
                    let refusing = || findings.iter().filter(|finding| finding.refuses);
                    let codes: Vec<_> = refusing().map(|finding| &*finding.code).collect();
                    let codes = format!("refused: {}", codes.join(", "));
                    entry.outcome = Outcome::Minor;
                    entry.detail = &codes;
                    let reason = refusing().next().map(|finding| &*finding.sentence);
                    let audit = enter(transaction, film, State::Refused, reason, &entry)?;
                    insert_findings(transaction, film, findings, audit)?;
                    Ok(Some(State::Refused))
                }
                Answer::Crashed { how } => {
                    let failures = "UPDATE films SET failures = failures + 1 WHERE id = ?1
                        RETURNING failures";
                    let failures: u32 =
                        transaction.query_row(failures, [film], |row| row.get(0))?;
                    let state = match failures < MOST_FAILURES {
                        true => State::Received,
                        false => State::Failed,
                    };
                    entry.outcome = Outcome::Serious;
                    entry.detail = how;
                    enter(transaction, film, state, Some(how), &entry)?;
                    Ok(Some(state))
                }
            }
        })
    }

    /// Has a film read again: one that the gate refused whatever it says, one that is held, has failed or
    /// was read before by the gate's leave.
    ///
    /// # Errors
    /// [`StoreError::NoFilm`]; [`StoreError::State`] if its file has left.
    pub fn read_anyway(&self, film: i64, who: &str, why: &str) -> Result<(), StoreError> {
        self.change(|transaction| {
            let (state, removed) = state(transaction, film)?;
            if removed {
                return Err(StoreError::left(film, state));
            }
            let instance = instance(transaction, film)?;
            let object = object(film, instance.as_deref());
            let entry = Entry::on_film(Action::Update, who, &object, "to be read anyway");
            let reason = format!("{who}: {why}");
            if matches!(state, State::Read | State::Acknowledged) {
                enter(transaction, film, State::Superseded, Some(&reason), &entry)?;
            }
            enter(transaction, film, State::Received, Some(&reason), &entry)?;
            let again = "UPDATE films SET held = NULL, failures = 0, lease = NULL WHERE id = ?1";
            transaction.execute(again, [film])?;
            if state == State::Refused {
                let anyway = "UPDATE films SET read_anyway = ?2 WHERE id = ?1";
                transaction.execute(anyway, params![film, reason])?;
            }
            Ok(())
        })
    }

    /// Records that a person has seen a film's result.
    ///
    /// # Errors
    /// [`StoreError::NoFilm`]; [`StoreError::State`] if it has no result yet.
    pub fn acknowledge(&self, film: i64, who: &str) -> Result<(), StoreError> {
        self.change(|transaction| acknowledge(transaction, film, who))
    }

    /// Takes back the jobs of a process that is no more: this one holds the store's lock.
    pub(super) fn take_back_jobs(&self) -> Result<(), StoreError> {
        let taken = "UPDATE films SET lease = NULL WHERE lease IS NOT NULL";
        self.lock().execute(taken, [])?;
        Ok(())
    }
}

/// Records within a transaction that a person has seen a film's result.
pub(super) fn acknowledge(
    transaction: &Connection,
    film: i64,
    who: &str,
) -> Result<(), StoreError> {
    let (state, _) = state(transaction, film)?;
    if !matches!(state, State::Read | State::Refused | State::Failed) {
        let why = "only a film that was read, refused or has failed can be acknowledged";
        return Err(StoreError::State { film, state, why });
    }
    let instance = instance(transaction, film)?;
    let object = object(film, instance.as_deref());
    let entry = Entry::on_film(Action::Update, who, &object, "acknowledged");
    enter(transaction, film, State::Acknowledged, None, &entry)?;
    Ok(())
}

pub(super) fn instance(database: &Connection, film: i64) -> Result<Option<String>, StoreError> {
    let query = "SELECT sop_instance_uid FROM films WHERE id = ?1";
    let instance = database.query_row(query, [film], |row| row.get(0));
    instance.optional()?.ok_or(StoreError::NoFilm(film))
}

/// A film's state, and whether its file has left.
fn state(database: &Connection, film: i64) -> Result<(State, bool), StoreError> {
    let query = "SELECT state, removed FROM films WHERE id = ?1";
    let state = database.query_row(query, [film], |row| Ok((row.get(0)?, row.get(1)?)));
    state.optional()?.ok_or(StoreError::NoFilm(film))
}

/// A reading for the audit log: what was found, and with what.
fn in_log(reading: &StoredReading) -> String {
    let result = match reading.positive {
        true => "see a specialist",
        false => "no sign",
    };
    let StoredReading {
        model,
        model_version,
        bundle,
        threshold,
        probability,
        ..
    } = reading;
    format!(
        "read: {result}, probability {probability}, positive from {threshold}, by {model} {model_version}, \
         bundle SHA-256 {bundle}"
    )
}

fn insert_findings(
    transaction: &Connection,
    film: i64,
    findings: &[Finding],
    audit: i64,
) -> Result<(), StoreError> {
    for finding in findings {
        transaction.execute(
            "INSERT INTO findings VALUES (?1, ?2, ?3, ?4, ?5)",
            params![film, finding.code, finding.refuses, finding.sentence, audit],
        )?;
    }
    Ok(())
}

fn insert_reading(
    transaction: &Connection,
    film: i64,
    reading: &StoredReading,
    audit: i64,
) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT INTO readings (film, model, model_version, bundle, threshold, logit, probability,
            positive, cam, notes, milliseconds, audit)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            film,
            reading.model,
            reading.model_version,
            reading.bundle,
            reading.threshold,
            reading.logit,
            reading.probability,
            reading.positive,
            json(&reading.cam)?,
            json(&reading.film_notes)?,
            json(&reading.milliseconds)?,
            audit,
        ],
    )?;
    Ok(())
}
