//! What lines and their ends do to messages.

use std::time::Duration;

use anyhow::{Result, ensure};
use plumbline_panel_logic::lamps::Lamp;
use plumbline_wire::hello::{Agreement, Identity, Version};
use plumbline_wire::panel::{self, FromPanel, Occurrence, Outcome, Question, ToPanel};

use super::{READY, Scenario, result};
use crate::bench::Bench;
use crate::board::Need::{Lamps, Pins, Reset};
use crate::board::Pin;
use crate::noise::Noise;
use crate::station::Station;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "unplugged and back",
        needs: &[Lamps, Pins],
        play: unplug,
    },
    Scenario {
        name: "reset in the middle of a frame",
        needs: &[Lamps, Reset],
        play: reset_in_a_frame,
    },
    Scenario {
        name: "line that drops bytes",
        needs: &[Lamps, Pins],
        play: |bench| {
            noisy(
                bench,
                Noise {
                    drop: 5,
                    ..Noise::default()
                },
            )
        },
    },
    Scenario {
        name: "line that flips bits",
        needs: &[Lamps, Pins],
        play: |bench| {
            noisy(
                bench,
                Noise {
                    flip: 5,
                    ..Noise::default()
                },
            )
        },
    },
    Scenario {
        name: "line with bursts of noise",
        needs: &[Lamps, Pins],
        play: |bench| {
            noisy(
                bench,
                Noise {
                    burst: 2,
                    ..Noise::default()
                },
            )
        },
    },
    Scenario {
        name: "line that delays",
        needs: &[Lamps, Pins],
        play: |bench| {
            noisy(
                bench,
                Noise {
                    delay: (5, Duration::from_millis(30)),
                    ..Noise::default()
                },
            )
        },
    },
    Scenario {
        name: "station of an older protocol",
        needs: &[Lamps],
        play: |bench| other_protocol(bench, panel::PROTOCOL - 1, Agreement::OtherIsNewer),
    },
    Scenario {
        name: "station of a newer protocol",
        needs: &[Lamps],
        play: |bench| other_protocol(bench, panel::PROTOCOL + 1, Agreement::OtherIsOlder),
    },
    Scenario {
        name: "station with other messages under the same number",
        needs: &[Lamps],
        play: |bench| other_protocol(bench, panel::PROTOCOL, Agreement::SameNumberOtherMessages),
    },
    Scenario {
        name: "1,000 questions and answers",
        needs: &[],
        play: questions,
    },
];

const SECOND: Duration = Duration::from_secs(1);

fn unplug(bench: &mut Bench) -> Result<()> {
    bench.station.show(result(1, Outcome::Refer));
    bench.wait_for_lamps(&[Lamp::Ready, Lamp::Refer], SECOND * 10)?;
    bench.board.unplug();
    let unplugged = bench.board.now();
    bench.wait_for_lamps(&[Lamp::Fault], SECOND * 2)?;
    // What the operator does is not lost, and what the station says is not shown.
    bench.board.set_pin(Pin::Exposure, true)?;
    bench.station.show(result(2, Outcome::NoSign));
    bench.pass(SECOND)?;
    bench.only(unplugged, &[Lamp::Fault, Lamp::Ready, Lamp::Refer])?;
    bench.board.plug();
    bench.wait_for_lamps(&[Lamp::Ready, Lamp::NoSign], SECOND)?;
    bench.wait_for_event("exposure", |what| *what == Occurrence::Exposure)?;
    Ok(())
}

fn reset_in_a_frame(bench: &mut Bench) -> Result<()> {
    bench.station.show(READY);
    bench.wait_for_session(1)?;
    all_starts_told(bench)?;
    for length in [1, 5, 17, 40] {
        // The panel is reset while it sends many answers ...
        for token in 0..40 {
            bench.station.say(ToPanel::Ask(Question::Time { token }));
        }
        bench.station.turn(&mut *bench.board)?;
        // ... and in the middle of a frame from the station, of which no byte is a 0x00.
        bench.board.link().write_all(&vec![0x11; length])?;
        let sessions = bench.station.opened.len();
        bench.board.reset()?;
        bench.board.link().write_all(&vec![0x11; length])?;
        bench.wait_for_session(sessions + 1)?;
        bench.wait_for_lamps(&[Lamp::Ready], SECOND)?;
        all_starts_told(bench)?;
    }
    ensure!(
        bench.station.events.len() == 5,
        "{:?}",
        bench.station.events
    );
    Ok(())
}

/// Waits until each start of the panel, of which there was a session each, was told.
fn all_starts_told(bench: &mut Bench) -> Result<()> {
    bench.wait("start", SECOND * 10, |bench| {
        let Station { events, opened, .. } = &bench.station;
        Ok((events.len() == opened.len()).then_some(()))
    })
}

fn noisy(bench: &mut Bench, noise: Noise) -> Result<()> {
    bench.station.noise(noise);
    bench.station.show(READY);
    bench.wait_for_session(1)?;
    for count in 0..12 {
        bench.board.set_pin(Pin::Exposure, true)?;
        let outcome = [Outcome::Refer, Outcome::NoSign, Outcome::TakeAgain][count as usize % 3];
        bench.station.show(result(count, outcome));
        for token in 0..20 {
            bench.station.say(ToPanel::Ask(Question::Time { token }));
        }
        bench.pass(Duration::from_millis(550))?;
        bench.board.set_pin(Pin::Exposure, false)?;
        bench.pass(Duration::from_millis(5))?;
    }
    // Everything comes, once and in order, though the line stays as bad as it is.
    let exposures = |bench: &Bench| -> Vec<_> {
        let events = bench.station.events.iter();
        events
            .filter(|event| event.what == Occurrence::Exposure)
            .map(|event| event.id)
            .collect()
    };
    bench.wait("exposures", SECOND * 20, |bench| {
        Ok((exposures(bench).len() >= 12).then_some(()))
    })?;
    bench.wait_for_lamps(&[Lamp::Ready, Lamp::TakeAgain], SECOND * 20)?;
    bench.pass(SECOND)?;
    let exposures = exposures(bench);
    ensure!(
        exposures.len() == 12 && exposures.is_sorted(),
        "{exposures:?}"
    );
    let counts = bench.station.counts();
    ensure!(
        counts.bad_frames + counts.resent > 0 || noise.delay.0 > 0,
        "the noise was none: {counts:?}"
    );
    bench.station.noise(Noise::default());
    bench.station.show(READY);
    bench.wait_for_lamps(&[Lamp::Ready], SECOND)?;
    Ok(())
}

fn other_protocol(bench: &mut Bench, protocol: u16, agreement: Agreement) -> Result<()> {
    let begin = bench.board.now();
    let of = |protocol| Identity {
        protocol,
        schema: *b"somethin",
        version: Version::of("9.9.9"),
        boot: 77,
    };
    bench.station = Station::of(of(protocol));
    bench.station.show(READY);
    bench.wait_for_lamps(&[Lamp::Fault], SECOND * 3)?;
    bench
        .wait("refusal", SECOND * 10, |bench| {
            Ok(bench.station.refused.first().copied())
        })
        .and_then(|(panel, why)| {
            ensure!(why == agreement, "{why:?}");
            ensure!(
                panel.protocol == panel::PROTOCOL && panel.version == Version::of("0.1.0"),
                "{panel:?}"
            );
            Ok(())
        })?;
    bench.pass(SECOND)?;
    bench.only(begin, &[Lamp::Fault])?;
    ensure!(
        bench.station.opened.is_empty(),
        "no session with a stranger"
    );
    if bench.board.elf().is_some() {
        let logged = bench.station.logs.is_empty();
        ensure!(logged, "nor logs");
    }
    // The station is brought to the same release.
    bench.restart_station(Some(READY));
    bench.wait_for_lamps(&[Lamp::Ready], SECOND)?;
    Ok(())
}

fn questions(bench: &mut Bench) -> Result<()> {
    bench.station.show(READY);
    bench.wait_for_session(1)?;
    for token in 0..1000 {
        bench.station.say(ToPanel::Ask(Question::Time { token }));
        bench.wait("answer", SECOND * 10, |bench| {
            let answer = |message: &FromPanel| matches!(message, FromPanel::Time(time) if time.token == token);
            Ok(bench.station.said.pop().filter(answer))
        })?;
    }
    Ok(())
}
