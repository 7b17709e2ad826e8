//! What a host and a station say to each other over a [stream](crate::stream).
//!
//! The host asks and the station answers, one question after the other. What the station has stored
//! it tells from a number on, so that a host that was cut off goes on behind the last entry it has.

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::hello::{Identity, Version, schema_of};
use crate::object::{Chunk, Have, Object};
use crate::panel::{Activity, Build, Measures};

/// The number of these messages, raised by one with every change of them.
pub const PROTOCOL: u16 = 1;

/// The hash of these messages, which changes with every one of them.
pub const SCHEMA: [u8; 8] = schema_of::<ToStation, FromStation>("host");

/// Returns the identity of a program that speaks these messages; `boot` as in
/// [`Identity::boot`].
pub const fn identity(version: Version, boot: u64) -> Identity {
    Identity {
        protocol: PROTOCOL,
        schema: SCHEMA,
        version,
        boot,
    }
}

/// What the host says to the station.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum ToStation<'a> {
    /// Asks for [`FromStation::Info`].
    Info,
    /// Has a film read. The station answers by [`FromStation::Have`]; the host sends what is missing
    /// by [`ToStation::Chunk`]; and when all has come, the station answers by
    /// [`FromStation::Waiting`] as often as it likes and by [`FromStation::Result`].
    Screen {
        /// The film's name for people, as its file is called.
        #[serde(borrow)]
        name: &'a str,
        /// The film's file.
        film: Object,
    },
    /// Bytes of the film that is sent.
    Chunk(Chunk<'a>),
    /// Asks for the results behind `after`, at most `most` of them: a [`FromStation::Result`] for
    /// each, and a [`FromStation::End`].
    Results {
        /// The number of the last result that the host has; 0 if it has none.
        after: u64,
        /// The most results to be told.
        most: u32,
    },
    /// Asks for the entries of the log behind `after`, at most `most` of them: a
    /// [`FromStation::Log`] for each, and a [`FromStation::End`].
    Logs {
        /// The number of the last entry that the host has; 0 if it has none.
        after: u64,
        /// The most entries to be told.
        most: u32,
    },
}

/// What the station says to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum FromStation<'a> {
    /// The station.
    #[serde(borrow)]
    Info(Info<'a>),
    /// What the station has of the film.
    Have(Have),
    /// The film has come and was not yet read.
    Waiting,
    /// A film and what became of it.
    Result {
        /// The result's number; later ones have greater numbers.
        number: u64,
        /// The film as `plumbline-edge films --json` prints it.
        line: &'a str,
    },
    /// An entry of the log.
    Log {
        /// The entry's number; later ones have greater numbers.
        number: u64,
        /// When it was written, by the station's clock (RFC 3339).
        time: &'a str,
        /// What it says.
        entry: LogEntry<'a>,
    },
    /// All that was asked for is told.
    End {
        /// There is more behind it.
        more: bool,
    },
    /// The station does not do what was asked.
    Refused {
        /// Why, and what to do: a sentence for people.
        sentence: &'a str,
    },
}

/// An entry of the station's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum LogEntry<'a> {
    /// A line of the station.
    Station(&'a str),
    /// Whole defmt frames of the panel.
    Panel {
        /// The program that wrote them, by which the ELF file is found that decodes them.
        build: [u8; 20],
        /// The panel's start: [`Identity::boot`] of the panel.
        boot: u64,
        /// How many pieces before this one are missing.
        missing: u16,
        /// The frames.
        frames: &'a [u8],
    },
}

/// What a station says of itself; its program's version is in its hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Info<'a> {
    /// The station's name.
    pub station: &'a str,
    /// What the station does.
    pub activity: Activity,
    /// What is wrong, a line for each thing; empty if nothing is.
    pub faults: &'a str,
    /// The bundle that reads.
    #[serde(borrow)]
    pub bundle: Option<Bundle<'a>>,
    /// Free bytes of the disk that films are kept on.
    pub disk_free: u64,
    /// All bytes of that disk.
    pub disk_size: u64,
    /// The station's clock (RFC 3339).
    pub clock: &'a str,
    /// Why the clock is thought to be wrong.
    pub clock_doubt: Option<&'a str>,
    /// The panel board.
    pub panel: Panel,
    /// The number of the newest result; 0 if there is none.
    pub newest_result: u64,
    /// The number of the newest entry of the log; 0 if there is none.
    pub newest_log: u64,
}

/// A bundle on a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Bundle<'a> {
    /// The model.
    pub model: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The SHA-256 of the bundle's manifest.
    pub sha256: [u8; 32],
}

/// A station's panel board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum Panel {
    /// The station is to work without one.
    None,
    /// It should be there and is not heard.
    Silent,
    /// It speaks messages of another version.
    OtherMessages {
        /// The panel's program.
        version: Version,
        /// The number of its messages.
        protocol: u16,
    },
    /// It is there.
    Connected {
        /// Its program's version.
        version: Version,
        /// Its program, once it has told.
        build: Option<Build>,
        /// What it last measured, once it has told.
        measures: Option<Measures>,
    },
}
