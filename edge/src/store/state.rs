//! The states of a film on the station.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::Serialize;

/// A film's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its file is kept, and it waits for the reader.
    Received,
    /// It passed the quality gate.
    Gated,
    /// It should be taken or sent again.
    Refused,
    /// It was read.
    Read,
    /// The reader crashed on it twice.
    Failed,
    /// A person has seen its result.
    Acknowledged,
    /// Its result is replaced by a later reading.
    Superseded,
}

impl State {
    /// All states, in the order of a film's way.
    pub const ALL: [Self; 7] = [
        Self::Received,
        Self::Gated,
        Self::Refused,
        Self::Read,
        Self::Failed,
        Self::Acknowledged,
        Self::Superseded,
    ];

    /// The state's name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Gated => "gated",
            Self::Refused => "refused",
            Self::Read => "read",
            Self::Failed => "failed",
            Self::Acknowledged => "acknowledged",
            Self::Superseded => "superseded",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An error of a name that is no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no state of a film")]
pub struct UnknownState(String);

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(name: &str) -> Result<Self, UnknownState> {
        let state = Self::ALL.into_iter().find(|state| state.name() == name);
        state.ok_or_else(|| UnknownState(name.to_owned()))
    }
}

impl ToSql for State {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.name().into())
    }
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(FromSqlError::other)
    }
}
