//! The station's own program: what it says of films, and of what happens at the board.

mod exposures;
mod films;
mod line;
mod restarts;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use plumbline_panel_logic::lamps::{Lamp, Lamps};

use super::Scenario;
use crate::bench::Bench;
use crate::real_station::{Fate, PATIENCE, RealStation};

/// All scenarios of the station's own program.
pub fn all() -> impl Iterator<Item = &'static Scenario<RealStation>> {
    [
        films::SCENARIOS,
        exposures::SCENARIOS,
        line::SCENARIOS,
        restarts::SCENARIOS,
    ]
    .into_iter()
    .flatten()
}

type Site = Bench<RealStation>;

const SECOND: Duration = Duration::from_secs(1);

/// A press of the button.
const SHORT: Duration = Duration::from_millis(100);

/// Starts the station and waits until the panel says that it is ready.
fn ready(site: &mut Site) -> Result<()> {
    site.start_station()?;
    site.wait_for_lamps(&[Lamp::Ready], PATIENCE)?;
    Ok(())
}

/// The lamp that a film's fate lights.
fn lamp_of(fate: &Fate) -> Result<Lamp> {
    match (&*fate.state, fate.positive) {
        ("read", Some(true)) => Ok(Lamp::Refer),
        ("read", Some(false)) => Ok(Lamp::NoSign),
        ("refused" | "failed", _) => Ok(Lamp::TakeAgain),
        _ => anyhow::bail!("{fate:?} is no result"),
    }
}

/// Waits until the newest film's result is shown, and nothing else but ready. Returns the film.
fn result_shown(site: &mut Site, films: usize) -> Result<Fate> {
    let fates = site.wait_for_fates(films)?;
    let newest = fates.into_iter().next().context("no film")?;
    site.wait_for_lamps(&[Lamp::Ready, lamp_of(&newest)?], SECOND * 5)?;
    Ok(newest)
}

/// Presses the button, and waits until these lamps are lit and the film is acknowledged.
fn acknowledge(site: &mut Site, film: i64, lamps: &[Lamp]) -> Result<()> {
    site.press(SHORT)?;
    site.wait_for_lamps(lamps, SECOND)?;
    site.wait_for_acknowledgement(film)?;
    let who = site.audit(film, "acknowledged")?;
    ensure!(
        who == ["panel button"],
        "film {film} was acknowledged by {who:?}"
    );
    Ok(())
}

/// The first time from `since` on at which exactly these lamps were lit.
fn first_seen(site: &mut Site, since: Duration, lamps: &[Lamp]) -> Result<Duration> {
    let wanted = lamps.iter().fold(Lamps::NONE, |all, lamp| all.with(*lamp));
    let changes = site.board.changes(since)?;
    let seen = changes.iter().find(|(_, seen)| seen.lamps == wanted);
    let lit: Vec<_> = changes.iter().map(|(_, seen)| seen.lamps.0).collect();
    seen.map(|(at, _)| *at)
        .with_context(|| format!("{lamps:?} were never lit, but {lit:?}"))
}
