//! Settings, which outlast the power.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use plumbline_wire::panel::{FromPanel, Question, Settings, SettingsReport, ToPanel};

use super::{READY, Scenario};
use crate::bench::Bench;
use crate::board::Need::PowerCut;

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "settings over 20 power cuts",
    needs: &[PowerCut],
    play: power_cuts,
}];

const SECOND: Duration = Duration::from_secs(1);

fn settings(number: u8) -> Settings {
    Settings {
        volume: number,
        long_press: 1000 + u16::from(number),
        ..Settings::DEFAULT
    }
}

/// The settings that the panel follows.
fn ask(bench: &mut Bench) -> Result<SettingsReport> {
    bench.station.said.clear();
    bench.station.say(ToPanel::Ask(Question::Settings));
    bench.wait("settings", SECOND * 10, |bench| {
        Ok(bench.station.said.iter().find_map(|message| match message {
            FromPanel::Settings(settings) => Some(*settings),
            _ => None,
        }))
    })
}

fn power_cuts(bench: &mut Bench) -> Result<()> {
    bench.station.show(READY);
    bench.wait_for_session(1)?;
    let mut before = ask(bench)?;
    ensure!(
        before.settings == Settings::DEFAULT && !before.kept,
        "{before:?}"
    );
    let mut boots = vec![];
    for number in 1..=20u8 {
        bench.station.said.clear();
        bench.station.say(ToPanel::Keep(settings(number)));
        // Every other time the power goes after the panel has said that they are kept; else at some
        // moment of keeping them.
        let kept = number.is_multiple_of(2);
        if kept {
            bench.wait("settings kept", SECOND * 10, |bench| {
                let wanted = SettingsReport {
                    settings: settings(number),
                    kept: true,
                };
                Ok(bench
                    .station
                    .said
                    .contains(&FromPanel::Settings(wanted))
                    .then_some(()))
            })?;
        } else {
            bench.station.turn(&mut *bench.board)?;
            bench
                .board
                .pass(Duration::from_micros(u64::from(number) * 400))?;
        }
        bench.board.cut_power()?;
        bench.board.start()?;
        bench.restart_station(Some(READY));
        bench.wait_for_session(1)?;
        let after = ask(bench)?;
        let new = SettingsReport {
            settings: settings(number),
            kept: true,
        };
        match after == new || (after == before && !kept) {
            true => before = after,
            false => bail!("kept {new:?} after {before:?}, found {after:?}"),
        }
        boots.extend(bench.station.opened.iter().map(|panel| panel.boot));
    }
    boots.dedup();
    ensure!(
        boots.len() == 20 && boots.is_sorted(),
        "starts with one name: {boots:?}"
    );
    Ok(())
}
