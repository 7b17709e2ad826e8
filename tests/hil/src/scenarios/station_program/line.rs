//! The line is bad, away, or between programs of different versions.

use std::time::Duration;

use anyhow::{Result, ensure};
use plumbline_panel_logic::lamps::Lamp;

use super::{SECOND, SHORT, Scenario, Site, acknowledge, lamp_of, ready, result_shown};
use crate::board::Need::{Lamps, Pins, Reset};
use crate::films::Film;
use crate::noise::Noise;
use crate::real_station::{PATIENCE, RealStation};

pub(super) const SCENARIOS: &[Scenario<RealStation>] = &[
    Scenario {
        name: "panel is heard, away and heard again: health and metric",
        needs: &[],
        play: heard,
    },
    Scenario {
        name: "panel's cable is pulled, and put back",
        needs: &[Lamps, Pins],
        play: |site| {
            away(
                site,
                |site| {
                    site.board.unplug();
                    Ok(())
                },
                |site| {
                    site.board.plug();
                    Ok(())
                },
            )
        },
    },
    Scenario {
        name: "port's adapter is pulled out, and put in",
        needs: &[Lamps, Pins],
        play: |site| {
            away(
                site,
                |site| site.station.line.pull_out(),
                |site| site.station.line.put_in(),
            )
        },
    },
    Scenario {
        name: "panel is reset in the middle of frames",
        needs: &[Lamps, Pins, Reset],
        play: reset,
    },
    Scenario {
        name: "films and presses on a line that drops bytes",
        needs: &[Lamps, Pins],
        play: |site| {
            noisy(
                site,
                Noise {
                    drop: 15,
                    ..Noise::default()
                },
            )
        },
    },
    Scenario {
        name: "films and presses on a line that flips bits",
        needs: &[Lamps, Pins],
        play: |site| {
            noisy(
                site,
                Noise {
                    flip: 15,
                    ..Noise::default()
                },
            )
        },
    },
    Scenario {
        name: "films and presses on a line with bursts of noise",
        needs: &[Lamps, Pins],
        play: |site| {
            noisy(
                site,
                Noise {
                    burst: 4,
                    ..Noise::default()
                },
            )
        },
    },
    Scenario {
        name: "films and presses on a line that delays",
        needs: &[Lamps, Pins],
        play: |site| {
            noisy(
                site,
                Noise {
                    delay: (15, Duration::from_millis(30)),
                    ..Noise::default()
                },
            )
        },
    },
    Scenario {
        name: "panel's program of an older protocol",
        needs: &[Lamps],
        play: |site| other_protocol(site, -1, "the other side is older: update it"),
    },
    Scenario {
        name: "panel's program of a newer protocol",
        needs: &[Lamps],
        play: |site| other_protocol(site, 1, "the other side is newer: update this one"),
    },
];

const SILENT: &str = "the panel is not heard";

fn heard(site: &mut Site) -> Result<()> {
    const CONNECTED: &str = "plumbline_panel_connected";
    site.start_station()?;
    for _ in 0..2 {
        site.wait_for_health(SILENT, false)?;
        ensure!(site.metric(CONNECTED)? == 1.0, "no metric tells it");
        site.board.unplug();
        site.wait_for_health(SILENT, true)?;
        ensure!(site.metric(CONNECTED)? == 0.0, "the metric stays");
        site.board.plug();
    }
    site.check()
}

fn away(
    site: &mut Site,
    go: impl Fn(&mut Site) -> Result<()>,
    come: impl Fn(&mut Site) -> Result<()>,
) -> Result<()> {
    ready(site)?;
    go(site)?;
    site.wait_for_lamps(&[Lamp::Fault], SECOND * 2)?;
    site.wait_for_health(SILENT, true)?;
    // The station goes on, and the panel says what is so as soon as it can.
    site.send(&[Film::good(1)?])?;
    let fates = site.wait_for_fates(1)?;
    let lamp = lamp_of(&fates[0])?;
    ensure!(
        site.metric("plumbline_panel_connected")? == 0.0,
        "no metric tells it"
    );
    come(site)?;
    let back = site.board.now();
    // A port that is away is looked for once a second.
    site.wait_for_lamps(&[Lamp::Ready, lamp], SECOND * 2)?;
    println!("    right lamps after {:?}", site.board.now() - back);
    site.wait_for_health(SILENT, false)?;
    acknowledge(site, 1, &[Lamp::Ready])
}

fn reset(site: &mut Site) -> Result<()> {
    ready(site)?;
    site.send(&[Film::too_small(1)?])?;
    let film = result_shown(site, 1)?;
    for length in [1, 17, 60] {
        // In the middle of a frame of the station, of which no byte is a 0x00.
        site.board.link().write_all(&vec![0x11; length])?;
        let reset = site.board.now();
        site.board.reset()?;
        site.board.link().write_all(&vec![0x11; length])?;
        // The lamps may still be those from before the reset.
        site.pass(SECOND / 10)?;
        site.wait_for_lamps(&[Lamp::Ready, Lamp::TakeAgain], SECOND)?;
        println!("    right lamps after {:?}", site.board.now() - reset);
    }
    acknowledge(site, film.film, &[Lamp::Ready])
}

fn noisy(site: &mut Site, noise: Noise) -> Result<()> {
    ready(site)?;
    site.station.line.noise(noise);
    for number in 1..=3 {
        let film = match number {
            1 => Film::good(number)?,
            _ => Film::too_small(number)?,
        };
        site.send(&[film])?;
        let fates = site.wait_for_fates(number as usize)?;
        let lamp = lamp_of(&fates[0])?;
        site.wait_for_lamps(&[Lamp::Ready, lamp], PATIENCE)?;
        site.press(SHORT)?;
        site.wait_for_acknowledgement(number.into())?;
        let who = site.audit(number.into(), "acknowledged")?;
        ensure!(who == ["panel button"], "{who:?}");
    }
    // The state at the end is right, though the line stays as bad as it is.
    site.wait_for_lamps(&[Lamp::Ready], PATIENCE)?;
    let harmed = site.station.line.harmed();
    ensure!(harmed >= 5, "the noise was none: {harmed} bytes");
    println!("    {harmed} bytes lost, changed or delayed");
    site.station.line.noise(Noise::default());
    site.pass(SECOND)?;
    let quiet = site.board.now();
    site.pass(SECOND)?;
    site.only(quiet, &[Lamp::Ready])?;
    site.check()
}

fn other_protocol(site: &mut Site, newer: i16, told: &str) -> Result<()> {
    site.station.line.disguise(newer);
    let begin = site.board.now();
    site.start_station()?;
    site.wait_for_health(told, true)?;
    site.send(&[Film::too_small(1)?])?;
    site.wait_for_fates(1)?;
    site.wait_for_lamps(&[Lamp::Fault], SECOND * 2)?;
    site.only(begin, &[Lamp::Fault])?;
    // Both are brought to one release.
    site.stop_station()?;
    site.station.line.undisguise();
    site.start_station_until(&[Lamp::Ready, Lamp::TakeAgain])?;
    site.wait_for_health(told, false)
}
