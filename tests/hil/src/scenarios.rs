//! The scenarios: each tells one story of a panel board and a station.

mod inputs;
mod lamps;
mod line;
mod program;
mod settings;

use anyhow::Result;
use plumbline_panel_logic::lamps::Lamp;
use plumbline_wire::panel::{Activity, Buzzer, FilmResult, Outcome, Show};

use crate::bench::Bench;
use crate::board::Need;

pub use program::everything;

/// A scenario.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it needs of the board.
    pub needs: &'static [Need],
    /// Plays it on a board that has just got power for the first time.
    pub play: fn(&mut Bench) -> Result<()>,
}

/// All scenarios.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    [
        lamps::SCENARIOS,
        inputs::SCENARIOS,
        line::SCENARIOS,
        settings::SCENARIOS,
        program::SCENARIOS,
    ]
    .into_iter()
    .flatten()
}

/// A station that waits for films and has nothing to tell.
const READY: Show = Show {
    activity: Activity::Ready,
    result: None,
    film_missing: false,
    buzzer: Buzzer::Notice,
};

/// A station that waits for films and shows the result of one.
const fn result(film: u64, outcome: Outcome) -> Show {
    Show {
        result: Some(FilmResult { film, outcome }),
        ..READY
    }
}

/// The lamp of a result.
const fn lamp(outcome: Outcome) -> Lamp {
    match outcome {
        Outcome::Refer => Lamp::Refer,
        Outcome::NoSign => Lamp::NoSign,
        Outcome::TakeAgain => Lamp::TakeAgain,
    }
}
