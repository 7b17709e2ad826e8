//! The examinations that the hospital's worklist tells of, and which of them films are of.

use std::collections::HashSet;

use plumbline_dimse::Planned;
use plumbline_shared::decode::Header;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::Store;
use super::audit::{self, Action, Entry};
use super::error::StoreError;
use super::films::{json, object, parsed};
use super::outbox::{self, Kind};
use super::state::State;
use super::work::instance;
use crate::clock::Moment;
use crate::worklist::{Match, day, matches};

/// How many days back what was planned is kept, for films that come late.
const DAYS_KEPT: i32 = 7;

/// How many of the newest films are matched again when the worklist has answered.
const MATCHED_AGAIN: usize = 500;

/// The one that matches films when nobody does.
const WORKLIST: &str = "worklist";

/// A planned examination in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Examination {
    /// Its number.
    pub examination: i64,
    /// What the worklist says of it.
    #[serde(flatten)]
    pub planned: Planned,
}

/// What the worklist has told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Worklist {
    /// When it last answered, by the wall clock (RFC 3339); none if it never has.
    pub answered: Option<String>,
    /// The examinations of the last days, today and tomorrow, by day and time.
    pub planned: Vec<Examination>,
}

/// An examination that a film may be of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// The examination.
    #[serde(flatten)]
    pub examination: Examination,
    /// By what it was found, in words.
    pub by: &'static str,
    /// What film and examination say differently of the patient.
    pub differs: Vec<&'static str>,
}

impl Store {
    /// Keeps what the worklist has answered, of `days` (`YYYYMMDD`) in place of what it told of them before,
    /// and matches films that came before it. Returns how many were matched.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn set_worklist(&self, days: &[String], planned: &[Planned]) -> Result<usize, StoreError> {
        self.change(|transaction| {
            let told: HashSet<_> = planned.iter().map(key).collect();
            for day in days {
                let mut known =
                    transaction.prepare("SELECT id, key FROM examinations WHERE day = ?1")?;
                let known = known.query_map([day], |row| Ok((row.get(0)?, row.get(1)?)))?;
                let known: Vec<(i64, String)> = known.collect::<Result<_, _>>()?;
                for (id, _) in known.iter().filter(|(_, key)| !told.contains(key)) {
                    transaction.execute("DELETE FROM examinations WHERE id = ?1", [id])?;
                }
            }
            for planned in planned {
                let Some(day) = &planned.start_date else {
                    continue;
                };
                // A number, once given, stays the examination's.
                let put = "INSERT INTO examinations (day, key, planned) VALUES (?1, ?2, ?3)
                    ON CONFLICT (key) DO UPDATE SET day = ?1, planned = ?3";
                transaction.execute(put, params![day, key(planned), json(planned)?])?;
            }
            let old = "DELETE FROM examinations WHERE day < ?1";
            transaction.execute(old, [day(-DAYS_KEPT)])?;
            let answered = "INSERT INTO station VALUES ('worklist_answered', ?1)
                ON CONFLICT (name) DO UPDATE SET value = ?1";
            transaction.execute(answered, [Moment::now().wall])?;
            Ok(())
        })?;
        // Others must not wait for it: each match is entered by itself.
        let found = match_films(&self.lock())?;
        for (film, one) in &found {
            self.change(|transaction| enter_match(transaction, *film, one))?;
        }
        Ok(found.len())
    }

    /// Returns what the worklist has told.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn worklist(&self) -> Result<Worklist, StoreError> {
        let database = self.lock();
        let answered = "SELECT value FROM station WHERE name = 'worklist_answered'";
        let answered = database
            .query_row(answered, [], |row| row.get(0))
            .optional()?;
        let mut planned = examinations(&database)?;
        planned.sort_by(|one, other| {
            let when = |one: &Examination| {
                (
                    one.planned.start_date.clone(),
                    one.planned.start_time.clone(),
                )
            };
            when(one).cmp(&when(other))
        });
        Ok(Worklist { answered, planned })
    }

    /// Returns the examinations that a film may be of, the likeliest first.
    ///
    /// # Errors
    /// [`StoreError::NoFilm`].
    pub fn offers(&self, film: i64) -> Result<Vec<Offer>, StoreError> {
        let database = self.lock();
        let header = header(&database, film)?;
        let examinations = examinations(&database)?;
        let found = matches(&header, &day(0), &planned(&examinations));
        let offer = |one: Match| Offer {
            examination: examinations[one.index].clone(),
            by: one.by.words(),
            differs: one.differs,
        };
        Ok(found.into_iter().map(offer).collect())
    }

    /// Enters that a person says of which examination a film is. If a report of it was filed, another one
    /// follows that names the examination.
    ///
    /// # Errors
    /// [`StoreError::NoFilm`]; [`StoreError::NoExamination`].
    pub fn set_order(&self, film: i64, examination: i64, who: &str) -> Result<(), StoreError> {
        self.change(|transaction| {
            let known = examinations(transaction)?;
            let chosen = known.into_iter().find(|one| one.examination == examination);
            let chosen = chosen.ok_or(StoreError::NoExamination(examination))?;
            let detail = format!("matched with examination {examination} of the worklist");
            enter_order(transaction, film, &chosen.planned, who, &detail)
        })
    }
}

/// What tells an examination from others.
fn key(planned: &Planned) -> String {
    let parts = [
        &planned.study_instance_uid,
        &planned.accession_number,
        &planned.requested_procedure_id,
        &planned.step_id,
        &planned.patient_id,
    ];
    parts
        .map(|part| part.as_deref().unwrap_or_default())
        .join("\n")
}

/// A match without doubt.
struct Certain {
    planned: Planned,
    by: &'static str,
}

fn certain(header: &Header, planned: &[&Planned]) -> Option<Certain> {
    let found = matches(header, &day(0), planned);
    let one = found.first().filter(|one| one.certain)?;
    Some(Certain {
        planned: planned[one.index].to_owned(),
        by: one.by.words(),
    })
}

/// Matches a film that has arrived, if there is no doubt.
pub(super) fn match_film(transaction: &Connection, film: i64) -> Result<(), StoreError> {
    let examinations = examinations(transaction)?;
    match certain(&header(transaction, film)?, &planned(&examinations)) {
        Some(one) => enter_match(transaction, film, &one),
        None => Ok(()),
    }
}

fn enter_match(transaction: &Connection, film: i64, one: &Certain) -> Result<(), StoreError> {
    let detail = format!("matched with the worklist by {}", one.by);
    enter_order(transaction, film, &one.planned, WORKLIST, &detail)
}

/// Finds matches for the newest films that have no order yet.
fn match_films(database: &Connection) -> Result<Vec<(i64, Certain)>, StoreError> {
    let examinations = examinations(database)?;
    let planned = planned(&examinations);
    let newest = "SELECT id, header
        FROM (SELECT * FROM films ORDER BY id DESC LIMIT ?1)
        WHERE origin <> 'self-test' AND header IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM orders WHERE film = id)
        ORDER BY id";
    let mut statement = database.prepare(newest)?;
    let films = statement.query_map([MATCHED_AGAIN], |row| {
        Ok((row.get(0)?, parsed::<Header>(&row.get::<_, String>(1)?)?))
    })?;
    let mut found = Vec::new();
    for film in films {
        let (film, header) = film?;
        found.extend(certain(&header, &planned).map(|one| (film, one)));
    }
    Ok(found)
}

fn examinations(database: &Connection) -> Result<Vec<Examination>, StoreError> {
    let mut statement = database.prepare("SELECT id, planned FROM examinations ORDER BY id")?;
    let examinations = statement.query_map([], |row| {
        Ok(Examination {
            examination: row.get(0)?,
            planned: parsed(&row.get::<_, String>(1)?)?,
        })
    })?;
    Ok(examinations.collect::<Result<_, _>>()?)
}

/// What is planned in each.
fn planned(examinations: &[Examination]) -> Vec<&Planned> {
    examinations.iter().map(|one| &one.planned).collect()
}

fn header(database: &Connection, film: i64) -> Result<Header, StoreError> {
    let header = "SELECT header FROM films WHERE id = ?1";
    let header: Option<Option<String>> = database
        .query_row(header, [film], |row| row.get(0))
        .optional()?;
    let header = header.ok_or(StoreError::NoFilm(film))?;
    Ok(header.map_or(Ok(Header::default()), |header| parsed(&header))?)
}

/// Enters the examination that a film is of.
fn enter_order(
    transaction: &Connection,
    film: i64,
    planned: &Planned,
    who: &str,
    detail: &str,
) -> Result<(), StoreError> {
    let state = "SELECT state FROM films WHERE id = ?1";
    let state: Option<State> = transaction
        .query_row(state, [film], |row| row.get(0))
        .optional()?;
    let state = state.ok_or(StoreError::NoFilm(film))?;
    let instance = instance(transaction, film)?;
    let object = object(film, instance.as_deref());
    let entry = Entry::on_film(Action::Update, who, &object, detail);
    let audit = audit::append(transaction, &entry)?;
    transaction.execute(
        "INSERT INTO orders VALUES (?1, ?2, ?3)",
        params![film, json(planned)?, audit],
    )?;
    // A result that was told is told again with its order.
    if outbox::sent_in(state).contains(&Kind::Report) {
        outbox::queue(transaction, film, &[Kind::Report], audit)?;
    }
    Ok(())
}

/// The examination that a film was of at the entry `until` of the audit log.
pub(super) fn order(
    database: &Connection,
    film: i64,
    until: i64,
) -> Result<Option<Planned>, StoreError> {
    let newest = "SELECT planned FROM orders WHERE film = ?1 AND audit <= ?2
        ORDER BY audit DESC LIMIT 1";
    let planned = database.query_row(newest, [film, until], |row| {
        parsed(&row.get::<_, String>(0)?)
    });
    Ok(planned.optional()?)
}
