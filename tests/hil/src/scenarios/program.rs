//! The program: when it hangs, what it logs, which it is, and what memory it takes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use plumbline_panel_logic::lamps::Lamp;
use plumbline_wire::panel::{self, FromPanel, Occurrence, Outcome, Question, Reset, ToPanel};

use super::{READY, Scenario, result};
use crate::bench::Bench;
use crate::board::Need::{self, Hang, Lamps, Logs, Memory, Pins};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "why it started",
        needs: &[Need::Reset, Need::PowerCut],
        play: reasons,
    },
    Scenario {
        name: "watchdog: fault lamp, reset, and the reason told",
        needs: &[Hang, Lamps],
        play: watchdog,
    },
    Scenario {
        name: "logs are decoded by the ELF file of the build id",
        needs: &[Logs],
        play: logs,
    },
    Scenario {
        name: "more logs than the line takes are counted",
        needs: &[Logs, Pins],
        play: many_logs,
    },
    Scenario {
        name: "stack",
        needs: &[Memory, Pins],
        play: stack,
    },
];

/// What an interrupt at the deepest moment may need.
const SPARE: usize = 512;
const SECOND: Duration = Duration::from_secs(1);

fn started(bench: &mut Bench, why: Reset) -> Result<()> {
    bench.wait_for_event("start", |what| *what == Occurrence::Started(why))?;
    Ok(())
}

fn reasons(bench: &mut Bench) -> Result<()> {
    started(bench, Reset::Power)?;
    bench.board.reset()?;
    started(bench, Reset::Pin)?;
    bench.board.cut_power()?;
    bench.board.start()?;
    bench.restart_station(None);
    started(bench, Reset::Power)
}

fn watchdog(bench: &mut Bench) -> Result<()> {
    bench.station.show(result(3, Outcome::NoSign));
    bench.wait_for_lamps(&[Lamp::Ready, Lamp::NoSign], SECOND * 10)?;
    bench.board.hang()?;
    let begin = bench.board.now();
    // First the fault lamp, while the program still hangs ...
    bench.wait_for_lamps(&[Lamp::Fault], SECOND * 2)?;
    let lamp = bench.board.now();
    // ... then a reset, and all is well again.
    started(bench, Reset::Watchdog)?;
    bench.wait_for_lamps(&[Lamp::Ready, Lamp::NoSign], SECOND)?;
    let well = bench.board.now();
    println!(
        "    fault lamp after {:?}, all well after {:?}",
        lamp - begin,
        well - begin
    );
    Ok(())
}

fn logs(bench: &mut Bench) -> Result<()> {
    bench.station.show(READY);
    bench.station.say(ToPanel::Ask(Question::Build));
    let build = bench.wait("build", SECOND * 10, |bench| {
        Ok(bench.station.said.iter().find_map(|message| match message {
            FromPanel::Build(build) => Some(*build),
            _ => None,
        }))
    })?;
    let elf = bench.board.elf().context("the board has no ELF file")?;
    ensure!(
        build.id == elf.build_id(),
        "the program says that it is another one"
    );
    ensure!(build.board == panel::Board::An386, "{build:?}");
    for wanted in ["start 1, after Power", "the station is there: 0.1.0"] {
        bench.wait(wanted, SECOND * 10, |bench| {
            Ok(bench
                .station
                .logs
                .iter()
                .any(|line| line.contains(wanted))
                .then_some(()))
        })?;
    }
    ensure!(
        bench.station.logs_missing == 0,
        "{} missing",
        bench.station.logs_missing
    );
    Ok(())
}

fn many_logs(bench: &mut Bench) -> Result<()> {
    // Without a session nothing takes the logs: each refused station is worth one.
    use crate::station::Station;
    use plumbline_wire::hello::{Identity, Version};
    for boot in 0..60 {
        bench.station = Station::of(Identity {
            protocol: panel::PROTOCOL + 1,
            schema: [0; 8],
            version: Version::of("9.9.9"),
            boot: 1000 + boot,
        });
        bench.wait("refusal", SECOND * 10, |bench| {
            Ok((!bench.station.refused.is_empty()).then_some(()))
        })?;
        bench.pass(SECOND / 20)?;
    }
    bench.restart_station(Some(READY));
    bench.wait_for_session(1)?;
    bench.wait("logs", SECOND * 10, |bench| {
        Ok((bench.station.logs.len() > 5 && bench.station.logs_missing > 0).then_some(()))
    })?;
    ensure!(
        bench
            .station
            .logs
            .iter()
            .any(|line| line.contains("no session with a station"))
    );
    Ok(())
}

fn stack(bench: &mut Bench) -> Result<()> {
    everything(bench)?;
    let (used, size) = bench.board.stack()?;
    println!("    {used} of {size} bytes of stack used");
    ensure!(
        used + SPARE <= size,
        "{used} of {size} bytes of stack leave too little"
    );
    Ok(())
}

/// Everything that takes stack and time: flash, logs, messages, inputs.
pub fn everything(bench: &mut Bench) -> Result<()> {
    bench.station.show(READY);
    bench.wait_for_session(1)?;
    for number in 0..30 {
        bench.station.say(ToPanel::Keep(panel::Settings {
            volume: number,
            ..panel::Settings::DEFAULT
        }));
        bench.station.show(result(number.into(), Outcome::Refer));
        bench.press(Duration::from_millis(50))?;
        bench.station.say(ToPanel::Ask(Question::Measures));
        bench.station.say(ToPanel::Ask(Question::Build));
        bench.restart_station(Some(READY));
    }
    bench.wait_for_session(1)?;
    let starts = bench.station.events.iter();
    let starts = starts
        .filter(|event| matches!(event.what, Occurrence::Started(_)))
        .count();
    ensure!(starts <= 1, "the panel has started again");
    Ok(())
}
