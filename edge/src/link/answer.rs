//! Answers to hosts that ask for what the station has stored.

use plumbline_wire::host::{FromStation, LogEntry};

use super::session::{LinkError, Session};
use crate::logs::Said;
use crate::store::{StoreError, StoredFilm};

/// The most entries that are told at a time.
const MOST: u32 = 1000;

impl Session<'_> {
    /// Answers [`ToStation::Info`](plumbline_wire::host::ToStation::Info).
    pub(super) fn info(&mut self) -> Result<(), LinkError> {
        let station = self.station;
        match station.info(|info| self.say(info)) {
            Ok(said) => said,
            Err(error) => self.refuse(&error.to_string()),
        }
    }

    /// Answers [`ToStation::Results`](plumbline_wire::host::ToStation::Results).
    pub(super) fn results(&mut self, after: u64, most: u32) -> Result<(), LinkError> {
        let store = &*self.station.receiver.store;
        let most = most.min(MOST);
        let results = || {
            // One more than is told, to know whether there is more.
            let numbers = store.results(after, most + 1)?;
            let films = numbers
                .into_iter()
                .map(|(number, film)| Ok((number, store.film(film)?)));
            films.collect::<Result<Vec<(u64, StoredFilm)>, StoreError>>()
        };
        let mut results = match results() {
            Ok(results) => results,
            Err(error) => return self.refuse(&error.to_string()),
        };
        let more = results.len() > most as usize;
        results.truncate(most as usize);
        for (number, film) in results {
            self.require_going_on()?;
            self.tell(number, film)?;
        }
        self.say(&FromStation::End { more })
    }

    /// Answers [`ToStation::Logs`](plumbline_wire::host::ToStation::Logs).
    pub(super) fn logs(&mut self, after: u64, most: u32) -> Result<(), LinkError> {
        let lines = self.station.log.after(after, most.min(MOST) as usize);
        let (lines, more) = match lines {
            Ok(lines) => lines,
            Err(error) => {
                let why = format!("the log cannot be read ({error}): check the disk");
                return self.refuse(&why);
            }
        };
        for line in lines {
            self.require_going_on()?;
            let entry = match &line.said {
                Said::Line(line) => LogEntry::Station(line),
                Said::Panel(panel) => LogEntry::Panel {
                    build: panel.build,
                    boot: panel.boot,
                    missing: panel.missing,
                    frames: &panel.frames,
                },
            };
            self.say(&FromStation::Log {
                number: line.number,
                time: &line.time,
                entry,
            })?;
        }
        self.say(&FromStation::End { more })
    }
}
