//! What is to be sent to other systems: one row for each object and destination, made within the
//! transaction that enters the result, so that no result is forgotten.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Store;
use super::audit::{self, Action, Entry, Event, Outcome};
use super::error::StoreError;
use super::films::object;
use super::state::{State, stored_by_name};
use super::work::instance;
use crate::clock;

/// The longest that a delivery which the destination refused holds up those behind it in its study.
const REFUSED_HOLDS: i64 = 3600 * NANOSECONDS;

const NANOSECONDS: i64 = 1_000_000_000;

/// What is sent of a film.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The film, as it came.
    Original,
    /// The structured report of a result.
    Report,
    /// The picture of a result with the heat map.
    Capture,
    /// The page of a result, for paper.
    Page,
    /// The film, de-identified.
    Deidentified,
}

impl Kind {
    /// All kinds, in the order in which they are sent.
    pub const ALL: [Self; 5] = [
        Self::Original,
        Self::Report,
        Self::Capture,
        Self::Page,
        Self::Deidentified,
    ];

    /// The kind's name in the database and in file names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Report => "report",
            Self::Capture => "capture",
            Self::Page => "page",
            Self::Deidentified => "deidentified",
        }
    }
}

/// A system that results are sent to, and what it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Its name.
    pub name: String,
    /// What it gets.
    pub kinds: Vec<Kind>,
    /// True if it is asked whether it keeps what it has got.
    pub commits: bool,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// It waits, or is tried again later.
    Waiting,
    /// The destination has it.
    Delivered,
    /// The destination will not take it. It is kept, and can be sent again.
    Refused,
    /// The configuration has no such destination any more.
    Dropped,
}

impl DeliveryState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Delivered, Self::Refused, Self::Dropped];

    /// The state's name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Dropped => "dropped",
        }
    }
}

/// A thing that is to be sent, taken by one sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number.
    pub id: i64,
    /// The film.
    pub film: i64,
    /// The number of the result.
    pub result: i64,
    /// What is to be sent of it.
    pub kind: Kind,
    /// How often it was tried before.
    pub attempts: u32,
    /// How many of these tries failed though the destination was there.
    pub failures: u32,
    /// Marks this taking: an end of an earlier one does not count.
    lease: String,
}

/// How a try to send ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The destination has it; its words, if it had any.
    Delivered(Option<String>),
    /// Not now: again after so many seconds.
    Later {
        /// Why, in the destination's words.
        why: String,
        /// The wait, in seconds.
        seconds: u64,
        /// True if the destination was there.
        failed: bool,
    },
    /// Never, in the destination's words.
    Refused(String),
}

/// A delivery as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its number.
    pub delivery: i64,
    /// The film.
    pub film: i64,
    /// The number of the result.
    pub result: i64,
    /// What is sent of it.
    pub kind: Kind,
    /// Where it goes.
    pub destination: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// The destination's last words.
    pub words: Option<String>,
    /// Its SOP Instance UID, once it was sent.
    pub instance: Option<String>,
    /// Whether the destination has said that it keeps it for good; none if it is not asked.
    pub kept: Option<bool>,
}

/// A SOP instance that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentAs {
    /// Its SOP Class UID.
    pub class: String,
    /// Its SOP Instance UID.
    pub instance: String,
}

impl Store {
    /// Sets who gets what of results that are entered from now on. What waits for a destination that is no
    /// more is dropped, and waits again if that comes back.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn set_recipients(&self, recipients: &[Recipient]) -> Result<(), StoreError> {
        self.change(|transaction| {
            transaction.execute("DELETE FROM recipients", [])?;
            let mut films = BTreeSet::new();
            for Recipient {
                name,
                kinds,
                commits,
            } in recipients
            {
                for kind in kinds {
                    let insert =
                        "INSERT INTO recipients VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
                    transaction.execute(insert, params![name, kind, commits])?;
                }
                let changed = "UPDATE deliveries SET commits = ?2
                    WHERE destination = ?1 AND commits <> ?2 RETURNING film";
                let mut statement = transaction.prepare(changed)?;
                for film in statement.query_map(params![name, commits], |row| row.get(0))? {
                    films.insert(film?);
                }
            }
            for (moved, how) in [
                (
                    "UPDATE deliveries SET state = 'dropped' WHERE state = 'waiting'
                        AND destination NOT IN (SELECT name FROM recipients) RETURNING id, film",
                    "its destination is not configured any more",
                ),
                (
                    "UPDATE deliveries SET state = 'waiting' WHERE state = 'dropped'
                        AND destination IN (SELECT name FROM recipients) RETURNING id, film",
                    "its destination is configured again",
                ),
            ] {
                let mut statement = transaction.prepare(moved)?;
                let moved: Vec<(i64, i64)> = statement
                    .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect::<Result<_, _>>()?;
                for (delivery, film) in moved {
                    enter_transfer(transaction, delivery, Outcome::Minor, how)?;
                    films.insert(film);
                }
            }
            for film in films {
                mark_delivered(transaction, film)?;
            }
            Ok(())
        })
    }

    /// Takes the delivery to `destination` that is next: the oldest that is due, behind which no
    /// other of its study waits.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn take_delivery(&self, destination: &str) -> Result<Option<Delivery>, StoreError> {
        self.change(|transaction| {
            let (boot, now) = (clock::boot(), clock::since_boot());
            // Times of an earlier start say nothing now: what waited then is due.
            let next = "SELECT id, film, result, kind, attempts, failures FROM deliveries AS next
                WHERE destination = ?1 AND state = 'waiting' AND lease IS NULL
                    AND (due_boot <> ?2 OR due <= ?3)
                    AND NOT EXISTS (SELECT 1 FROM deliveries AS before
                        WHERE before.destination = ?1 AND before.study = next.study
                            AND before.id < next.id AND before.state <> 'delivered'
                            AND (before.state = 'waiting' OR before.state = 'refused'
                                AND before.kind <> 'deidentified'
                                AND before.due_boot = ?2 AND before.due > ?3))
                ORDER BY id LIMIT 1";
            let delivery = transaction.query_row(next, params![destination, boot, now], |row| {
                Ok(Delivery {
                    id: row.get(0)?,
                    film: row.get(1)?,
                    result: row.get(2)?,
                    kind: row.get(3)?,
                    attempts: row.get(4)?,
                    failures: row.get(5)?,
                    lease: Uuid::new_v4().to_string(),
                })
            });
            let delivery = delivery.optional()?;
            if let Some(delivery) = &delivery {
                let lease = "UPDATE deliveries SET lease = ?2 WHERE id = ?1";
                transaction.execute(lease, params![delivery.id, delivery.lease])?;
            }
            Ok(delivery)
        })
    }

    /// Enters how a try to send ended, and as which instance it was sent, if it was made. Returns false if
    /// the delivery was taken back meanwhile.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn end_delivery(
        &self,
        delivery: &Delivery,
        sent: &Sent,
        sent_as: Option<&SentAs>,
    ) -> Result<bool, StoreError> {
        self.change(|transaction| {
            let (state, words, seconds) = match sent {
                Sent::Delivered(words) => (DeliveryState::Delivered, words.as_deref(), 0),
                Sent::Later { why, seconds, .. } => {
                    (DeliveryState::Waiting, Some(&**why), *seconds)
                }
                Sent::Refused(why) => (DeliveryState::Refused, Some(&**why), 0),
            };
            let wait = match state {
                DeliveryState::Refused => REFUSED_HOLDS,
                _ => i64::try_from(seconds)
                    .unwrap_or(i64::MAX / 2)
                    .saturating_mul(NANOSECONDS),
            };
            let failed = matches!(sent, Sent::Later { failed: true, .. });
            let ended = "UPDATE deliveries SET state = ?3, words = ?4, lease = NULL,
                    attempts = attempts + 1, failures = failures + ?7, due_boot = ?5, due = ?6
                WHERE id = ?1 AND lease = ?2";
            let due = clock::since_boot().saturating_add(wait);
            let ended = transaction.execute(
                ended,
                params![
                    delivery.id,
                    delivery.lease,
                    state,
                    words,
                    clock::boot(),
                    due,
                    failed
                ],
            )?;
            if ended == 0 {
                return Ok(false);
            }
            if let Some(SentAs { class, instance }) = sent_as {
                let named = "UPDATE deliveries SET class = ?2, instance = ?3 WHERE id = ?1";
                transaction.execute(named, params![delivery.id, class, instance])?;
            }
            let (outcome, how) = match sent {
                Sent::Delivered(_) => (Outcome::Success, "delivered"),
                Sent::Refused(_) => (Outcome::Serious, "refused by the destination"),
                // The log would be full of a system that is away for weeks.
                Sent::Later { .. } => return Ok(true),
            };
            enter_transfer(transaction, delivery.id, outcome, how)?;
            mark_delivered(transaction, delivery.film)?;
            Ok(true)
        })
    }

    /// Has a delivery sent again that its destination refused, or one that waits sent now.
    ///
    /// # Errors
    /// [`StoreError::NoDelivery`] if there is none, or it was delivered.
    pub fn send_again(&self, delivery: i64, who: &str) -> Result<(), StoreError> {
        self.change(|transaction| {
            let again =
                "UPDATE deliveries SET state = 'waiting', due_boot = '', failures = 0, lost = 0,
                    question = NULL
                WHERE id = ?1 AND state <> 'delivered' RETURNING film";
            let film: Option<i64> = transaction
                .query_row(again, [delivery], |row| row.get(0))
                .optional()?;
            let film = film.ok_or(StoreError::NoDelivery(delivery))?;
            let instance = instance(transaction, film)?;
            let object = object(film, instance.as_deref());
            let detail = format!("delivery {delivery} to be sent again");
            audit::append(
                transaction,
                &Entry::on_film(Action::Update, who, &object, &detail),
            )?;
            Ok(())
        })
    }

    /// Returns the newest deliveries, at most `most`, the newest first; of one film or in one state alone,
    /// if it is given.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn deliveries(
        &self,
        film: Option<i64>,
        state: Option<DeliveryState>,
        most: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        let database = self.lock();
        // Which film a pseudonym is of is nobody's to see.
        let newest = "SELECT id, film, result, kind, destination, state, attempts, words,
                iif(kind = 'deidentified', NULL, instance),
                iif(commits, kept, NULL)
            FROM deliveries WHERE (?1 IS NULL OR film = ?1) AND (?2 IS NULL OR state = ?2)
            ORDER BY id DESC LIMIT ?3";
        let mut statement = database.prepare(newest)?;
        let listed = statement.query_map(params![film, state, most], |row| {
            Ok(Listed {
                delivery: row.get(0)?,
                film: row.get(1)?,
                result: row.get(2)?,
                kind: row.get(3)?,
                destination: row.get(4)?,
                state: row.get(5)?,
                attempts: row.get(6)?,
                words: row.get(7)?,
                instance: row.get(8)?,
                kept: row.get(9)?,
            })
        })?;
        Ok(listed.collect::<Result<_, _>>()?)
    }

    /// Counts the deliveries to each destination in each state.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn count_deliveries(&self) -> Result<Vec<(String, DeliveryState, u64)>, StoreError> {
        let database = self.lock();
        let counts = "SELECT destination, state, count(*) FROM deliveries
            GROUP BY destination, state";
        let mut statement = database.prepare(counts)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Takes back the deliveries of a process that is no more, and the questions that it had not put: this
    /// one holds the store's lock.
    pub(super) fn take_back_deliveries(&self) -> Result<(), StoreError> {
        let database = self.lock();
        let taken = "UPDATE deliveries SET lease = NULL WHERE lease IS NOT NULL";
        database.execute(taken, [])?;
        let not_put = "UPDATE deliveries SET question = NULL
            WHERE question IN (SELECT uid FROM commitments WHERE NOT put)";
        database.execute(not_put, [])?;
        Ok(())
    }
}

/// What is sent of a film that has come to `state`.
pub(super) const fn sent_in(state: State) -> &'static [Kind] {
    match state {
        // What the gate refuses may be no film at all, and is not given to research.
        State::Read => &Kind::ALL,
        State::Refused | State::Failed => &[Kind::Original, Kind::Report, Kind::Page],
        State::Acknowledged => &[Kind::Report, Kind::Page],
        State::Received | State::Gated | State::Superseded => &[],
    }
}

/// Makes the deliveries of these kinds of the result that a film has since the entry `audit`. Films that
/// came without a study, as pictures do, cannot be filed in one.
pub(super) fn queue(
    transaction: &Connection,
    film: i64,
    kinds: &[Kind],
    audit: i64,
) -> Result<(), StoreError> {
    if kinds.is_empty() {
        return Ok(());
    }
    for kind in kinds {
        let insert = "INSERT INTO deliveries (film, result, kind, destination, study, commits)
            SELECT ?1, ?2, ?3, recipients.name, header ->> 'study_instance_uid', commits
            FROM films, recipients
            WHERE films.id = ?1 AND recipients.kind = ?3
                AND header ->> 'study_instance_uid' IS NOT NULL
                AND header ->> 'series_instance_uid' IS NOT NULL
                AND (?3 <> 'deidentified' OR origin <> 'self-test')
                AND header ->> 'sop_class_uid' IS NOT NULL AND sop_instance_uid IS NOT NULL
                AND (?3 NOT IN ('original', 'deidentified') OR NOT EXISTS (SELECT 1 FROM deliveries
                    WHERE film = ?1 AND kind = ?3 AND destination = recipients.name))
            ORDER BY recipients.rowid";
        transaction.execute(insert, params![film, audit, kind])?;
    }
    mark_delivered(transaction, film)
}

/// Notes whether all that is to be sent of a film was delivered, and is kept where that was asked. What must not
/// leave for research does not keep it on the disk.
pub(super) fn mark_delivered(transaction: &Connection, film: i64) -> Result<(), StoreError> {
    let delivered = "UPDATE films SET delivered =
            NOT EXISTS (SELECT 1 FROM deliveries
                WHERE film = ?1 AND state <> 'dropped'
                    AND NOT (kind = 'deidentified' AND state = 'refused')
                    AND (state <> 'delivered' OR commits AND NOT kept))
        WHERE id = ?1 AND EXISTS (SELECT 1 FROM deliveries
            WHERE film = ?1 AND NOT (kind = 'deidentified' AND state = 'refused'))";
    transaction.execute(delivered, [film])?;
    Ok(())
}

/// Enters into the audit log what became of a delivery at its destination.
pub(super) fn enter_transfer(
    transaction: &Connection,
    delivery: i64,
    outcome: Outcome,
    how: &str,
) -> Result<(), StoreError> {
    let told = "SELECT film, kind, result, destination, instance FROM deliveries WHERE id = ?1";
    let (film, kind, result, destination, sent): (_, Kind, i64, String, Option<String>) =
        transaction.query_row(told, [delivery], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
            ))
        })?;
    // Which film a pseudonym is of is nobody's to see.
    let sent = sent.filter(|_| kind != Kind::Deidentified);
    let sent = sent.map_or(String::new(), |instance| format!(", instance {instance}"));
    let instance = instance(transaction, film)?;
    let entry = Entry {
        event: Event::Transferred,
        action: Action::Read,
        outcome,
        who: &destination,
        object: &object(film, instance.as_deref()),
        detail: &format!("{} {result}: {how}{sent}", kind.name()),
    };
    audit::append(transaction, &entry)?;
    Ok(())
}

stored_by_name!(Kind, DeliveryState);
