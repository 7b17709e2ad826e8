//! What a station has stored: results and logs from a number on.

use std::io;

use plumbline_wire::host::{FromStation, LogEntry, ToStation};

use super::{DeviceError, Station};

/// How many entries are asked for at a time.
const MOST: u32 = 200;

impl Station {
    /// Gives the results behind number `after` to `take`: each one's number, and the film as JSON.
    /// Returns the number of the last one.
    ///
    /// # Errors
    /// [`DeviceError`], also `take`'s.
    pub fn results(
        &mut self,
        after: u64,
        mut take: impl FnMut(u64, &str) -> io::Result<()>,
    ) -> Result<u64, DeviceError> {
        let most = MOST;
        self.entries(
            after,
            |after| ToStation::Results { after, most },
            |entry| match entry {
                FromStation::Result { number, line } => Some((number, take(number, line))),
                _ => None,
            },
        )
    }

    /// Gives the entries of the log behind number `after` to `take`: each one's number, time and what
    /// it says. Returns the number of the last one.
    ///
    /// # Errors
    /// [`DeviceError`], also `take`'s.
    pub fn logs(
        &mut self,
        after: u64,
        mut take: impl FnMut(u64, &str, &LogEntry) -> io::Result<()>,
    ) -> Result<u64, DeviceError> {
        let most = MOST;
        self.entries(
            after,
            |after| ToStation::Logs { after, most },
            |entry| match entry {
                FromStation::Log {
                    number,
                    time,
                    entry,
                } => Some((number, take(number, time, &entry))),
                _ => None,
            },
        )
    }

    /// Asks by `question` for entries behind a number until there are no more.
    fn entries(
        &mut self,
        mut after: u64,
        question: impl Fn(u64) -> ToStation<'static>,
        mut take: impl FnMut(FromStation) -> Option<(u64, io::Result<()>)>,
    ) -> Result<u64, DeviceError> {
        self.ask(|connection, tries| {
            connection.say(&question(after))?;
            loop {
                match connection.hear()? {
                    FromStation::End { more: false } => return Ok(after),
                    FromStation::End { more: true } => connection.say(&question(after))?,
                    entry => {
                        let (number, taken) = take(entry).ok_or(DeviceError::Unexpected)?;
                        taken?;
                        after = number;
                        tries.progressed();
                    }
                }
            }
        })
    }
}
