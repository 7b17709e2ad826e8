//! The station is stopped, killed or hangs, and is there again.

use std::time::Duration;

use anyhow::{Result, ensure};
use plumbline_panel_logic::lamps::Lamp;
use rustix::process::Signal;

use super::{SECOND, Scenario, Site, acknowledge, lamp_of, ready, result_shown};
use crate::board::Need::{Lamps, Pins};
use crate::films::Film;
use crate::real_station::{PATIENCE, RealStation};

pub(super) const SCENARIOS: &[Scenario<RealStation>] = &[
    Scenario {
        name: "station is restarted: the right lamps within 1 s of its being there",
        needs: &[Lamps, Pins],
        play: restarted,
    },
    Scenario {
        name: "station is killed while it reads: the right lamps within 1 s of its being there",
        needs: &[Lamps, Pins],
        play: killed,
    },
    Scenario {
        name: "station is killed while a film comes: it is sent again and kept once",
        needs: &[Lamps, Pins],
        play: killed_while_sending,
    },
    Scenario {
        name: "station hangs: safe state within 2 s, and back",
        needs: &[Lamps],
        play: hangs,
    },
];

/// Starts the station, and checks that the right lamps are lit in time.
fn back(site: &mut Site, lamps: &[Lamp]) -> Result<()> {
    // So that they are not those from before.
    site.wait_for_lamps(&[Lamp::Fault], SECOND * 3)?;
    let (late, all) = site.start_station_until(lamps)?;
    println!("    {lamps:?} {late:?} after the station was there, {all:?} after its start");
    let most = site.station.right_lamps_within();
    ensure!(late <= most, "{late:?} are more than {most:?}");
    Ok(())
}

fn restarted(site: &mut Site) -> Result<()> {
    ready(site)?;
    site.stop_station()?;
    back(site, &[Lamp::Ready])?;
    site.send(&[Film::too_small(1)?])?;
    result_shown(site, 1)?;
    site.stop_station()?;
    back(site, &[Lamp::Ready, Lamp::TakeAgain])?;
    acknowledge(site, 1, &[Lamp::Ready])?;
    site.stop_station()?;
    back(site, &[Lamp::Ready])?;
    site.check()
}

fn killed(site: &mut Site) -> Result<()> {
    ready(site)?;
    site.send(&[Film::good(1)?])?;
    site.wait("busy lamp", SECOND * 5, |site| {
        Ok(site.board.seen()?.lamps.has(Lamp::Busy).then_some(()))
    })?;
    site.station.kill()?;
    back(site, &[Lamp::Busy])?;
    let film = result_shown(site, 1)?;
    ensure!(film.state == "read", "{film:?}");
    let lamp = lamp_of(&film)?;
    site.station.kill()?;
    back(site, &[Lamp::Ready, lamp])?;
    acknowledge(site, 1, &[Lamp::Ready])?;
    site.check()
}

fn killed_while_sending(site: &mut Site) -> Result<()> {
    ready(site)?;
    let film = Film::good(1)?;
    for pause in [5, 20, 60, 200] {
        let sending = site.begin_to_send(std::slice::from_ref(&film))?;
        let sender = std::thread::spawn(sending);
        site.pass(Duration::from_millis(pause))?;
        site.station.kill()?;
        // It is told that its film did not come, or that it did.
        site.wait("end of sending", PATIENCE, |_| {
            Ok(sender.is_finished().then_some(()))
        })?;
        site.start_station()?;
    }
    site.send(&[film])?;
    result_shown(site, 1)?;
    acknowledge(site, 1, &[Lamp::Ready])?;
    site.check()
}

fn hangs(site: &mut Site) -> Result<()> {
    ready(site)?;
    site.send(&[Film::too_small(1)?])?;
    result_shown(site, 1)?;
    for _ in 0..2 {
        site.station.signal(Signal::STOP)?;
        let safe = site.wait_for_lamps(&[Lamp::Fault], SECOND * 2)?;
        let fault = site.board.now();
        site.pass(SECOND * 3)?;
        site.only(fault, &[Lamp::Fault])?;
        site.station.signal(Signal::CONT)?;
        let most = site.station.right_lamps_within();
        let back = site.wait_for_lamps(&[Lamp::Ready, Lamp::TakeAgain], most)?;
        println!("    safe after {safe:?}, right lamps {back:?} after it went on");
    }
    Ok(())
}
