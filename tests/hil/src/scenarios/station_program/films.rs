//! Films come, and are shown and acknowledged.

use anyhow::{Context, Result, ensure};
use plumbline_panel_logic::lamps::Lamp;

use super::{SECOND, Scenario, Site, acknowledge, first_seen, lamp_of, ready, result_shown};
use crate::board::Need::{Lamps, Pins};
use crate::films::Film;
use crate::real_station::RealStation;

pub(super) const SCENARIOS: &[Scenario<RealStation>] = &[
    Scenario {
        name: "film sent, busy, result and buzzer, button: acknowledged in store and audit log",
        needs: &[Lamps, Pins],
        play: film,
    },
    Scenario {
        name: "refused film: take it again",
        needs: &[Lamps, Pins],
        play: refused,
    },
    Scenario {
        name: "two films, one right after the other",
        needs: &[Lamps, Pins],
        play: two,
    },
    Scenario {
        name: "wrong clock is told, and the lamps go on",
        needs: &[Lamps],
        play: wrong_clock,
    },
];

fn film(site: &mut Site) -> Result<()> {
    ready(site)?;
    site.wait_for_health("no reader is ready", false)?;
    let wrong = site.health()?;
    ensure!(wrong.is_empty(), "{wrong:?}");
    let sent = site.board.now();
    site.send(&[Film::good(1)?])?;
    let film = result_shown(site, 1)?;
    ensure!(film.state == "read", "{film:?}");
    let lamp = lamp_of(&film)?;
    let busy = first_seen(site, sent, &[Lamp::Busy])?;
    let result = first_seen(site, sent, &[Lamp::Ready, lamp])?;
    ensure!(busy < result, "busy at {busy:?}, the result at {result:?}");
    // From then on: a slow station may have been silent for a while before, which sounds, too.
    let buzzer = site.board.changes(result)?;
    let buzzer = buzzer.iter().find(|(_, seen)| seen.buzzer);
    let (buzzer, _) = buzzer.context("the buzzer was silent")?;
    ensure!(
        *buzzer < result + SECOND,
        "the result was shown at {result:?}, the buzzer sounded at {buzzer:?}"
    );
    println!(
        "    busy lamp {:?} after sending began, {lamp:?} {:?} after it",
        busy - sent,
        result - sent
    );
    acknowledge(site, film.film, &[Lamp::Ready])?;
    // Another press acknowledges nothing.
    site.press(SECOND / 10)?;
    site.pass(SECOND)?;
    let who = site.audit(film.film, "acknowledged")?;
    ensure!(who.len() == 1, "{who:?}");
    site.check()
}

fn refused(site: &mut Site) -> Result<()> {
    ready(site)?;
    site.send(&[Film::too_small(1)?])?;
    let film = result_shown(site, 1)?;
    ensure!(film.state == "refused", "{film:?}");
    acknowledge(site, film.film, &[Lamp::Ready])?;
    site.check()
}

fn two(site: &mut Site) -> Result<()> {
    ready(site)?;
    // One without a sign and one to refer, so that it can be seen which is shown.
    site.send(&[Film::good(3)?, Film::good(1)?])?;
    let newest = result_shown(site, 2)?;
    let older = site.fates()?.pop().context("no film")?;
    ensure!(
        newest.film == 2 && lamp_of(&older)? != lamp_of(&newest)?,
        "{older:?}, {newest:?}"
    );
    acknowledge(site, 2, &[Lamp::Ready, lamp_of(&older)?])?;
    acknowledge(site, 1, &[Lamp::Ready])?;
    site.check()
}

fn wrong_clock(site: &mut Site) -> Result<()> {
    const TOLD: &str = "the station's clock and the date of a film";
    ready(site)?;
    site.send(&[Film::good_of(1, "20010203")?])?;
    site.wait_for_health(TOLD, true)?;
    ensure!(
        site.metric("plumbline_clock_wrong")? == 1.0,
        "no metric tells it"
    );
    let film = result_shown(site, 1)?;
    if site.board.can(Pins) {
        acknowledge(site, film.film, &[Lamp::Ready])?;
    }
    // A film of today speaks for the clock again.
    site.send(&[Film::too_small(2)?, Film::good(3)?])?;
    site.wait_for_health(TOLD, false)?;
    result_shown(site, 3)?;
    Ok(())
}
