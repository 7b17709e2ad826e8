//! Plays the scenarios: `plumbline-hil [--simulated] [--emulated ELF] [--real] [--only WORDS]`, with a
//! station that has a script; with `--station PROGRAM [--baud N]` those of the station's own program, on a
//! line of that speed. Or counts for how many instructions a program keeps interrupts waiting:
//! `plumbline-hil --count ELF`. Or cuts the power of an emulated ARM computer N times while films come
//! to its station: `plumbline-hil --station PROGRAM --power-cuts N --computer FOLDER`, where FOLDER
//! holds what the computer boots from.
//!
//! Exit code 1 if a scenario fails.

use std::cmp::Reverse;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use plumbline_hil::bench::{Bench, StationEnd};
use plumbline_hil::board::Board;
use plumbline_hil::elf::Elf;
use plumbline_hil::emulated::Emulated;
use plumbline_hil::masked::{self, Longest};
use plumbline_hil::power_cuts;
use plumbline_hil::real::Real;
use plumbline_hil::real_station::RealStation;
use plumbline_hil::scenarios::{self, Scenario};
use plumbline_hil::simulated::Simulated;
use plumbline_hil::station::Station;

/// What to play on what.
#[derive(Default)]
struct Wanted {
    simulated: bool,
    count: Option<PathBuf>,
    emulated: Option<PathBuf>,
    real: bool,
    station: Option<PathBuf>,
    baud: Option<u32>,
    power_cuts: u32,
    computer: Option<PathBuf>,
    only: Option<String>,
}

const USAGE: &str = "plumbline-hil [--simulated] [--emulated ELF] [--real] [--station PROGRAM [--baud N]] \
    [--only WORDS] [--count ELF] [--power-cuts N --computer FOLDER]";

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
            "--real" => wanted.real = true,
            "--station" => wanted.station = Some(value()?.into()),
            "--baud" => wanted.baud = Some(value()?.parse().context("--baud takes a number")?),
            "--power-cuts" => {
                wanted.power_cuts = value()?.parse().context("--power-cuts takes a number")?;
            }
            "--computer" => wanted.computer = Some(value()?.into()),
            _ => bail!(USAGE),
        }
    }
    let nothing =
        !wanted.simulated && wanted.emulated.is_none() && !wanted.real && wanted.count.is_none();
    if nothing && wanted.power_cuts == 0 {
        bail!("say on what: --simulated, --emulated ELF, --real, or several of them");
    }
    if wanted.power_cuts > 0 && (wanted.computer.is_none() || wanted.station.is_none()) {
        bail!("--power-cuts needs --computer FOLDER and --station PROGRAM");
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
    let emulated = wanted.emulated.as_ref();
    let emulated = emulated.map(|elf| move || Ok(Box::new(Emulated::new(elf)?) as Box<dyn Board>));
    let real = || Ok(Box::new(Real::from_environment()?) as _);
    if let Some(program) = &wanted.station {
        let station = || RealStation::new(program, wanted.baud);
        let scenarios = || scenarios::station_program::all();
        if wanted.simulated {
            let board = || Ok(Box::new(Simulated::in_real_time()) as _);
            failed += play_all(&wanted, scenarios(), board, station);
        }
        if let Some(board) = emulated {
            failed += play_all(&wanted, scenarios(), board, station);
        }
        if wanted.real {
            failed += play_all(&wanted, scenarios(), real, station);
        }
    } else {
        let station = || Ok(Station::new(1));
        if wanted.simulated {
            let board = || Ok(Box::new(Simulated::default()) as _);
            failed += play_all(&wanted, scenarios::all(), board, station);
        }
        if let Some(board) = emulated {
            failed += play_all(&wanted, scenarios::all(), board, station);
        }
        if wanted.real {
            failed += play_all(&wanted, scenarios::all(), real, station);
        }
    }
    if let Some(elf) = &wanted.count
        && let Err(why) = count(elf)
    {
        eprintln!("{why:#}");
        failed += 1;
    }
    if let (1.., Some(parts), Some(program)) =
        (wanted.power_cuts, &wanted.computer, &wanted.station)
    {
        match power_cuts::play(parts, program, wanted.power_cuts) {
            Ok(told) => println!("{told}"),
            Err(why) => {
                eprintln!("{why:#}");
                failed += 1;
            }
        }
    }
    match failed {
        0 => ExitCode::SUCCESS,
        _ => {
            eprintln!("{failed} scenarios failed");
            ExitCode::FAILURE
        }
    }
}

/// Plays those of the scenarios that are wanted, each with a new board and a new station, and says
/// how many failed.
fn play_all<S: StationEnd + 'static>(
    wanted: &Wanted,
    scenarios: impl Iterator<Item = &'static Scenario<S>>,
    board: impl Fn() -> Result<Box<dyn Board>>,
    station: impl Fn() -> Result<S>,
) -> usize {
    let named = |scenario: &&Scenario<S>| {
        wanted
            .only
            .as_ref()
            .is_none_or(|words| scenario.name.contains(&**words))
    };
    let mut failed = 0;
    for scenario in scenarios.filter(named) {
        let begin = Instant::now();
        let (board_name, outcome) = match board() {
            Ok(board) => (board.name(), play(scenario, board, &station)),
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
    let mut bench = Bench::new(Box::new(board), Station::new(1))?;
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

fn play<S: StationEnd>(
    scenario: &Scenario<S>,
    board: Box<dyn Board>,
    station: impl Fn() -> Result<S>,
) -> Result<Outcome> {
    let lacks: Vec<_> = scenario
        .needs
        .iter()
        .filter(|need| !board.can(**need))
        .collect();
    if !lacks.is_empty() {
        return Ok(Outcome::Skipped(format!("{lacks:?}")));
    }
    let mut bench = Bench::new(board, station()?)?;
    (scenario.play)(&mut bench)?;
    Ok(Outcome::Played(bench.board.now()))
}
