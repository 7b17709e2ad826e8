//! What happened at the panel, and what the panel is to show of the films.

use jiff::{SignedDuration, Timestamp};
use plumbline_wire::panel::{Event as PanelEvent, FilmResult, Occurrence, Outcome, Press, Reset};
use rusqlite::{Connection, OptionalExtension, params};

use super::Store;
use super::audit::{self, Action, Entry, Event, Outcome as AuditOutcome};
use super::error::StoreError;
use super::state::State;
use super::work::acknowledge;
use crate::clock::{boot, since_boot};

/// Who pressed the button, for the audit log.
pub(super) const BUTTON: &str = "panel button";

/// The object of the panel's own audit entries.
const BOARD: &str = "panel board";

/// The age from which on a result that nobody has acknowledged is not shown any more: a panel that
/// is added to a station must not begin with the results of months.
const OLD: SignedDuration = SignedDuration::from_hours(24);

/// How long after an exposure its film may still come, though it was missing meanwhile.
const LATE: i64 = 3_600_000_000_000;

/// What came of something that happened at the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PanelDeed {
    /// It was told before.
    Known,
    /// A person has seen the result of this film.
    Acknowledged(i64),
    /// A person has seen that films are missing.
    Seen,
    /// A film should come.
    Exposed,
    /// Nothing is to be done.
    Noted,
}

/// What the store knows of what the panel shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PanelState {
    /// The newest result that nobody has acknowledged, of the last 24 hours.
    pub result: Option<FilmResult>,
    /// True if a film is being read or waits for a reader.
    pub busy: bool,
    /// True if there was an exposure whose film has not come, and nobody has seen that.
    pub film_missing: bool,
}

impl Store {
    /// Keeps something that happened at the panel, `since_boot` nanoseconds after the system's start,
    /// and does what follows from it: all of it once, however often it is told.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn keep_panel_event(
        &self,
        event: &PanelEvent,
        since_boot: i64,
    ) -> Result<PanelDeed, StoreError> {
        self.change(|transaction| {
            let new = "INSERT OR IGNORE INTO panel_events VALUES (?1, ?2)";
            let id = event.id;
            if transaction.execute(new, params![id.boot as i64, id.number])? == 0 {
                return Ok(PanelDeed::Known);
            }
            match event.what {
                Occurrence::Button {
                    press: Press::Short,
                    film: Some(film),
                } => {
                    let film = film as i64;
                    match acknowledge(transaction, film, BUTTON) {
                        Ok(()) => Ok(PanelDeed::Acknowledged(film)),
                        // Somebody else has, or it is read again.
                        Err(StoreError::State { .. } | StoreError::NoFilm(_)) => {
                            Ok(PanelDeed::Noted)
                        }
                        Err(error) => Err(error),
                    }
                }
                Occurrence::Button {
                    press: Press::Short,
                    film: None,
                } => {
                    let seen = "UPDATE exposures SET seen = 1 WHERE missing AND NOT seen";
                    match transaction.execute(seen, [])? {
                        0 => Ok(PanelDeed::Noted),
                        _ => Ok(PanelDeed::Seen),
                    }
                }
                Occurrence::Exposure => {
                    let exposure = "INSERT INTO exposures (boot, since_boot) VALUES (?1, ?2)";
                    transaction.execute(exposure, params![boot(), since_boot])?;
                    Ok(PanelDeed::Exposed)
                }
                Occurrence::Started(Reset::Watchdog) => {
                    let what = "its program had stopped, and its watchdog has started it again";
                    alert(transaction, BOARD, what)?;
                    Ok(PanelDeed::Noted)
                }
                Occurrence::Started(_)
                | Occurrence::Button {
                    press: Press::Long, ..
                } => Ok(PanelDeed::Noted),
            }
        })
    }

    /// Notes that the film of every exposure is missing that is longer ago than `within` nanoseconds;
    /// of those before the system's start, if the program has run for longer. Returns how many there
    /// are more.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn miss_films(&self, within: i64, started: i64) -> Result<usize, StoreError> {
        let (boot, since_boot) = (boot(), since_boot());
        let overdue = "film IS NULL AND NOT missing
            AND CASE boot WHEN ?1 THEN since_boot < ?2 ELSE ?3 END";
        let before = since_boot.saturating_sub(within);
        let parameters = params![boot, before, started < before];
        let any = format!("SELECT EXISTS (SELECT 1 FROM exposures WHERE {overdue})");
        if !self.lock().query_row(&any, parameters, |row| row.get(0))? {
            return Ok(0);
        }
        self.change(|transaction| {
            let miss = format!("UPDATE exposures SET missing = 1 WHERE {overdue}");
            let missing = transaction.execute(&miss, parameters)?;
            let what = format!("{missing} exposures without a film");
            alert(transaction, "X-ray unit", &what)?;
            Ok(missing)
        })
    }

    /// What the panel is to show of the films.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn panel_state(&self) -> Result<PanelState, StoreError> {
        let database = self.lock();
        let any = |query: &str| database.query_row(query, [], |row| row.get(0));
        Ok(PanelState {
            result: newest_result(&database)?,
            busy: any("SELECT EXISTS (SELECT 1 FROM films
                WHERE state = 'received' AND held IS NULL)")?,
            film_missing: any("SELECT EXISTS (SELECT 1 FROM exposures
                WHERE missing AND NOT seen AND film IS NULL)")?,
        })
    }
}

/// The newest result that nobody has acknowledged.
fn newest_result(database: &Connection) -> Result<Option<FilmResult>, StoreError> {
    let mut newest: Option<(i64, State)> = None;
    let of_state = "SELECT id FROM films WHERE state = ?1 AND origin <> 'self-test'
        ORDER BY id DESC LIMIT 1";
    let mut statement = database.prepare_cached(of_state)?;
    for state in [State::Read, State::Refused, State::Failed] {
        let film = statement.query_row([state], |row| row.get(0)).optional()?;
        if let Some(film) = film
            && newest.is_none_or(|(other, _)| other < film)
        {
            newest = Some((film, state));
        }
    }
    let Some((film, state)) = newest else {
        return Ok(None);
    };
    let since = "SELECT wall FROM audit JOIN states ON audit.sequence = states.audit
        WHERE states.film = ?1 ORDER BY sequence DESC LIMIT 1";
    let wall: String = database.query_row(since, [film], |row| row.get(0))?;
    let since = wall.parse::<Timestamp>().unwrap_or_default();
    if Timestamp::now().duration_since(since) > OLD {
        return Ok(None);
    }
    let outcome = match state {
        State::Read => {
            let positive = "SELECT positive FROM readings WHERE film = ?1 ORDER BY id DESC LIMIT 1";
            match database.query_row(positive, [film], |row| row.get(0))? {
                true => Outcome::Refer,
                false => Outcome::NoSign,
            }
        }
        _ => Outcome::TakeAgain,
    };
    let film = film as u64;
    Ok(Some(FilmResult { film, outcome }))
}

/// Gives the film that has just come to the exposure that it is of: the first that waits for one,
/// else the last whose film was missing.
pub(super) fn find_exposure(transaction: &Connection, film: i64) -> Result<(), StoreError> {
    let (boot, since_boot) = (boot(), since_boot());
    let waiting = "SELECT id FROM exposures
        WHERE film IS NULL AND boot = ?1 AND since_boot BETWEEN ?2 AND ?3
        ORDER BY missing, CASE missing WHEN 0 THEN id ELSE -id END LIMIT 1";
    let late = params![boot, since_boot.saturating_sub(LATE), since_boot];
    let exposure: Option<i64> =
        (transaction.query_row(waiting, late, |row| row.get(0))).optional()?;
    if let Some(exposure) = exposure {
        let found = "UPDATE exposures SET film = ?2 WHERE id = ?1";
        transaction.execute(found, [exposure, film])?;
    }
    Ok(())
}

fn alert(transaction: &Connection, object: &str, detail: &str) -> Result<(), StoreError> {
    let entry = Entry {
        event: Event::Alert,
        action: Action::Execute,
        outcome: AuditOutcome::Minor,
        who: "station",
        object,
        detail,
    };
    audit::append(transaction, &entry).map(|_| ())
}
