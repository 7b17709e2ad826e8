//! The part of the audit log that tells of one film, up to a hash that somebody else has recorded, so that it
//! can be verified without the log and without telling of other films.
//!
//! Each entry of the film is told whole; each other one by its two digests alone, by which the chain goes on. The
//! digest of an entry's object shows that it is another film's, so that none of the film's is left out.

use plumbline_shared::manifest::{is_sha256, sha256};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::Store;
use super::audit::{Row, link};
use super::error::StoreError;
use super::films::object;
use super::work::instance;

/// The entries of one film, within the chain of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// The object of the film's entries.
    pub object: String,
    /// The hash before the first entry.
    pub before: String,
    /// The entries, from the film's first one on.
    pub entries: Vec<Link>,
    /// The hash of the last entry.
    pub head: String,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Link {
    /// One of the film's.
    Own(Row),
    /// Another one: the digests of its object and of all else.
    Other([String; 2]),
}

/// What a chain proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved<'a> {
    /// The film's entries up to the one with the recorded hash.
    pub rows: Vec<&'a Row>,
    /// The number of that entry.
    pub sequence: i64,
    /// How many of the film's entries came after it.
    pub later: usize,
}

/// Why a chain proves nothing. Each message is a whole sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// It does not begin with the film's arrival.
    #[error(
        "the sheet does not begin with the film's arrival: entries are missing or were changed"
    )]
    Beginning,
    /// An entry was changed, or one before it.
    #[error("entry {0} does not fit to those before it: it or one of them was changed")]
    Changed(i64),
    /// An entry is of another film, or is told as if it were.
    #[error("entry {0} is not told as the film's, or is another film's: the sheet was changed")]
    Foreign(i64),
    /// The last hash is not that of the entries.
    #[error("the entries do not lead to the sheet's last hash: one of them was changed")]
    Head,
    /// The recorded hash is none of the sheet's.
    #[error(
        "none of the sheet's entries has the hash {0}: it was recorded of another station, before the \
         film came or after the sheet was made, or the sheet was changed"
    )]
    NotRecorded(String),
}

impl Chain {
    /// Computes the chain again up to the entry that has the hash `recorded`.
    ///
    /// # Errors
    /// [`ChainError`] for a sheet that was changed anywhere, or of which `recorded` is not a hash.
    pub fn verify(&self, recorded: &str) -> Result<Proved<'_>, ChainError> {
        let Some(Link::Own(first)) = self.entries.first() else {
            return Err(ChainError::Beginning);
        };
        if first.action != "C" {
            return Err(ChainError::Beginning);
        }
        if !is_sha256(&self.before) {
            return Err(ChainError::Beginning);
        }
        let own = sha256(self.object.as_bytes());
        let mut hash = self.before.clone();
        let mut rows: Vec<&Row> = Vec::new();
        let mut proved = None;
        for (sequence, entry) in (first.sequence..).zip(&self.entries) {
            hash = match entry {
                Link::Own(row) if row.object != self.object => {
                    return Err(ChainError::Foreign(sequence));
                }
                Link::Own(row) => {
                    if row.sequence != sequence || !row.follows(&hash) {
                        return Err(ChainError::Changed(sequence));
                    }
                    rows.push(row);
                    row.hash.clone()
                }
                // Digests of other lengths could be those of another entry, parted elsewhere.
                Link::Other(digests @ [object, _])
                    if *object == own || !digests.iter().all(|digest| is_sha256(digest)) =>
                {
                    return Err(ChainError::Foreign(sequence));
                }
                Link::Other(digests) => link(&hash, digests),
            };
            if hash == recorded {
                proved = Some((sequence, rows.len()));
            }
        }
        if hash != self.head {
            return Err(ChainError::Head);
        }
        let (sequence, count) =
            proved.ok_or_else(|| ChainError::NotRecorded(recorded.to_owned()))?;
        let later = rows.len() - count;
        rows.truncate(count);
        Ok(Proved {
            rows,
            sequence,
            later,
        })
    }
}

impl Store {
    /// Returns the entries of a film within the chain, up to the entry that has the hash `head`, or to the newest.
    ///
    /// # Errors
    /// [`StoreError::NoFilm`]; [`StoreError::NoHash`] if no entry from the film's first on has that hash;
    /// [`StoreError::Chain`] if the log is broken; [`StoreError::Undivided`] if an entry between has no digests.
    pub fn chain(&self, film: i64, head: Option<&str>) -> Result<Chain, StoreError> {
        chain(&self.lock(), film, head)
    }

    /// Returns the films that are named by `name`: a number, the SHA-256 of a file, or a SOP Instance UID.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn films_named(&self, name: &str) -> Result<Vec<i64>, StoreError> {
        let database = self.lock();
        let films = "SELECT id FROM films
            WHERE id = ?2 OR hash = lower(?1) OR sop_instance_uid = ?1 ORDER BY id";
        let mut statement = database.prepare(films)?;
        let number: Option<i64> = name.parse().ok();
        let films = statement.query_map(rusqlite::params![name, number], |row| row.get(0))?;
        Ok(films.collect::<Result<_, _>>()?)
    }
}

fn chain(database: &Connection, film: i64, head: Option<&str>) -> Result<Chain, StoreError> {
    let instance = instance(database, film)?;
    let object = object(film, instance.as_deref());
    let first = "SELECT min(sequence) FROM audit WHERE object = ?1";
    let first: Option<i64> = database.query_row(first, [&object], |row| row.get(0))?;
    let first = first.ok_or(StoreError::NoFilm(film))?;
    let mut statement =
        database.prepare("SELECT * FROM audit WHERE sequence >= ?1 ORDER BY sequence")?;
    let mut rows = statement.query([first])?;
    let mut chain = Chain {
        before: super::audit::hash_before(database, first)?,
        object,
        entries: Vec::new(),
        head: String::new(),
    };
    let mut previous = chain.before.clone();
    while let Some(row) = rows.next()? {
        let row = Row::of(row)?;
        let sequence = row.sequence;
        if !row.follows(&previous) {
            let why = "it was changed";
            return Err(StoreError::Chain { sequence, why });
        }
        let digests = row.digests();
        let divided = link(&previous, &digests) == row.hash;
        previous.clone_from(&row.hash);
        chain.entries.push(match row.object == chain.object {
            true => Link::Own(row),
            false if divided => Link::Other(digests),
            false => return Err(StoreError::Undivided { film, sequence }),
        });
        if head == Some(&*previous) {
            break;
        }
    }
    if let Some(head) = head.filter(|head| *head != previous) {
        return Err(StoreError::NoHash(head.to_owned()));
    }
    chain.head = previous;
    Ok(chain)
}
