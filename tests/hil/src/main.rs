//! Plays the scenarios: `plumbline-hil [--simulated] [--emulated ELF] [--only WORDS]`; or counts for
//! how many instructions a program keeps interrupts waiting: `plumbline-hil --count ELF`.
//!
//! Exit code 1 if a scenario fails.

use std::cmp::Reverse;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use plumbline_hil::bench::Bench;
use plumbline_hil::board::Board;
use plumbline_hil::elf::Elf;
use plumbline_hil::emulated::Emulated;
use plumbline_hil::masked::{self, Longest};
use plumbline_hil::scenarios::{self, Scenario};
use plumbline_hil::simulated::Simulated;

/// What to play on what.
#[derive(Default)]
struct Wanted {
    simulated: bool,
    count: Option<PathBuf>,
    emulated: Option<PathBuf>,
    only: Option<String>,
}

fn wanted() -> Result<Wanted> {
    let mut wanted = Wanted::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .with_context(|| format!("{argument} what?"))
        };
        match &*argument {
            "--simulated" => wanted.simulated = true,
            "--emulated" => wanted.emulated = Some(value()?.into()),
            "--count" => wanted.count = Some(value()?.into()),
            "--only" => wanted.only = Some(value()?),
            _ => bail!("plumbline-hil [--simulated] [--emulated ELF] [--only WORDS] [--count ELF]"),
        }
    }
    if !wanted.simulated && wanted.emulated.is_none() && wanted.count.is_none() {
        bail!("say on what: --simulated, --emulated ELF, or both");
    }
    Ok(wanted)
}

fn main() -> ExitCode {
    let wanted = match wanted() {
        Ok(wanted) => wanted,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let mut failed = 0;
    if wanted.simulated {
        failed += play_all(&wanted, || Ok(Box::new(Simulated::default())));
    }
    if let Some(elf) = &wanted.emulated {
        failed += play_all(&wanted, || Ok(Box::new(Emulated::new(elf)?)));
    }
    if let Some(elf) = &wanted.count
        && let Err(why) = count(elf)
    {
        eprintln!("{why:#}");
        failed += 1;
    }
    match failed {
        0 => ExitCode::SUCCESS,
        _ => {
            eprintln!("{failed} scenarios failed");
            ExitCode::FAILURE
        }
    }
}

/// Plays the scenarios that are wanted, each on a new board, and says how many failed.
fn play_all(wanted: &Wanted, board: impl Fn() -> Result<Box<dyn Board>>) -> usize {
    let named = |scenario: &&Scenario| {
        wanted
            .only
            .as_ref()
            .is_none_or(|words| scenario.name.contains(&**words))
    };
    let mut failed = 0;
    for scenario in scenarios::all().filter(named) {
        let begin = Instant::now();
        let (board_name, outcome) = match board() {
            Ok(board) => (board.name(), play(scenario, board)),
            Err(why) => ("board", Err(why)),
        };
        let told = match &outcome {
            Ok(Outcome::Played(time)) => {
                format!("ok, {:.1} s of its time", time.as_secs_f64())
            }
            Ok(Outcome::Skipped(needs)) => format!("SKIPPED: the board has no {needs}"),
            Err(why) => format!("FAILED: {why:#}"),
        };
        failed += usize::from(outcome.is_err());
        let seconds = begin.elapsed().as_secs_f64();
        println!("{board_name:9} {seconds:6.2} s  {}: {told}", scenario.name);
    }
    failed
}

/// No interrupt is to wait for more instructions than these.
const MOST: u32 = 1000;

/// Counts while the emulated board does everything that it can.
fn count(elf: &Path) -> Result<()> {
    let mut board = Emulated::new(elf)?;
    let log = board.log_steps();
    let mut bench = Bench::new(Box::new(board))?;
    scenarios::everything(&mut bench)?;
    let stretches = masked::count(BufReader::new(File::open(log)?), &Elf::read(elf)?)?;
    for (what, stretches) in [
        ("with interrupts masked, from", stretches.masked),
        ("in the handler of exception", stretches.handlers),
    ] {
        let mut stretches: Vec<_> = stretches.into_iter().collect();
        stretches.sort_by_key(|(_, longest)| Reverse(longest.instructions));
        let most = stretches
            .first()
            .map_or(0, |(_, longest)| longest.instructions);
        ensure!(
            most <= MOST,
            "{most} instructions {what}, of at most {MOST}"
        );
        for (place, longest) in stretches.iter().take(5) {
            let Longest {
                instructions,
                times,
                function,
            } = longest;
            let place = if function.is_empty() {
                place.to_string()
            } else {
                format!("{place:#x}")
            };
            println!("{instructions:5} instructions {what} {place} {function} (of {times} times)");
        }
    }
    Ok(())
}

enum Outcome {
    Played(Duration),
    Skipped(String),
}

fn play(scenario: &Scenario, board: Box<dyn Board>) -> Result<Outcome> {
    let lacks: Vec<_> = scenario
        .needs
        .iter()
        .filter(|need| !board.can(**need))
        .collect();
    if !lacks.is_empty() {
        return Ok(Outcome::Skipped(format!("{lacks:?}")));
    }
    let mut bench = Bench::new(board)?;
    (scenario.play)(&mut bench)?;
    Ok(Outcome::Played(bench.board.now()))
}
