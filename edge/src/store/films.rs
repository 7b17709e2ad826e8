//! Films in the store: keeping one that has arrived, and looking at those that are there.

use std::io;

use plumbline_dimse::Planned;
use plumbline_shared::decode::Header;
use plumbline_shared::gradcam::Cam;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::Store;
use super::audit::{self, Action, Entry, Event, Outcome};
use super::data_set;
use super::error::StoreError;
use super::files::Incoming;
use super::orders;
use super::outbox;
use super::panel;
use super::state::State;

/// Why a film is not read although it waits.
const HELD: &str = "another film with the same SOP Instance UID has other bytes";

/// The way by which a film came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// By DICOM C-STORE.
    Dicom,
    /// From the watched folder.
    Folder,
    /// By an upload over HTTP.
    Http,
    /// From the host.
    Host,
    /// From the station itself, as a test.
    SelfTest,
}

impl Origin {
    /// The way's name in the database and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dicom => "dicom",
            Self::Folder => "folder",
            Self::Http => "http",
            Self::Host => "host",
            Self::SelfTest => "self-test",
        }
    }

    fn of(name: &str) -> Self {
        match name {
            "dicom" => Self::Dicom,
            "folder" => Self::Folder,
            "host" => Self::Host,
            "self-test" => Self::SelfTest,
            _ => Self::Http,
        }
    }

    const fn event(self) -> Event {
        match self {
            Self::Dicom => Event::Transferred,
            Self::Folder | Self::Http | Self::Host | Self::SelfTest => Event::Imported,
        }
    }
}

/// What is known of a film when it arrives.
#[derive(Clone, Debug)]
pub struct Arrival<'a> {
    /// The way by which it came.
    pub origin: Origin,
    /// Who sent it: AE title and address, or the name of its file.
    pub sender: &'a str,
    /// The transfer syntax, if it came by DICOM.
    pub transfer_syntax: Option<&'a str>,
    /// The patient, examination and view, if it is a DICOM file.
    pub header: Option<&'a Header>,
}

impl<'a> Arrival<'a> {
    /// Its SOP Instance UID.
    fn instance(&self) -> Option<&'a str> {
        self.header?.sop_instance_uid.as_deref()
    }
}

/// What became of a film that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is new, and waits for the reader.
    New(i64),
    /// The very same bytes were there before, or another DICOM file with the same data set.
    Known(i64),
    /// It is new, but a film with its SOP Instance UID and other bytes is there: neither is read
    /// until a person says so.
    Conflict(i64),
}

impl Kept {
    /// What became of the film, as a word for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New(_) => "new",
            Self::Known(_) => "known",
            Self::Conflict(_) => "conflict",
        }
    }

    /// The film's number in the store.
    pub const fn film(self) -> i64 {
        match self {
            Self::New(film) | Self::Known(film) | Self::Conflict(film) => film,
        }
    }
}

/// Something that the quality gate found wrong with a film.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's code.
    pub code: String,
    /// True if the film is not read for it; false for a caution.
    pub refuses: bool,
    /// What is wrong and what to do.
    pub sentence: String,
}

impl Finding {
    /// What is wrong and what to do, as a sentence that stands by itself.
    pub fn as_sentence(&self) -> String {
        let text = self.sentence.trim_end_matches('.');
        let mut characters = text.chars();
        let first = characters.next().into_iter().flat_map(char::to_uppercase);
        first.chain(characters).chain(['.']).collect()
    }
}

/// A reading of a film.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredReading {
    /// The model's name.
    pub model: String,
    /// The model's version.
    pub model_version: String,
    /// SHA-256 of the bundle's manifest, which holds the hashes of its other files.
    pub bundle: String,
    /// The smallest probability that counted as positive.
    pub threshold: f64,
    /// The logit; of two outputs, positive minus negative.
    pub logit: f32,
    /// The logistic function of the logit.
    pub probability: f64,
    /// True if the probability reached the threshold.
    pub positive: bool,
    /// The Grad-CAM map, rows first.
    pub cam: Vec<Vec<f32>>,
    /// What was done to the film before it was read, in words.
    pub film_notes: Vec<String>,
    /// The time of decoding, preparing, the quality gate and reading.
    pub milliseconds: [f64; 4],
}

impl StoredReading {
    /// The Grad-CAM map.
    pub fn map(&self) -> Cam {
        Cam {
            rows: self.cam.len(),
            columns: self.cam.first().map_or(0, Vec::len),
            values: self.cam.concat(),
        }
    }
}

/// A film in the store.
#[derive(Clone, Debug, Serialize)]
pub struct StoredFilm {
    /// Its number.
    pub film: i64,
    /// SHA-256 of its file.
    pub hash: String,
    /// Bytes of its file.
    pub bytes: u64,
    /// The way by which it came.
    pub origin: Origin,
    /// Who sent it.
    pub sender: String,
    /// When it was received, by the wall clock (RFC 3339).
    pub received: String,
    /// Its state.
    pub state: State,
    /// Why it is not read although it waits.
    pub held: Option<String>,
    /// Who had it read although the gate refused it, and why.
    pub read_anyway: Option<String>,
    /// True if it was delivered.
    pub delivered: bool,
    /// True if its file has left to make room.
    pub removed: bool,
    /// Why it is in its state, where there is more to say.
    pub reason: Option<String>,
    /// What the gate found wrong with it.
    pub findings: Vec<Finding>,
    /// Its newest reading.
    pub reading: Option<StoredReading>,
    /// The planned examination that it is of.
    pub order: Option<Planned>,
    /// The patient, examination and view.
    pub header: Header,
}

impl Store {
    /// Keeps a film whose file has arrived. When this returns, file and row survive a power cut.
    ///
    /// # Errors
    /// If the disk or the database does not take it; then nothing of it is kept.
    pub fn keep(&self, incoming: Incoming, arrival: &Arrival) -> Result<Kept, StoreError> {
        if let Some(film) = self.same_data_set(&incoming, arrival)? {
            let detail = "received again, the same data set in another file";
            return self.change(|transaction| received_again(transaction, film, arrival, detail));
        }
        let (hash, bytes) = (incoming.hash(), incoming.bytes());
        let path = self.files.path(&hash);
        // If the same bytes are there, this copy goes when it is dropped.
        if !self.is_there(&hash)? {
            incoming.finish(&hash)?;
        }
        self.change(|transaction| {
            // Again: another association may have brought the same film just now.
            let id = "SELECT id FROM films WHERE hash = ?1";
            let known: Option<i64> = transaction
                .query_row(id, [&hash], |row| row.get(0))
                .optional()?;
            // The same film may have left just now, to make room.
            if !path.is_file() {
                let error = io::ErrorKind::NotFound.into();
                return Err(StoreError::File { path, error });
            }
            match known {
                Some(film) => {
                    // Its file is there again, if it had left.
                    let there = "UPDATE films SET removed = 0 WHERE id = ?1";
                    transaction.execute(there, [film])?;
                    let detail = "received again, the very same bytes";
                    received_again(transaction, film, arrival, detail)
                }
                None => insert(transaction, &hash, bytes, arrival),
            }
        })
    }

    /// True if the film with this hash is known, and its file is there.
    fn is_there(&self, hash: &str) -> Result<bool, StoreError> {
        let kept = "SELECT NOT removed FROM films WHERE hash = ?1";
        let kept: Option<bool> = (self.lock())
            .query_row(kept, [hash], |row| row.get(0))
            .optional()?;
        Ok(kept == Some(true) && self.files.is_whole(hash))
    }

    /// The film that has another file with the same data set: one that came over the network and
    /// then from a folder, say.
    fn same_data_set(
        &self,
        incoming: &Incoming,
        arrival: &Arrival,
    ) -> Result<Option<i64>, StoreError> {
        let films: Vec<(i64, String)> = {
            let database = self.lock();
            let others = "SELECT id, hash FROM films WHERE sop_instance_uid = ?1 AND NOT removed";
            let mut statement = database.prepare(others)?;
            let films =
                statement.query_map([arrival.instance()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            films.collect::<Result<_, _>>()?
        };
        let hash = incoming.hash();
        let same = films.into_iter().find(|(_, other)| {
            // A file that cannot be read has not the same data set.
            *other != hash
                && data_set::same(incoming.path(), &self.files.path(other)).unwrap_or(false)
        });
        Ok(same.map(|(film, _)| film))
    }

    /// Returns the film with this number.
    ///
    /// # Errors
    /// [`StoreError::NoFilm`].
    pub fn film(&self, film: i64) -> Result<StoredFilm, StoreError> {
        load(&self.lock(), film, i64::MAX)
    }

    /// Returns the numbers of the newest films, at most `most`, the newest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn newest(&self, most: usize) -> Result<Vec<i64>, StoreError> {
        let database = self.lock();
        let mut statement = database.prepare("SELECT id FROM films ORDER BY id DESC LIMIT ?1")?;
        let films = statement.query_map([most], |row| row.get(0))?;
        Ok(films.collect::<Result<_, _>>()?)
    }

    /// Counts the films in each state.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn count(&self) -> Result<Vec<(State, u64)>, StoreError> {
        let database = self.lock();
        let counts = "SELECT state, count(*) FROM films GROUP BY state";
        let mut statement = database.prepare(counts)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// The object of a film's audit entries.
pub(super) fn object(film: i64, instance: Option<&str>) -> String {
    match instance {
        Some(instance) => format!("film {film}, {instance}"),
        None => format!("film {film}"),
    }
}

/// Appends an audit entry of a film and gives the film its state, with the reason for it.
pub(super) fn enter(
    transaction: &Connection,
    film: i64,
    state: State,
    reason: Option<&str>,
    entry: &Entry,
) -> Result<i64, StoreError> {
    let audit = audit::append(transaction, entry)?;
    transaction.execute(
        "INSERT INTO states VALUES (?1, ?2, ?3, ?4)",
        params![film, state, reason, audit],
    )?;
    transaction.execute(
        "UPDATE films SET state = ?2 WHERE id = ?1",
        params![film, state],
    )?;
    outbox::queue(transaction, film, outbox::sent_in(state), audit)?;
    Ok(audit)
}

fn insert(
    transaction: &Connection,
    hash: &str,
    bytes: u64,
    arrival: &Arrival,
) -> Result<Kept, StoreError> {
    let instance = arrival.instance();
    let others = "SELECT count(*) FROM films WHERE sop_instance_uid = ?1";
    let others: u64 = transaction.query_row(others, [instance], |row| row.get(0))?;
    let conflict = others > 0;
    let header = arrival.header.map(json).transpose()?;
    transaction.execute(
        "INSERT INTO films (hash, bytes, origin, sender, transfer_syntax, header,
            sop_instance_uid, state, held)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            hash,
            bytes,
            arrival.origin.name(),
            arrival.sender,
            arrival.transfer_syntax,
            header,
            instance,
            State::Received,
            conflict.then_some(HELD),
        ],
    )?;
    let film = transaction.last_insert_rowid();
    let object = object(film, instance);
    let entry = Entry {
        event: arrival.origin.event(),
        action: Action::Create,
        outcome: Outcome::Success,
        who: who(arrival),
        object: &object,
        detail: &format!("received: SHA-256 {hash}"),
    };
    enter(transaction, film, State::Received, None, &entry)?;
    orders::match_film(transaction, film)?;
    // Uploads are of other programs, not of the X-ray unit.
    if matches!(arrival.origin, Origin::Dicom | Origin::Folder) {
        panel::find_exposure(transaction, film)?;
    }
    if !conflict {
        return Ok(Kept::New(film));
    }
    transaction.execute(
        "UPDATE films SET held = ?2, lease = NULL
         WHERE sop_instance_uid = ?1 AND state = 'received' AND read_anyway IS NULL",
        params![instance, HELD],
    )?;
    let alert = Entry {
        event: Event::Alert,
        action: Action::Execute,
        outcome: Outcome::Minor,
        detail: HELD,
        ..entry
    };
    audit::append(transaction, &alert)?;
    Ok(Kept::Conflict(film))
}

fn received_again(
    transaction: &Connection,
    film: i64,
    arrival: &Arrival,
    detail: &str,
) -> Result<Kept, StoreError> {
    let entry = Entry {
        event: arrival.origin.event(),
        action: Action::Read,
        outcome: Outcome::Success,
        who: who(arrival),
        object: &object(film, arrival.instance()),
        detail,
    };
    audit::append(transaction, &entry)?;
    Ok(Kept::Known(film))
}

/// Who sent a film, for the audit log: a file's name may be a patient's.
fn who<'a>(arrival: &Arrival<'a>) -> &'a str {
    match arrival.origin {
        Origin::Dicom => arrival.sender,
        Origin::Folder => "watched folder",
        Origin::Http => "upload",
        Origin::Host => "host",
        Origin::SelfTest => "self-test",
    }
}

/// Returns a film with the findings, the reading and the order that it had at the entry `until` of the audit log.
pub(super) fn load(database: &Connection, film: i64, until: i64) -> Result<StoredFilm, StoreError> {
    let columns = "SELECT films.*,
        (SELECT wall FROM audit JOIN states ON audit.sequence = states.audit
            WHERE states.film = films.id ORDER BY sequence LIMIT 1) AS received,
        (SELECT reason FROM states WHERE states.film = films.id ORDER BY audit DESC LIMIT 1)
            AS reason
        FROM films WHERE id = ?1";
    let row = database
        .query_row(columns, [film], stored_film)
        .optional()?;
    let mut stored = row.ok_or(StoreError::NoFilm(film))?;
    let findings = "SELECT code, refuses, sentence FROM findings WHERE film = ?1
        AND audit = (SELECT max(audit) FROM findings WHERE film = ?1 AND audit <= ?2)
        AND audit > (SELECT max(audit) FROM states
            WHERE film = ?1 AND audit <= ?2 AND state = 'received')";
    let mut statement = database.prepare(findings)?;
    let findings = statement.query_map([film, until], |row| {
        Ok(Finding {
            code: row.get(0)?,
            refuses: row.get(1)?,
            sentence: row.get(2)?,
        })
    })?;
    stored.findings = findings.collect::<Result<_, _>>()?;
    let reading = "SELECT * FROM readings WHERE film = ?1 AND audit <= ?2
        ORDER BY id DESC LIMIT 1";
    stored.reading = database
        .query_row(reading, [film, until], reading_of)
        .optional()?;
    stored.order = orders::order(database, film, until)?;
    Ok(stored)
}

fn stored_film(row: &Row) -> rusqlite::Result<StoredFilm> {
    let header: Option<String> = row.get("header")?;
    let origin: String = row.get("origin")?;
    Ok(StoredFilm {
        film: row.get("id")?,
        hash: row.get("hash")?,
        bytes: row.get("bytes")?,
        origin: Origin::of(&origin),
        sender: row.get("sender")?,
        received: row.get("received")?,
        state: row.get("state")?,
        held: row.get("held")?,
        read_anyway: row.get("read_anyway")?,
        delivered: row.get("delivered")?,
        removed: row.get("removed")?,
        reason: row.get("reason")?,
        findings: Vec::new(),
        reading: None,
        order: None,
        header: header.map_or(Ok(Header::default()), |header| parsed(&header))?,
    })
}

fn reading_of(row: &Row) -> rusqlite::Result<StoredReading> {
    Ok(StoredReading {
        model: row.get("model")?,
        model_version: row.get("model_version")?,
        bundle: row.get("bundle")?,
        threshold: row.get("threshold")?,
        logit: row.get("logit")?,
        probability: row.get("probability")?,
        positive: row.get("positive")?,
        cam: parsed(&row.get::<_, String>("cam")?)?,
        film_notes: parsed(&row.get::<_, String>("notes")?)?,
        milliseconds: parsed(&row.get::<_, String>("milliseconds")?)?,
    })
}

/// A value as the JSON that the database keeps of it.
pub(super) fn json(value: &impl Serialize) -> Result<String, StoreError> {
    let text = serde_json::to_string(value);
    text.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()).into())
}

pub(super) fn parsed<T: for<'a> Deserialize<'a>>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
    })
}
