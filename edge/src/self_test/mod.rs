//! The daily self-test: a shipped phantom film takes the way of every film, as a patient that is marked as a
//! test, and its result, its time and its delivery are compared with what they were. What is wrong is told
//! by `/health` until a test finds nothing.

mod film;
mod judge;
mod status;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Zoned;

use crate::intake::{ReceiveError, Receiver, Way};
use crate::quality::IntendedUse;
use crate::store::{Kept, Origin, SelfTest, State, StoreError, StoredFilm};

pub use film::PATIENT_ID;
pub use status::SelfTestStatus;

/// How often the tester looks whether there is something to do.
const LOOK: Duration = Duration::from_millis(500);

/// How long a test film may take until it is read, behind all that came before it.
const READ_WITHIN: Duration = Duration::from_secs(3600);

/// The most deliveries of a test film that are looked at.
const MOST_DELIVERIES: usize = 1000;

/// The wait after a failure of the station's own memory.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// Tests the station.
pub struct SelfTester {
    /// The way in.
    pub receiver: Receiver,
    /// What the station's networks are meant for: the test film is such a film.
    pub intended: IntendedUse,
    /// The hour of the day, 0 to 23, from which on it tests once a day; none for never by itself.
    pub hour: Option<i8>,
}

impl SelfTester {
    /// Tests until `stop` is true: every day, and whenever somebody asks for it.
    pub fn run(&self, stop: &AtomicBool) {
        let started = Zoned::now();
        while !stop.load(Ordering::Relaxed) {
            let pause = match self.look(&started, stop) {
                Ok(()) => LOOK,
                Err(error) => {
                    tracing::error!(%error, "the self-test cannot be made");
                    let why = format!("the self-test cannot be made: {error}");
                    self.receiver.self_test.set_failure(why);
                    AFTER_FAILURE
                }
            };
            let until = Instant::now() + pause;
            while !stop.load(Ordering::Relaxed) && Instant::now() < until {
                thread::sleep(LOOK.min(pause));
            }
        }
    }

    fn look(&self, started: &Zoned, stop: &AtomicBool) -> Result<(), ReceiveError> {
        let store = &self.receiver.store;
        let newest = store.newest_self_test()?;
        // One that a restart broke off is gone on with.
        if let Some(test) = newest.as_ref().filter(|test| test.wrong.is_none()) {
            return Ok(self.wait_for(test, stop)?);
        }
        let now = Zoned::now();
        let status = &self.receiver.self_test;
        if status.is_wanted() || is_due(self.hour, &now, started, newest.as_ref()) {
            let film = self.send()?;
            store.begin_self_test(film, &day_of(&now))?;
            status.begun();
            tracing::info!(film, "self-test begun");
        }
        Ok(())
    }

    /// Gives the test film to the station.
    fn send(&self) -> Result<i64, ReceiveError> {
        let store = &self.receiver.store;
        let film = film::made_now(&self.intended).map_err(|why| {
            let error = std::io::Error::other(why);
            let path = Path::new("the test film").to_path_buf();
            StoreError::File { path, error }
        })?;
        let mut incoming = store.begin()?;
        incoming.write(&film)?;
        let way = Way {
            origin: Origin::SelfTest,
            sender: "self-test",
            announced: None,
        };
        self.receiver.receive(incoming, &way).map(Kept::film)
    }

    /// Waits until the test film has a result, and enters what is wrong with it.
    fn wait_for(&self, test: &SelfTest, stop: &AtomicBool) -> Result<(), StoreError> {
        let store = &self.receiver.store;
        let until = Instant::now() + READ_WITHIN;
        loop {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let film = store.film(test.film)?;
            if is_settled(&film) || Instant::now() > until {
                return self.end(test, &film);
            }
            thread::sleep(LOOK);
        }
    }

    fn end(&self, test: &SelfTest, film: &StoredFilm) -> Result<(), StoreError> {
        let store = &self.receiver.store;
        let before = store.self_tests_before(test.film)?;
        let basis = film.reading.as_ref().map(film::basis);
        let mut wrong = judge::film(film, basis.as_deref(), &before);
        if let Some(last) = before.first() {
            let deliveries = store.deliveries(Some(last.film), None, MOST_DELIVERIES)?;
            wrong.extend(judge::deliveries(&deliveries));
        }
        store.end_self_test(film, basis.as_deref(), &wrong)?;
        match &*wrong {
            [] => tracing::info!(film = film.film, "self-test ended: nothing is wrong"),
            wrong => tracing::error!(film = film.film, "self-test: {}", wrong.join("; ")),
        }
        Ok(())
    }
}

/// True once a day from the hour on. A station that never tested itself begins when the hour comes, not when
/// it is first started.
fn is_due(hour: Option<i8>, now: &Zoned, started: &Zoned, newest: Option<&SelfTest>) -> bool {
    let Some(hour) = hour else {
        return false;
    };
    if now.hour() < hour {
        return false;
    }
    match newest {
        Some(newest) => newest.day != day_of(now),
        None => started.date() != now.date() || started.hour() < hour,
    }
}

fn is_settled(film: &StoredFilm) -> bool {
    matches!(
        film.state,
        State::Read | State::Refused | State::Failed | State::Acknowledged
    )
}

/// The day, `YYYYMMDD`.
fn day_of(time: &Zoned) -> String {
    time.strftime("%Y%m%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_once_a_day_and_not_at_the_first_start() {
        let at = |time: &str| -> Zoned { format!("{time}:00+00:00[UTC]").parse().unwrap() };
        let tested = |day: &str| SelfTest {
            film: 1,
            day: day.into(),
            wrong: Some(Vec::new()),
            basis: None,
            logit: None,
            milliseconds: None,
        };
        let due = |now: &str, started: &str, newest: Option<&str>| {
            let newest = newest.map(tested);
            is_due(Some(5), &at(now), &at(started), newest.as_ref())
        };
        // Never tested: when the hour comes.
        assert!(!due("2026-11-27T04:59", "2026-11-27T01:00", None));
        assert!(due("2026-11-27T05:00", "2026-11-27T04:59", None));
        assert!(!due("2026-11-27T12:00", "2026-11-27T05:00", None));
        assert!(due("2026-11-28T05:00", "2026-11-27T12:00", None));
        // Else once a day, however late the station was switched on.
        assert!(!due(
            "2026-11-27T12:00",
            "2026-11-27T01:00",
            Some("20261127")
        ));
        assert!(due(
            "2026-11-27T12:00",
            "2026-11-27T12:00",
            Some("20261126")
        ));
        assert!(!is_due(
            None,
            &at("2026-11-28T05:00"),
            &at("2026-11-27T12:00"),
            None
        ));
    }
}
