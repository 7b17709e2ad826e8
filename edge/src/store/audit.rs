//! The audit log: append-only rows, chained by hashes, in the terms of DICOM PS3.15 A.5. They name
//! films by their number and SOP Instance UID, never patients.

use plumbline_shared::manifest::{hexadecimal, sha256};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::StoreError;
use crate::clock::Moment;

/// The hash before the first row.
const BEFORE_FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What happened, as an event and its type (PS3.15, A.5.3): codes of DCM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The station was started.
    Started,
    /// The station was stopped.
    Stopped,
    /// A film came by DICOM.
    Transferred,
    /// A film came from a folder or the host, or was uploaded.
    Imported,
    /// A film was gated or read, or its result was changed.
    Accessed,
    /// A film's file was removed to make room.
    Deleted,
    /// A backup was written.
    Exported,
    /// The configuration, the bundle or the clock gave reason for an alert.
    Alert,
}

impl Event {
    /// The codes of the event and of its type, which is empty if the event has none.
    pub const fn codes(self) -> (&'static str, &'static str) {
        match self {
            Self::Started => ("110100", "110120"),
            Self::Stopped => ("110100", "110121"),
            Self::Transferred => ("110104", ""),
            Self::Imported => ("110107", ""),
            Self::Accessed => ("110103", ""),
            Self::Deleted => ("110105", ""),
            Self::Exported => ("110106", ""),
            Self::Alert => ("110113", ""),
        }
    }
}

/// What was done (PS3.15, A.5.2, EventActionCode).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Something new was made.
    Create,
    /// Something was read.
    Read,
    /// Something was changed.
    Update,
    /// Something was removed.
    Delete,
    /// A program was run.
    Execute,
}

impl Action {
    const fn code(self) -> &'static str {
        match self {
            Self::Create => "C",
            Self::Read => "R",
            Self::Update => "U",
            Self::Delete => "D",
            Self::Execute => "E",
        }
    }
}

/// How it ended (PS3.15, A.5.2, EventOutcomeIndicator).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Success = 0,
    /// With a minor failure: the film, not the station, was at fault.
    Minor = 4,
    /// With a serious failure.
    Serious = 8,
}

/// An entry to be appended.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// What happened.
    pub event: Event,
    /// What was done.
    pub action: Action,
    /// How it ended.
    pub outcome: Outcome,
    /// Who did it: a peer, a user, or the station itself.
    pub who: &'a str,
    /// The object: a film's number and SOP Instance UID, or what else was touched.
    pub object: &'a str,
    /// More, in words.
    pub detail: &'a str,
}

impl<'a> Entry<'a> {
    /// Something that was done with a film and went well.
    pub(super) fn on_film(action: Action, who: &'a str, object: &'a str, detail: &'a str) -> Self {
        Self {
            event: Event::Accessed,
            action,
            outcome: Outcome::Success,
            who,
            object,
            detail,
        }
    }
}

/// Appends an entry within a transaction, and returns its sequence number.
pub(super) fn append(transaction: &Connection, entry: &Entry) -> Result<i64, StoreError> {
    let last = newest(transaction)?;
    let (sequence, previous) = match &last {
        Some(last) => (last.sequence + 1, &*last.hash),
        None => (1, BEFORE_FIRST),
    };
    let Moment {
        wall,
        since_boot,
        boot,
    } = Moment::now();
    let (event, kind) = entry.event.codes();
    let mut row = Row {
        sequence,
        wall,
        since_boot,
        boot,
        event: event.into(),
        kind: kind.into(),
        action: entry.action.code().into(),
        outcome: entry.outcome as i64,
        who: entry.who.into(),
        object: entry.object.into(),
        detail: entry.detail.into(),
        hash: String::new(),
    };
    row.hash = row.hash_after(previous);
    transaction.execute(
        "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            row.sequence,
            row.wall,
            row.since_boot,
            row.boot,
            row.event,
            row.kind,
            row.action,
            row.outcome,
            row.who,
            row.object,
            row.detail,
            row.hash
        ],
    )?;
    Ok(sequence)
}

/// The newest entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// Its sequence number.
    pub sequence: i64,
    /// Its time by the wall clock (RFC 3339).
    pub wall: String,
    /// The hash of the chain up to it, in hexadecimal digits.
    pub hash: String,
}

/// Returns the newest entry.
pub(super) fn newest(database: &Connection) -> Result<Option<Newest>, StoreError> {
    let query = "SELECT sequence, wall, hash FROM audit ORDER BY sequence DESC LIMIT 1";
    let newest = database.query_row(query, [], |row| {
        Ok(Newest {
            sequence: row.get(0)?,
            wall: row.get(1)?,
            hash: row.get(2)?,
        })
    });
    Ok(newest.optional()?)
}

/// Returns the hash of the chain before the entry `sequence`.
pub(super) fn hash_before(database: &Connection, sequence: i64) -> Result<String, StoreError> {
    let query = "SELECT hash FROM audit WHERE sequence = ?1 - 1";
    let before = database.query_row(query, [sequence], |row| row.get(0));
    Ok(before
        .optional()?
        .unwrap_or_else(|| BEFORE_FIRST.to_owned()))
}

/// Computes the whole chain again, and returns its newest entry.
///
/// # Errors
/// [`StoreError::Chain`] at the first entry that was changed or is missing.
pub(super) fn verify(database: &Connection) -> Result<Option<Newest>, StoreError> {
    let mut statement = database.prepare("SELECT * FROM audit ORDER BY sequence")?;
    let mut rows = statement.query([])?;
    let mut previous = BEFORE_FIRST.to_owned();
    let mut expected = 1;
    while let Some(row) = rows.next()? {
        let row = Row::of(row)?;
        let broken = |why| {
            let sequence = expected;
            Err(StoreError::Chain { sequence, why })
        };
        if row.sequence != expected {
            return broken("it is missing");
        }
        if !row.follows(&previous) {
            return broken("it was changed");
        }
        previous = row.hash;
        expected += 1;
    }
    newest(database)
}

/// An entry as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its number: one more than that of the entry before it.
    pub sequence: i64,
    /// Its time by the wall clock (RFC 3339).
    pub wall: String,
    /// Its time since the system's start, in nanoseconds.
    pub since_boot: i64,
    /// Which start that was.
    pub boot: String,
    /// The code of the event (PS3.15, A.5.3).
    pub event: String,
    /// The code of the event's type, or nothing.
    #[serde(rename = "type")]
    pub kind: String,
    /// C, R, U, D or E (PS3.15, A.5.2).
    pub action: String,
    /// 0, 4 or 8 (PS3.15, A.5.2).
    pub outcome: i64,
    /// Who did it.
    pub who: String,
    /// What it was done with.
    pub object: String,
    /// More, in words.
    pub detail: String,
    /// The hash of the chain up to it.
    pub hash: String,
}

/// The hash of the chain with one entry more: SHA-256 of the hash before it and of the entry's two digests, all in
/// hexadecimal digits. So the chain can be followed over entries whose content is not told.
pub(crate) fn link(previous: &str, digests: &[String; 2]) -> String {
    let [object, rest] = digests;
    sha256([previous, object, rest].concat().as_bytes())
}

impl Row {
    pub(super) fn of(row: &rusqlite::Row) -> rusqlite::Result<Self> {
        Ok(Self {
            sequence: row.get("sequence")?,
            wall: row.get("wall")?,
            since_boot: row.get("since_boot")?,
            boot: row.get("boot")?,
            event: row.get("event")?,
            kind: row.get("type")?,
            action: row.get("action")?,
            outcome: row.get("outcome")?,
            who: row.get("who")?,
            object: row.get("object")?,
            detail: row.get("detail")?,
            hash: row.get("hash")?,
        })
    }

    /// Whether its hash continues the chain whose hash is `previous`.
    pub(crate) fn follows(&self, previous: &str) -> bool {
        self.hash == self.hash_after(previous) || self.hash == self.older_hash_after(previous)
    }

    /// The hash of the chain with it.
    fn hash_after(&self, previous: &str) -> String {
        link(previous, &self.digests())
    }

    /// SHA-256 of the object, and that of all else: the sequence number, the time since the system's start and
    /// the outcome in 8 bytes each, little endian, then the texts, each after its length in 8 bytes. The
    /// object has a digest of its own, so that entries can be shown to be of other films.
    pub(crate) fn digests(&self) -> [String; 2] {
        let rest = self.digest(&[
            &self.wall,
            &self.boot,
            &self.event,
            &self.kind,
            &self.action,
            &self.who,
            &self.detail,
        ]);
        [sha256(self.object.as_bytes()), rest]
    }

    /// The hash of the chain with it, as it was made before entries had digests: SHA-256 of the hash before and
    /// all fields; each text after its length in 8 bytes, little endian, and each number in 8 bytes.
    pub(super) fn older_hash_after(&self, previous: &str) -> String {
        self.digest(&[
            previous,
            &self.wall,
            &self.boot,
            &self.event,
            &self.kind,
            &self.action,
            &self.who,
            &self.object,
            &self.detail,
        ])
    }

    /// SHA-256 of its numbers and of `texts`, each after its length.
    fn digest(&self, texts: &[&str]) -> String {
        let mut hash = Sha256::new();
        for number in [self.sequence, self.since_boot, self.outcome] {
            hash.update(number.to_le_bytes());
        }
        for text in texts {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        hexadecimal(&hash.finalize())
    }
}
