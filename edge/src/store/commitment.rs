//! Whether destinations keep what they have got: what they are asked, and what they answer.

use plumbline_dimse::Committed;
use rusqlite::{OptionalExtension, Transaction, params};

use super::audit::Outcome;
use super::error::StoreError;
use super::outbox::{DeliveryState, enter_transfer, mark_delivered};
use super::{Store, draw_uid};
use crate::clock;

/// How long an answer is waited for before the question is put again.
const PATIENCE: i64 = 24 * 3600 * 1_000_000_000;

/// The most instances of one question.
const MOST: u32 = 500;

/// How often what a destination has lost is sent again.
const MOST_LOST: u32 = 3;

/// Failure Reasons (PS3.3, C.14.1.1) that may pass: a processing failure, no resources, and a transaction
/// that was there before.
const MAY_PASS: [u16; 3] = [0x0110, 0x0213, 0x0131];

/// The Failure Reason of an instance that is not there.
const NOT_THERE: u16 = 0x0112;

/// What a destination is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The Transaction UID.
    pub transaction: String,
    /// The instances, by SOP Class and SOP Instance UID.
    pub instances: Vec<(String, String)>,
}

impl Store {
    /// Puts together what `destination` is to be asked: about all that was delivered and was not asked
    /// about yet, or was and not answered for a day, or before a new start. None if there is nothing.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn ask_commitment(&self, destination: &str) -> Result<Option<Question>, StoreError> {
        self.change(|transaction| {
            let (boot, now) = (clock::boot(), clock::since_boot());
            let open = "SELECT deliveries.id, class, instance FROM deliveries
                LEFT JOIN commitments ON question = uid
                WHERE deliveries.destination = ?1 AND state = 'delivered' AND commits
                    AND NOT kept AND instance IS NOT NULL
                    AND (question IS NULL OR asked_boot <> ?2 OR asked < ?3)
                ORDER BY deliveries.id LIMIT ?4";
            let mut statement = transaction.prepare(open)?;
            let parameters = params![destination, boot, now - PATIENCE, MOST];
            let rows = statement.query_map(parameters, |row| {
                Ok((row.get::<_, i64>(0)?, (row.get(1)?, row.get(2)?)))
            })?;
            let (deliveries, instances): (Vec<_>, Vec<_>) =
                rows.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
            if deliveries.is_empty() {
                return Ok(None);
            }
            let uid = draw_uid();
            let question = "INSERT INTO commitments (uid, destination, asked_boot, asked)
                VALUES (?1, ?2, ?3, ?4)";
            transaction.execute(question, params![uid, destination, boot, now])?;
            for delivery in deliveries {
                let asked = "UPDATE deliveries SET question = ?2 WHERE id = ?1";
                transaction.execute(asked, params![delivery, uid])?;
            }
            Ok(Some(Question {
                transaction: uid,
                instances,
            }))
        })
    }

    /// Enters that a question was put: an answer may come at any time from now on.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn question_put(&self, question: &Question) -> Result<(), StoreError> {
        let put = "UPDATE commitments SET put = 1 WHERE uid = ?1";
        self.lock().execute(put, [&question.transaction])?;
        Ok(())
    }

    /// Takes back a question that could not be put.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn take_back_question(&self, question: &Question) -> Result<(), StoreError> {
        self.change(|transaction| {
            let uid = &question.transaction;
            let open = "UPDATE deliveries SET question = NULL WHERE question = ?1";
            transaction.execute(open, [uid])?;
            transaction.execute("DELETE FROM commitments WHERE uid = ?1", [uid])?;
            Ok(())
        })
    }

    /// Enters a destination's answer. What it has lost is sent again. Returns false if nobody has asked.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn committed(&self, answer: &Committed) -> Result<bool, StoreError> {
        self.change(|transaction| {
            let uid = &answer.transaction;
            let asked = "SELECT destination FROM commitments WHERE uid = ?1";
            let asked: Option<String> =
                (transaction.query_row(asked, [uid], |row| row.get(0))).optional()?;
            let Some(destination) = asked else {
                return Ok(false);
            };
            for instance in &answer.kept {
                // That it is kept is true whenever it is said, also after another question.
                let kept = "UPDATE deliveries SET kept = 1
                    WHERE destination = ?1 AND instance = ?2 AND commits AND NOT kept
                        AND state = 'delivered' RETURNING id, film";
                let mut statement = transaction.prepare_cached(kept)?;
                let kept: Vec<(i64, i64)> = statement
                    .query_map([&destination, instance], |row| {
                        Ok((row.get(0)?, row.get(1)?))
                    })?
                    .collect::<Result<_, _>>()?;
                for (delivery, film) in kept {
                    enter_transfer(transaction, delivery, Outcome::Success, "kept for good")?;
                    mark_delivered(transaction, film)?;
                }
            }
            for (instance, reason) in &answer.failed {
                not_kept(transaction, uid, instance, *reason)?;
            }
            Ok(true)
        })
    }
}

/// Enters that a destination does not keep an instance.
fn not_kept(
    transaction: &Transaction,
    question: &str,
    instance: &str,
    reason: u16,
) -> Result<(), StoreError> {
    let deliveries = "SELECT id, lost FROM deliveries
        WHERE question = ?1 AND instance = ?2 AND NOT kept AND state = 'delivered'";
    let mut statement = transaction.prepare_cached(deliveries)?;
    let deliveries: Vec<(i64, u32)> = statement
        .query_map([question, instance], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let words = format!("not kept: reason {reason:04X}");
    for (delivery, lost) in deliveries {
        let again = reason == NOT_THERE && lost < MOST_LOST;
        let state = match (again, MAY_PASS.contains(&reason)) {
            (true, _) => DeliveryState::Waiting,
            // It is asked again in a day.
            (false, true) => DeliveryState::Delivered,
            (false, false) => DeliveryState::Refused,
        };
        let entered = "UPDATE deliveries SET state = ?2, words = ?3, lost = lost + ?4,
                due_boot = '', question = iif(?2 = 'delivered', question, NULL)
            WHERE id = ?1";
        transaction.execute(entered, params![delivery, state, words, again])?;
        enter_transfer(transaction, delivery, Outcome::Serious, &words)?;
    }
    Ok(())
}
