//! Exposures, with their films and without.

use anyhow::{Result, ensure};
use plumbline_panel_logic::lamps::Lamp;

use super::{SECOND, SHORT, Scenario, Site, acknowledge, first_seen, ready, result_shown};
use crate::board::Need::{Lamps, Pins};
use crate::board::Pin;
use crate::films::Film;
use crate::real_station::{FILM_WITHIN, PATIENCE, RealStation};

pub(super) const SCENARIOS: &[Scenario<RealStation>] = &[
    Scenario {
        name: "exposure without film: told by lamp, buzzer, metric and health until it is seen",
        needs: &[Lamps, Pins],
        play: without_film,
    },
    Scenario {
        name: "exposure with film: nothing is missing",
        needs: &[Lamps, Pins],
        play: with_film,
    },
];

const TOLD: &str = "the X-ray unit exposed, and no film has come";
const MISSING: &str = "plumbline_film_missing";

fn expose(site: &mut Site) -> Result<()> {
    site.board.set_pin(Pin::Exposure, true)?;
    site.pass(SECOND / 5)?;
    site.board.set_pin(Pin::Exposure, false)
}

fn without_film(site: &mut Site) -> Result<()> {
    ready(site)?;
    let exposed = site.board.now();
    expose(site)?;
    site.wait_for_lamps(&[Lamp::Busy], PATIENCE)?;
    let after = site.board.now() - exposed;
    ensure!(after >= FILM_WITHIN, "missed after {after:?} already");
    println!("    missed after {after:?}, of at least {FILM_WITHIN:?}");
    site.wait("alarm", SECOND * 5, |site| {
        let changes = site.board.changes(exposed)?;
        Ok(changes.iter().any(|(_, seen)| seen.buzzer).then_some(()))
    })?;
    site.wait_for_health(TOLD, true)?;
    ensure!(site.metric(MISSING)? == 1.0, "no metric tells it");
    site.press(SHORT)?;
    site.wait_for_lamps(&[Lamp::Ready], SECOND * 2)?;
    site.wait_for_health(TOLD, false)?;
    ensure!(site.metric(MISSING)? == 0.0, "the metric stays");
    site.check()
}

fn with_film(site: &mut Site) -> Result<()> {
    ready(site)?;
    let exposed = site.board.now();
    expose(site)?;
    site.send(&[Film::too_small(1)?])?;
    let film = result_shown(site, 1)?;
    // Longer than a film may take, so that this exposure would be missed by now.
    let left = (exposed + FILM_WITHIN + SECOND * 2).saturating_sub(site.board.now());
    site.pass(left)?;
    ensure!(
        first_seen(site, exposed, &[Lamp::Busy, Lamp::TakeAgain]).is_err(),
        "the film was missed, though it had come"
    );
    site.wait_for_health(TOLD, false)?;
    ensure!(site.metric(MISSING)? == 0.0, "the metric tells of nothing");
    acknowledge(site, film.film, &[Lamp::Ready])?;
    // The next exposure is not that film's.
    expose(site)?;
    site.wait_for_health(TOLD, true)
}
