//! The states of a film on the station.

use std::fmt;

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

/// Has the database keep values of these types, which have `ALL` and `name`, by their names.
macro_rules! stored_by_name {
    ($($type:ty),+) => {
        $(impl rusqlite::types::ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.name().into())
            }
        }

        impl rusqlite::types::FromSql for $type {
            fn column_result(
                value: rusqlite::types::ValueRef<'_>,
            ) -> rusqlite::types::FromSqlResult<Self> {
                let name = value.as_str()?;
                let known = Self::ALL.into_iter().find(|value| value.name() == name);
                let unknown = || format!("{name:?} is no {}", stringify!($type));
                known.ok_or_else(|| rusqlite::types::FromSqlError::Other(unknown().into()))
            }
        })+
    };
}

pub(super) use stored_by_name;

stored_by_name!(State);
