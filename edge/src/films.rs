//! `plumbline-edge films`: the newest films of a station and what became of them.

use std::io::{self, Write};

use anyhow::Result;
use plumbline_shared::outcome::in_words;
use plumbline_shared::printable::printable;

use crate::config::Settings;
use crate::store::{Store, StoredFilm};

/// Prints the `newest` films of the station with `settings`, the newest first, as a table or as one
/// JSON object a line. The station may run meanwhile.
///
/// # Errors
/// If there is no store, or it cannot be read.
pub fn films(settings: &Settings, newest: usize, json: bool) -> Result<()> {
    let store = Store::beside(&settings.data, settings.limits)?;
    let mut out = io::stdout().lock();
    if !json {
        writeln!(
            out,
            "{:>6}  {:32}  {:20}  {:12}  result",
            "film", "received", "patient", "state"
        )?;
    }
    for film in store.newest(newest)? {
        let film = store.film(film)?;
        match json {
            true => writeln!(out, "{}", serde_json::to_string(&film)?)?,
            false => writeln!(
                out,
                "{:6}  {:32}  {:20}  {:12}  {}",
                film.film,
                film.received,
                printable(film.header.patient_id.as_deref().unwrap_or("-")),
                film.state,
                result(&film)
            )?,
        }
    }
    Ok(out.flush()?)
}

/// A film's result in words.
fn result(film: &StoredFilm) -> String {
    let reading = film.reading.as_ref();
    in_words(
        film.held.as_deref(),
        reading.map(|reading| (reading.positive, reading.probability)),
        film.reason.as_deref(),
    )
}
