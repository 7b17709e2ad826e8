//! A board and a station, joined by a line.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use plumbline_panel_logic::lamps::{Lamp, Lamps};
use plumbline_wire::panel::{Event, Occurrence, Show};

use crate::board::{Board, Pin, Seen};
use crate::station::Station;

/// How long one looks away at most.
const STEP: Duration = Duration::from_millis(2);

/// A board and a station.
pub struct Bench {
    /// The board.
    pub board: Box<dyn Board>,
    /// The station.
    pub station: Station,
    stations: u64,
}

impl Bench {
    /// A board, which is started, and a station that has said nothing yet.
    pub fn new(mut board: Box<dyn Board>) -> Result<Self> {
        board.start()?;
        Ok(Self {
            board,
            station: Station::new(1),
            stations: 1,
        })
    }

    /// Replaces the station by one that starts now and shows the same or nothing.
    pub fn restart_station(&mut self, show: Option<Show>) {
        self.stations += 1;
        self.station = Station::new(self.stations);
        if let Some(show) = show {
            self.station.show(show);
        }
    }

    /// Waits until `look` sees something.
    ///
    /// # Errors
    /// It does not within `most`.
    pub fn wait<T>(
        &mut self,
        what: &str,
        most: Duration,
        mut look: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let end = self.board.now() + most;
        loop {
            self.station.turn(&mut *self.board)?;
            if let Some(seen) = look(self)? {
                return Ok(seen);
            }
            if self.board.now() >= end {
                let Seen { lamps, buzzer } = self.board.seen()?;
                bail!(
                    "no {what} within {most:?}; lamps {:06b}, buzzer {buzzer}, events {:?}, said \
                     {:?}, logs {:#?}",
                    lamps.0,
                    self.station.events,
                    self.station.said,
                    self.station.logs
                );
            }
            self.board.pass(STEP)?;
        }
    }

    /// Lets time pass while the station does its part.
    pub fn pass(&mut self, time: Duration) -> Result<()> {
        let end = self.board.now() + time;
        while self.board.now() < end {
            self.station.turn(&mut *self.board)?;
            self.board.pass(STEP)?;
        }
        Ok(())
    }

    /// Waits for a session, which is the `number`-th of this station.
    pub fn wait_for_session(&mut self, number: usize) -> Result<()> {
        self.wait("session", Duration::from_secs(10), |bench| {
            Ok((bench.station.opened.len() >= number).then_some(()))
        })
    }

    /// Waits for an event.
    pub fn wait_for_event(
        &mut self,
        what: &str,
        is_it: impl Fn(&Occurrence) -> bool,
    ) -> Result<Event> {
        self.wait(what, Duration::from_secs(10), |bench| {
            Ok(bench
                .station
                .events
                .iter()
                .find(|event| is_it(&event.what))
                .copied())
        })
    }

    /// Waits until exactly these lamps are lit.
    pub fn wait_for_lamps(&mut self, lamps: &[Lamp], most: Duration) -> Result<Duration> {
        let begin = self.board.now();
        let wanted = lamps.iter().fold(Lamps::NONE, |all, lamp| all.with(*lamp));
        self.wait(&format!("{lamps:?}"), most, |bench| {
            Ok((bench.board.seen()?.lamps == wanted).then_some(()))
        })?;
        Ok(self.board.now() - begin)
    }

    /// Presses the button, which bounces as contacts do.
    pub fn press(&mut self, time: Duration) -> Result<()> {
        for high in [false, true, false] {
            self.board.set_pin(Pin::Button, high)?;
            self.pass(Duration::from_millis(2))?;
        }
        self.pass(time)?;
        for high in [true, false, true] {
            self.board.set_pin(Pin::Button, high)?;
            self.pass(Duration::from_millis(2))?;
        }
        Ok(())
    }

    /// For how many thousandths of `time` each lamp is lit from now on, from left to right.
    pub fn lit(&mut self, time: Duration) -> Result<[u32; 6]> {
        let begin = self.board.now();
        let mut seen = self.board.seen()?;
        self.pass(time)?;
        let end = self.board.now();
        let mut changes = self.board.changes(begin)?;
        changes.push((end, seen));
        let mut lit = [Duration::ZERO; 6];
        let mut since = begin;
        for (at, next) in changes {
            for lamp in Lamp::ALL {
                if seen.lamps.has(lamp) {
                    lit[lamp as usize] += at.saturating_sub(since);
                }
            }
            (since, seen) = (at, next);
        }
        Ok(lit.map(|lit| (lit.as_micros() * 1000 / (end - begin).as_micros()) as u32))
    }

    /// Checks that from `since` on no lamp was lit but these.
    pub fn only(&mut self, since: Duration, lamps: &[Lamp]) -> Result<()> {
        let allowed = lamps.iter().fold(Lamps::NONE, |all, lamp| all.with(*lamp));
        for (at, seen) in self.board.changes(since)? {
            ensure!(
                seen.lamps.0 & !allowed.0 == 0,
                "lamps {:06b} at {at:?}, though only {lamps:?} may be lit since {since:?}",
                seen.lamps.0
            );
        }
        Ok(())
    }
}
