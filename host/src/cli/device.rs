//! `plumbline device`: asks a station, and sends it films.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::bail;
use plumbline_shared::decode::Listing;
use plumbline_shared::firmware::{BuildId, Firmware};
use plumbline_shared::manifest::hexadecimal;
use plumbline_shared::outcome::in_words;
use plumbline_shared::printable::printable;
use plumbline_shared::tls::Tls;
use plumbline_wire::hello::Version;
use plumbline_wire::host::{Info, LogEntry, Panel};
use plumbline_wire::panel::{Activity, Board};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{out, progress, sentence};
use crate::device::{Address, DeviceError, FilmFile, Station, Told};

/// How often a station is asked again with --follow.
const FOLLOW: Duration = Duration::from_secs(1);

/// Arguments of `plumbline device`.
#[derive(clap::Args)]
pub struct DeviceArgs {
    #[command(subcommand)]
    command: DeviceCommand,
}

#[derive(clap::Subcommand)]
enum DeviceCommand {
    /// Say how the station is: versions, bundle, what is wrong, disk, clock, panel
    Info {
        #[command(flatten)]
        station: StationArgs,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Have films read by the station
    Screen {
        #[command(flatten)]
        station: StationArgs,
        /// Films (DICOM, PNG, JPEG, TIFF, BMP, WebP) or folders of them
        #[arg(required = true, value_name = "FILM")]
        films: Vec<PathBuf>,
        /// One JSON object a line instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Fetch films and what became of them, in the order of their results
    Results {
        #[command(flatten)]
        station: StationArgs,
        #[command(flatten)]
        range: Range,
        /// One JSON object a line instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Fetch the lines of the station's log
    Logs {
        #[command(flatten)]
        station: StationArgs,
        #[command(flatten)]
        range: Range,
        /// The folder of the panel's programs (ELF files), by which its logs are decoded
        #[arg(long, value_name = "DIR")]
        firmware: Option<PathBuf>,
        /// One JSON object a line instead of lines
        #[arg(long)]
        json: bool,
    },
}

/// Where the station is, and what is shown to it.
#[derive(clap::Args)]
struct StationArgs {
    /// The station: tcp://HOST:PORT
    #[arg(long, value_name = "ADDRESS")]
    to: Address,
    /// This computer's certificate, and those between it and its authority (PEM)
    #[arg(long, value_name = "PEM")]
    certificate: PathBuf,
    /// The certificate's key (PEM)
    #[arg(long, value_name = "PEM")]
    key: PathBuf,
    /// The authorities whose certificate the station must have (PEM)
    #[arg(long, value_name = "PEM")]
    authorities: PathBuf,
}

/// What is fetched.
#[derive(clap::Args)]
struct Range {
    /// Leave out what has this number or a smaller one
    #[arg(long, value_name = "N", default_value_t = 0)]
    after: u64,
    /// Go on with what is new until interrupted
    #[arg(long)]
    follow: bool,
}

pub fn run(args: DeviceArgs) -> anyhow::Result<()> {
    match args.command {
        DeviceCommand::Info { station, json } => info(&mut station.open()?, json),
        DeviceCommand::Screen {
            station,
            films,
            json,
        } => screen(&mut station.open()?, &films, json),
        DeviceCommand::Results {
            station,
            range,
            json,
        } => results(&mut station.open()?, &range, json),
        DeviceCommand::Logs {
            station,
            range,
            firmware,
            json,
        } => logs(&mut station.open()?, &range, Firmware::new(firmware), json),
    }
}

impl StationArgs {
    fn open(self) -> Result<Station, DeviceError> {
        let tls = Tls {
            certificate: self.certificate,
            key: self.key,
            authorities: self.authorities,
        };
        Station::new(self.to, &tls, |what: &dyn Display| out::complain(what))
    }
}

fn info(station: &mut Station, as_json: bool) -> anyhow::Result<()> {
    let told = station.info(|info, version| match as_json {
        true => info_json(info, version).to_string(),
        false => info_text(info, version),
    })?;
    out::line(told)?;
    Ok(())
}

fn info_json(info: &Info, version: Version) -> Value {
    let faults: Vec<_> = info.faults.lines().collect();
    let bundle = info.bundle.map(|bundle| {
        json!({
            "model": bundle.model,
            "model_version": bundle.version,
            "sha256": hexadecimal(&bundle.sha256),
        })
    });
    let panel = match info.panel {
        Panel::None => json!({ "state": "none" }),
        Panel::Silent => json!({ "state": "silent" }),
        Panel::OtherMessages { version, protocol } => json!({
            "state": "other messages",
            "version": version.to_string(),
            "protocol": protocol,
        }),
        Panel::Connected {
            version,
            build,
            measures,
        } => json!({
            "state": "connected",
            "version": version.to_string(),
            "build": build.map(|build| json!({
                "board": board(build.board),
                "id": hexadecimal(&build.id),
            })),
            "measures": measures.map(|measures| json!({
                "battery_volts": measures.battery.map(|battery| f64::from(battery) / 1000.0),
                "celsius": measures.temperature.map(|tenths| f64::from(tenths) / 10.0),
                "bad_frames": measures.bad_frames,
                "lost_bytes": measures.lost_bytes,
                "lost_events": measures.lost_events,
            })),
        }),
    };
    json!({
        "station": info.station,
        "version": version.to_string(),
        "activity": activity(info.activity),
        "faults": faults,
        "bundle": bundle,
        "disk_free": info.disk_free,
        "disk_size": info.disk_size,
        "clock": info.clock,
        "clock_doubt": info.clock_doubt,
        "panel": panel,
        "newest_result": info.newest_result,
        "newest_log": info.newest_log,
    })
}

fn info_text(info: &Info, version: Version) -> String {
    let bundle = match &info.bundle {
        Some(bundle) => format!("{} {}", bundle.model, bundle.version),
        None => "its manifest cannot be read".into(),
    };
    let panel = match info.panel {
        Panel::None => "none".to_owned(),
        Panel::Silent => "it should be there, and is not heard".into(),
        Panel::OtherMessages { version, .. } => {
            format!("version {version}, which speaks other messages than the station")
        }
        Panel::Connected { version, build, .. } => {
            let board = build.map_or("board not told yet", |build| board(build.board));
            format!("version {version}, {board}")
        }
    };
    let gibibytes = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let (free, size) = (gibibytes(info.disk_free), gibibytes(info.disk_size));
    let mut lines = vec![
        ("station", format!("{}, version {version}", info.station)),
        ("state", activity(info.activity).to_owned()),
        ("bundle", bundle),
        ("disk", format!("{free:.1} GiB of {size:.1} GiB free")),
        ("clock", info.clock.to_owned()),
        ("panel", panel),
        ("results", format!("up to number {}", info.newest_result)),
        ("log", format!("up to number {}", info.newest_log)),
    ];
    // The doubt about the clock is one of them.
    let faults = info.faults.lines();
    lines.extend(faults.map(|fault| ("WRONG", fault.to_owned())));
    let lines = lines
        .into_iter()
        .map(|(subject, what)| format!("{subject:8} {}", printable(&what)));
    lines.collect::<Vec<_>>().join("\n")
}

fn activity(activity: Activity) -> &'static str {
    match activity {
        Activity::Ready => "ready",
        Activity::Busy => "busy",
        Activity::Fault => "fault",
    }
}

fn board(board: Board) -> &'static str {
    match board {
        Board::An386 => "mps2-an386",
        Board::Pico2 => "Pico 2",
        Board::Computer => "computer",
    }
}

fn screen(station: &mut Station, films: &[PathBuf], as_json: bool) -> anyhow::Result<()> {
    let listing = Listing::of(films);
    let mut failed = listing.failures.len();
    for failure in &listing.failures {
        out::complain(failure);
    }
    for path in &listing.films {
        let told = match screen_one(station, path) {
            Ok(told) => told,
            Err(error) => {
                // Without the station the other films fare no better.
                let goes_on = matches!(
                    error,
                    DeviceError::Refused(_)
                        | DeviceError::Film { .. }
                        | DeviceError::EmptyFilm { .. }
                );
                let told = format!("{}: {}", path.display(), sentence(&error.into()));
                if !goes_on {
                    bail!(told);
                }
                out::complain(told);
                failed += 1;
                continue;
            }
        };
        result(told.number, &told.line, Some(path), as_json)?;
    }
    if failed > 0 {
        bail!("{failed} films could not be screened; the sentences above say why");
    }
    Ok(())
}

fn screen_one(station: &mut Station, path: &Path) -> Result<Told, DeviceError> {
    let film = FilmFile::open(path)?;
    let bar = progress::bar(film.length() >> 10, "KiB");
    let told = film.screen(station, |sent| bar.set_position(sent >> 10));
    bar.finish_and_clear();
    told
}

/// What is shown of a film that a station tells as JSON.
#[derive(Deserialize)]
struct ToldFilm {
    film: i64,
    received: String,
    state: String,
    held: Option<String>,
    reason: Option<String>,
    reading: Option<ToldReading>,
}

#[derive(Deserialize)]
struct ToldReading {
    positive: bool,
    probability: f64,
}

/// Prints a film that a station told, with its number, as a line of the table or as JSON; `path` is the
/// file that was sent.
fn result(number: u64, line: &str, path: Option<&Path>, as_json: bool) -> io::Result<()> {
    let film: ToldFilm = serde_json::from_str(line)?;
    if as_json {
        // The station's text stays as it is: reading its numbers could round them.
        let path = path.map(|path| format!("\"path\":{},", json!(path.to_string_lossy())));
        let path = path.unwrap_or_default();
        let rest = line.trim_start().trim_start_matches('{');
        return out::line(format_args!("{{\"number\":{number},{path}{rest}"));
    }
    let reading = film.reading.as_ref();
    let words = in_words(
        film.held.as_deref(),
        reading.map(|reading| (reading.positive, reading.probability)),
        film.reason.as_deref(),
    );
    let subject = match path {
        Some(path) => path.display().to_string(),
        None => film.received,
    };
    out::line(format_args!(
        "{number:8}  film {:6}  {}  {:12}  {words}",
        film.film,
        printable(&subject),
        printable(&film.state)
    ))
}

fn results(station: &mut Station, range: &Range, as_json: bool) -> anyhow::Result<()> {
    let newest = station.info(|info, _| info.newest_result)?;
    require_reached(range.after, newest, "results")?;
    fetch(range, |after| {
        station.results(after, |number, line| result(number, line, None, as_json))
    })
}

fn logs(
    station: &mut Station,
    range: &Range,
    mut firmware: Firmware,
    as_json: bool,
) -> anyhow::Result<()> {
    let newest = station.info(|info, _| info.newest_log)?;
    require_reached(range.after, newest, "log")?;
    fetch(range, |after| {
        station.logs(after, |number, time, entry| match as_json {
            true => out::line(log_json(number, time, entry, &mut firmware)),
            false => out::line(log_text(number, time, entry, &mut firmware)),
        })
    })
}

/// Refuses to go on behind a number that the station has not reached.
fn require_reached(after: u64, newest: u64, what: &str) -> anyhow::Result<()> {
    if after > newest {
        bail!(
            "the station's {what} end at number {newest}, before {after}: it was restored from a backup, \
             or it is another one; leave --after out"
        );
    }
    Ok(())
}

/// Fetches once, or again and again.
fn fetch(
    range: &Range,
    mut once: impl FnMut(u64) -> Result<u64, DeviceError>,
) -> anyhow::Result<()> {
    let mut after = once(range.after)?;
    if range.follow {
        loop {
            thread::sleep(FOLLOW);
            after = once(after)?;
        }
    }
    Ok(())
}

/// The lines of the panel's frames; one that names their program where it is not there.
fn decoded(build: &BuildId, frames: &[u8], firmware: &mut Firmware) -> Vec<String> {
    firmware.decode(build, frames).unwrap_or_else(|| {
        let program = hexadecimal(build);
        let bytes = frames.len();
        vec![format!(
            "{bytes} bytes by the program {program}, which is not there: name the folder of its ELF \
             file by --firmware"
        )]
    })
}

fn log_json(number: u64, time: &str, entry: &LogEntry, firmware: &mut Firmware) -> Value {
    match entry {
        LogEntry::Station(line) => json!({ "number": number, "time": time, "line": line }),
        LogEntry::Panel {
            build,
            boot,
            missing,
            frames,
        } => json!({
            "number": number,
            "time": time,
            "panel": {
                "build": hexadecimal(build),
                "boot": format!("{boot:016x}"),
                "missing": missing,
                "bytes": frames.len(),
                "lines": decoded(build, frames, firmware),
            },
        }),
    }
}

fn log_text(number: u64, time: &str, entry: &LogEntry, firmware: &mut Firmware) -> String {
    let said = match entry {
        LogEntry::Station(line) => vec![(*line).to_owned()],
        LogEntry::Panel {
            build,
            missing,
            frames,
            ..
        } => {
            let gap = (*missing > 0).then(|| format!("panel: {missing} pieces are missing"));
            let lines = decoded(build, frames, firmware).into_iter();
            let lines = lines.map(|line| format!("panel: {line}"));
            gap.into_iter().chain(lines).collect()
        }
    };
    let lines = said
        .iter()
        .map(|line| format!("{number:8}  {}  {}", printable(time), printable(line)));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let mut build = [0; 20];
        build[..4].copy_from_slice(&[0x0c, 0xe4, 0xc7, 0xa7]);
        let lines = decoded(&build, &[1, 0, 2, 0], &mut Firmware::new(None));
        assert!(
            lines[0].starts_with("4 bytes by the program 0ce4c7a7"),
            "{lines:?}"
        );
        assert!(lines[0].contains("--firmware"), "{lines:?}");
    }
}
