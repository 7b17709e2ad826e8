//! The lamps follow the station, and never say what is not so.

use std::time::Duration;

use anyhow::{Result, ensure};
use plumbline_panel_logic::lamps::{Lamp, Rhythm};
use plumbline_panel_logic::panel::TEST;
use plumbline_wire::panel::{Activity, Buzzer, Occurrence, Outcome, Press, Show};

use super::{READY, Scenario, lamp, result};
use crate::bench::Bench;
use crate::board::Need::{Lamps, Pins, Reset, Sensors};
use crate::board::{Pin, Sensor};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "lamps follow the station's states, each in its rhythm",
        needs: &[Lamps],
        play: follow,
    },
    Scenario {
        name: "result, buzzer, button: acknowledged",
        needs: &[Lamps, Pins],
        play: acknowledge,
    },
    Scenario {
        name: "long press: lamp test, and a fault ends it",
        needs: &[Lamps, Pins],
        play: test,
    },
    Scenario {
        name: "silent station: safe state within 2 s, and back within 1 s",
        needs: &[Lamps],
        play: silence,
    },
    Scenario {
        name: "restart of either side: the right lamps within 1 s",
        needs: &[Lamps, Reset],
        play: restarts,
    },
    Scenario {
        name: "hot board, empty battery: fault",
        needs: &[Lamps, Sensors],
        play: sensors,
    },
];

const SECOND: Duration = Duration::from_secs(1);

/// Thousandths of the time that a lamp of a rhythm is lit.
fn share(rhythm: Rhythm) -> u32 {
    let steps = rhythm.steps().iter().map(|step| u32::from(*step));
    let lit: u32 = steps.clone().step_by(2).sum();
    lit * 1000 / steps.sum::<u32>()
}

fn follow(bench: &mut Bench) -> Result<()> {
    let busy = Show {
        activity: Activity::Busy,
        ..READY
    };
    let missing = Show {
        film_missing: true,
        ..READY
    };
    let fault = Show {
        activity: Activity::Fault,
        ..result(7, Outcome::Refer)
    };
    for (show, lamps) in [
        (READY, &[(Lamp::Ready, Rhythm::Steady)][..]),
        (busy, &[(Lamp::Busy, Rhythm::Even)]),
        (missing, &[(Lamp::Busy, Rhythm::OneFlash)]),
        (
            result(1, Outcome::Refer),
            &[
                (Lamp::Ready, Rhythm::Steady),
                (Lamp::Refer, Rhythm::TwoFlashes),
            ],
        ),
        (
            result(2, Outcome::NoSign),
            &[
                (Lamp::Ready, Rhythm::Steady),
                (Lamp::NoSign, Rhythm::Winking),
            ],
        ),
        (
            result(3, Outcome::TakeAgain),
            &[
                (Lamp::Ready, Rhythm::Steady),
                (Lamp::TakeAgain, Rhythm::ThreeFlashes),
            ],
        ),
        (fault, &[(Lamp::Fault, Rhythm::Quick)]),
    ] {
        bench.station.show(show);
        bench.wait_for_session(1)?;
        let all: Vec<_> = lamps.iter().map(|(lamp, _)| *lamp).collect();
        bench.wait_for_lamps(&all, SECOND * 10)?;
        let lit = bench.lit(SECOND * 2)?;
        for lamp in Lamp::ALL {
            let rhythm = lamps.iter().find(|(other, _)| *other == lamp);
            let share = rhythm.map_or(0, |(_, rhythm)| share(*rhythm));
            let lit = lit[lamp as usize];
            ensure!(
                lit.abs_diff(share) <= 60,
                "{lamp:?} is lit for {lit} of 1000, not {share}"
            );
        }
    }
    Ok(())
}

fn acknowledge(bench: &mut Bench) -> Result<()> {
    bench.station.show(READY);
    bench.wait_for_session(1)?;
    for (film, outcome) in [
        (1, Outcome::Refer),
        (2, Outcome::NoSign),
        (3, Outcome::TakeAgain),
    ] {
        let begin = bench.board.now();
        bench.station.show(result(film, outcome));
        bench.wait_for_lamps(&[Lamp::Ready, lamp(outcome)], SECOND * 5)?;
        bench.wait("buzzer", SECOND * 5, |bench| {
            let changes = bench.board.changes(begin)?;
            Ok(changes.iter().any(|(_, seen)| seen.buzzer).then_some(()))
        })?;
        bench.press(Duration::from_millis(100))?;
        let event = bench.wait_for_event(
            "press",
            |what| matches!(what, Occurrence::Button { film: Some(other), .. } if *other == film),
        )?;
        ensure!(
            event.what
                == Occurrence::Button {
                    press: Press::Short,
                    film: Some(film)
                },
            "{event:?}"
        );
        // The station still shows the result; the panel knows better.
        let acknowledged = bench.board.now();
        bench.pass(SECOND * 2)?;
        bench.only(acknowledged, &[Lamp::Ready])?;
        bench.station.show(READY);
    }
    // A press on nothing acknowledges nothing.
    bench.press(Duration::from_millis(100))?;
    bench.wait_for_event("press on nothing", |what| {
        *what
            == Occurrence::Button {
                press: Press::Short,
                film: None,
            }
    })?;
    let presses = bench.station.events.iter();
    let presses = presses
        .filter(|event| matches!(event.what, Occurrence::Button { .. }))
        .count();
    ensure!(
        presses == 4,
        "{presses} presses, though contacts only bounced"
    );
    Ok(())
}

fn test(bench: &mut Bench) -> Result<()> {
    let length = Duration::from_micros(TEST);
    bench.station.show(READY);
    bench.wait_for_session(1)?;
    bench.wait_for_lamps(&[Lamp::Ready], SECOND * 5)?;
    for ends_by_fault in [false, true] {
        bench.board.set_pin(Pin::Button, false)?;
        bench.wait_for_lamps(&Lamp::ALL, SECOND * 10)?;
        let begin = bench.board.now();
        bench.board.set_pin(Pin::Button, true)?;
        if ends_by_fault {
            bench.station.show(Show {
                activity: Activity::Fault,
                ..READY
            });
            bench.wait_for_lamps(&[Lamp::Fault], SECOND)?;
            let fault = bench.board.now();
            bench.pass(SECOND / 2)?;
            bench.only(fault, &[Lamp::Fault])?;
        } else {
            bench.wait_for_lamps(&[Lamp::Ready], SECOND * 10)?;
            let took = bench.board.now() - begin;
            ensure!(took.abs_diff(length) < SECOND, "the test took {took:?}");
        }
    }
    let long = |what: &Occurrence| {
        matches!(
            what,
            Occurrence::Button {
                press: Press::Long,
                ..
            }
        )
    };
    bench.wait_for_event("long press", long)?;
    bench.pass(SECOND / 2)?;
    let presses = bench.station.events.iter();
    let presses: Vec<_> = presses
        .filter(|event| matches!(event.what, Occurrence::Button { .. }))
        .collect();
    ensure!(
        presses.len() == 2 && presses.iter().all(|event| long(&event.what)),
        "{presses:?}"
    );
    Ok(())
}

fn silence(bench: &mut Bench) -> Result<()> {
    // Without a station there is a fault from the beginning.
    bench.station.stopped = true;
    let begin = bench.board.now();
    let took = bench.wait_for_lamps(&[Lamp::Fault], SECOND * 2)?;
    bench.only(begin, &[Lamp::Fault])?;
    ensure!(
        took > SECOND,
        "a station needs time to say something: {took:?}"
    );
    bench.station.stopped = false;
    bench.station.show(result(5, Outcome::Refer));
    bench.wait_for_lamps(&[Lamp::Ready, Lamp::Refer], SECOND)?;
    for _ in 0..2 {
        bench.pass(SECOND / 2)?;
        bench.station.stopped = true;
        let took = bench.wait_for_lamps(&[Lamp::Fault], SECOND * 2)?;
        ensure!(took > SECOND, "{took:?} of silence are none");
        let fault = bench.board.now();
        bench.pass(SECOND * 3)?;
        bench.only(fault, &[Lamp::Fault])?;
        bench.station.stopped = false;
        bench.wait_for_lamps(&[Lamp::Ready, Lamp::Refer], SECOND)?;
    }
    Ok(())
}

fn restarts(bench: &mut Bench) -> Result<()> {
    bench.station.show(result(5, Outcome::TakeAgain));
    bench.wait_for_lamps(&[Lamp::Ready, Lamp::TakeAgain], SECOND * 10)?;
    for (film, outcome) in [(6, Outcome::Refer), (7, Outcome::NoSign)] {
        let begin = bench.board.now();
        bench.restart_station(Some(result(film, outcome)));
        bench.wait_for_lamps(&[Lamp::Ready, lamp(outcome)], SECOND)?;
        bench.wait_for_session(1)?;
        let stale = bench.board.now();
        bench.pass(SECOND / 2)?;
        bench.only(stale, &[Lamp::Ready, lamp(outcome)])?;

        let sessions = bench.station.opened.len();
        bench.board.reset()?;
        bench.wait_for_session(sessions + 1)?;
        bench.wait_for_lamps(&[Lamp::Ready, lamp(outcome)], SECOND)?;
        ensure!(bench.board.now() - begin < SECOND * 5, "it took long");
        let boots: Vec<_> = bench
            .station
            .opened
            .iter()
            .map(|panel| panel.boot)
            .collect();
        ensure!(boots[0] != boots[1], "two starts have one name: {boots:?}");
    }
    Ok(())
}

fn sensors(bench: &mut Bench) -> Result<()> {
    let show = Show {
        buzzer: Buzzer::Silent,
        ..result(5, Outcome::NoSign)
    };
    bench.station.show(show);
    for (sensor, well, ill) in [
        (Sensor::Temperature, 251, 755),
        (Sensor::Battery, 3900, 3100),
    ] {
        for (value, lamps) in [
            (well, &[Lamp::Ready, Lamp::NoSign][..]),
            (ill, &[Lamp::Fault]),
            (well, &[Lamp::Ready, Lamp::NoSign]),
        ] {
            bench.board.set_sensor(sensor, Some(value))?;
            bench.wait_for_lamps(lamps, SECOND * 10)?;
        }
    }
    Ok(())
}
