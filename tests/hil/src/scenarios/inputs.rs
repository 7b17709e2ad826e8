//! Exposures and measures.

use std::time::Duration;

use anyhow::{Result, ensure};
use plumbline_panel_logic::time::Micros;
use plumbline_wire::panel::{
    Activity, Event, FromPanel, Measures, Occurrence, Question, Settings, Show, ToPanel,
};

use super::{READY, Scenario};
use crate::bench::Bench;
use crate::board::Need::{Pins, Sensors};
use crate::board::{Pin, Sensor};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "exposures are told once, with their time",
        needs: &[Pins],
        play: exposures,
    },
    Scenario {
        name: "exposure line that is active while low",
        needs: &[Pins],
        play: active_low,
    },
    Scenario {
        name: "exposures without a station are told later",
        needs: &[Pins],
        play: later,
    },
    Scenario {
        name: "battery and temperature are measured",
        needs: &[Sensors],
        play: measures,
    },
];

const SECOND: Duration = Duration::from_secs(1);
/// Between a pin and the time that is told, on a busy computer.
const LATE: Duration = Duration::from_millis(100);

/// Asks the panel for its time, and gives the moment of ours at which its clock began; it may be
/// wrong by the length of the way there and back.
fn clock_begin(bench: &mut Bench, token: u32) -> Result<Duration> {
    let asked = bench.board.now();
    bench.station.say(ToPanel::Ask(Question::Time { token }));
    let at: Micros = bench.wait("time", SECOND * 10, |bench| {
        Ok(bench.station.said.iter().find_map(|message| match message {
            FromPanel::Time(time) if time.token == token => Some(time.at),
            _ => None,
        }))
    })?;
    let heard = bench.board.now();
    Ok(((asked + heard) / 2).saturating_sub(Duration::from_micros(at)))
}

fn told(bench: &Bench) -> Vec<Event> {
    let events = bench.station.events.iter();
    events
        .filter(|event| event.what == Occurrence::Exposure)
        .copied()
        .collect()
}

/// Sets the exposure line, which chatters, and gives the time before and after its first edge.
fn expose(bench: &mut Bench, active: bool) -> Result<(Duration, Duration)> {
    let before = bench.board.now();
    bench.board.set_pin(Pin::Exposure, active)?;
    let after = bench.board.now();
    for level in [!active, active] {
        bench.pass(Duration::from_millis(3))?;
        bench.board.set_pin(Pin::Exposure, level)?;
    }
    Ok((before, after))
}

fn exposures(bench: &mut Bench) -> Result<()> {
    bench.station.show(READY);
    bench.wait_for_session(1)?;
    for count in 1..=5 {
        let begin = clock_begin(bench, count)?;
        let (before, after) = expose(bench, true)?;
        let events = bench.wait("exposure", SECOND * 10, |bench| {
            Ok(Some(told(bench)).filter(|events| events.len() == count as usize))
        })?;
        let at = begin + Duration::from_micros(events[events.len() - 1].at);
        ensure!(
            at + LATE > before && at < after + LATE,
            "exposed between {before:?} and {after:?}, told as {at:?}"
        );
        bench.board.set_pin(Pin::Exposure, false)?;
        bench.pass(Duration::from_millis(700))?;
    }
    ensure!(told(bench).len() == 5, "{:?}", told(bench));
    Ok(())
}

fn active_low(bench: &mut Bench) -> Result<()> {
    bench.station.show(READY);
    bench.station.say(ToPanel::Keep(Settings {
        exposure_active_low: true,
        ..Settings::DEFAULT
    }));
    bench.wait("settings", SECOND * 10, |bench| {
        let kept = |message: &FromPanel| matches!(message, FromPanel::Settings(now) if now.kept);
        Ok(bench.station.said.iter().any(kept).then_some(()))
    })?;
    bench.board.set_pin(Pin::Exposure, true)?;
    bench.pass(Duration::from_millis(700))?;
    ensure!(
        told(bench).is_empty(),
        "the line became idle, which is no exposure"
    );
    expose(bench, false)?;
    bench.wait("exposure", SECOND * 10, |bench| {
        Ok((told(bench).len() == 1).then_some(()))
    })
}

fn later(bench: &mut Bench) -> Result<()> {
    bench.station.show(READY);
    bench.wait_for_session(1)?;
    let begin = clock_begin(bench, 1)?;
    bench.station.stopped = true;
    let mut times = vec![];
    for _ in 0..3 {
        times.push(expose(bench, true)?);
        bench.board.set_pin(Pin::Exposure, false)?;
        bench.pass(SECOND)?;
    }
    // Another station hears of them, each once and in order.
    bench.restart_station(Some(Show {
        activity: Activity::Busy,
        ..READY
    }));
    bench.wait("exposures", SECOND * 10, |bench| {
        Ok((told(bench).len() >= 3).then_some(()))
    })?;
    bench.pass(SECOND / 2)?;
    let events = told(bench);
    ensure!(events.len() == 3, "{events:?}");
    for ((before, after), event) in times.into_iter().zip(events) {
        let at = begin + Duration::from_micros(event.at);
        ensure!(
            at + LATE > before && at < after + LATE,
            "exposed between {before:?} and {after:?}, told as {at:?}"
        );
    }
    Ok(())
}

fn measures(bench: &mut Bench) -> Result<()> {
    bench.station.show(READY);
    bench.board.set_sensor(Sensor::Battery, Some(3987))?;
    for degrees in [251, -100] {
        bench.board.set_sensor(Sensor::Temperature, Some(degrees))?;
        bench.wait("measures", SECOND * 10, |bench| {
            bench.station.said.clear();
            bench.station.say(ToPanel::Ask(Question::Measures));
            bench.pass(SECOND / 10)?;
            let near = |value: Option<i32>, wanted: i32| {
                value.is_some_and(|value| value.abs_diff(wanted) <= 2)
            };
            let right = |message: &FromPanel| match *message {
                FromPanel::Measures(Measures {
                    battery,
                    temperature,
                    ..
                }) => {
                    near(battery.map(i32::from), 3987) && near(temperature.map(i32::from), degrees)
                }
                _ => false,
            };
            Ok(bench.station.said.iter().any(right).then_some(()))
        })?;
    }
    // Without being asked, too.
    bench.station.said.clear();
    bench.wait("measures that nobody asked for", SECOND * 15, |bench| {
        let measures = |message: &FromPanel| matches!(message, FromPanel::Measures(_));
        Ok(bench.station.said.iter().any(measures).then_some(()))
    })
}
