//! `plumbline-edge`: the station's program.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use plumbline_edge::config::{Faults, Settings};
use plumbline_edge::intake::{Task, child_main};
use plumbline_edge::quality::IntendedUse;
use plumbline_edge::reading::worker_main;
use plumbline_edge::screen::{Request, screen};
use plumbline_edge::store::BackedUp;
use plumbline_edge::{check, deidentify, export, films, page, proof, serve, stick, store};

/// Screens chest films for scoliosis where they are taken. A screening aid, not a diagnosis.
#[derive(Parser)]
#[command(name = "plumbline-edge", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Read films and report which of them a specialist should look at.
    Screen {
        /// The bundle to read with, in place of the shipped CheXNet.
        #[arg(long, value_name = "DIR")]
        bundle: Option<PathBuf>,
        /// DICOM, PNG, JPEG, TIFF, BMP or WebP files, or folders of them.
        #[arg(required = true, value_name = "FILM")]
        films: Vec<PathBuf>,
        /// Write a picture of each film here, with a map of where the network looked.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Print one JSON object a line in place of the table.
        #[arg(long)]
        json: bool,
        /// Read films that the quality gate refuses, too, as a supervisor may decide; the results say
        /// what is wrong with them.
        #[arg(long)]
        read_refused: bool,
    },
    /// Receive films by DICOM, from a folder and by uploads, and read them, until told to stop.
    Serve {
        #[command(flatten)]
        station: Station,
    },
    /// Look at all that a station needs, and say what is wrong. It may run meanwhile.
    Check {
        #[command(flatten)]
        station: Station,
    },
    /// Show the newest films of a station and what became of them. It may run meanwhile.
    Films {
        #[command(flatten)]
        station: Station,
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 20)]
        newest: usize,
        /// Print one JSON object a line in place of the table.
        #[arg(long)]
        json: bool,
    },
    /// Write a film's result as a page to be printed, a PDF. The station may run meanwhile.
    Page {
        #[command(flatten)]
        station: Station,
        /// The film's number, as `films` shows it.
        film: i64,
        /// The file to write.
        #[arg(long, value_name = "FILE.pdf")]
        out: PathBuf,
    },
    /// Print what happened to a film, from the audit log, with what proves it; or verify what was printed. The
    /// station may run meanwhile.
    Proof {
        #[command(flatten)]
        station: Station,
        /// The film: its number, the SHA-256 of its file, or its SOP Instance UID.
        #[arg(required_unless_present = "verify", conflicts_with = "verify")]
        film: Option<String>,
        /// A hash of the audit log that somebody else has recorded: the sheet ends there, or is verified by it.
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
        /// Print JSON, which can be verified, in place of text.
        #[arg(long)]
        json: bool,
        /// Write a PDF, too.
        #[arg(long, value_name = "FILE.pdf", conflicts_with = "verify")]
        pdf: Option<PathBuf>,
        /// Verify a sheet in JSON by --head; the station is not needed.
        #[arg(long, value_name = "SHEET.json", requires = "head")]
        verify: Option<PathBuf>,
    },
    /// Write a backup of a station's films and results, which may run meanwhile.
    Backup {
        #[command(flatten)]
        station: Station,
        /// The backup's folder; of one that is there, only what is new is written.
        target: PathBuf,
    },
    /// Write films into a folder for research, without the names of their patients, and a table of their
    /// results. It may run meanwhile.
    Export {
        #[command(flatten)]
        station: Station,
        /// De-identify the films by the Basic Application Level Confidentiality Profile of DICOM. There is
        /// no other export: `backup` copies films as they came.
        #[arg(long, required = true)]
        deidentified: bool,
        /// The folder, which is made.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// A film's number, as often as there are films; without it all.
        #[arg(long, value_name = "N")]
        film: Vec<i64>,
        /// Also export films that do not say that their pixels show no text: somebody has looked at them,
        /// and they name nobody.
        #[arg(long, requires = "film")]
        burned_in_checked: bool,
    },
    /// Make a backup the memory of a station that does not run. What it had is kept beside it.
    Restore {
        #[command(flatten)]
        station: Station,
        /// The backup's folder.
        backup: PathBuf,
    },
    /// Take in what stations have put on a USB stick and sealed: films into this station, which must run, or
    /// all files into a folder.
    TakeIn {
        #[command(flatten)]
        station: Station,
        /// The stick's folder.
        stick: PathBuf,
        /// The public key of a station, beside those of the configuration ([stick] keys).
        #[arg(long, value_name = "KEY")]
        key: Vec<String>,
        /// Copy reports, captures and pages, too, and all into this folder.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Reads films for a parent process.
    #[command(hide = true)]
    Reader {
        /// What the networks are meant for, in JSON.
        #[arg(long, value_parser = parse_intended_use)]
        intended_use: IntendedUse,
        /// The bundle's folder.
        bundle: PathBuf,
    },
    /// Decodes a film for a parent process.
    #[command(hide = true)]
    Decode {
        /// The film.
        path: PathBuf,
    },
    /// De-identifies a film for a parent process.
    #[command(hide = true)]
    Deidentify {
        /// The file of the key of pseudonyms.
        #[arg(long)]
        key: PathBuf,
        /// The film.
        path: PathBuf,
    },
    /// Tells a parent process whether a film's file is whole.
    #[command(hide = true)]
    Inspect {
        /// The film.
        path: PathBuf,
    },
}

/// The station that a command is about.
#[derive(Args)]
struct Station {
    /// The station's configuration; without it every setting has its default.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Station {
    /// Reads the settings. What this process writes from then on is for its user alone: films and
    /// results are patients'.
    fn settings(&self) -> Result<Settings, Faults> {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        match &self.config {
            Some(path) => Settings::read(path),
            None => Ok(Settings::default()),
        }
    }
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Screen {
            bundle,
            films,
            out,
            json,
            read_refused,
        } => screen(&Request {
            bundle,
            films,
            out,
            json,
            read_refused,
        }),
        Command::Serve { station } => station_serve(&station),
        Command::Check { station } => station_check(&station),
        Command::Films {
            station,
            newest,
            json,
        } => station_films(&station, newest, json),
        Command::Page { station, film, out } => station_page(&station, film, &out),
        Command::Proof {
            head,
            verify: Some(sheet),
            ..
        } => proof::verify(&sheet, &head.unwrap_or_default()).map(|()| true),
        Command::Proof {
            station,
            film,
            head,
            json,
            pdf,
            verify: None,
        } => station_proof(
            &station,
            &film.unwrap_or_default(),
            head.as_deref(),
            json,
            pdf,
        ),
        Command::Backup { station, target } => back_up(&station, &target),
        Command::Export {
            station,
            deidentified: _,
            out,
            film,
            burned_in_checked,
        } => station_export(
            &station,
            &export::Request {
                out,
                films: film,
                burned_in_checked,
            },
        ),
        Command::TakeIn {
            station,
            stick,
            key,
            out,
        } => station_take_in(
            &station,
            &stick::Request {
                stick,
                keys: key,
                out,
            },
        ),
        Command::Restore { station, backup } => restore(&station, &backup),
        Command::Reader {
            intended_use,
            bundle,
        } => return worker_main(&bundle, intended_use),
        Command::Decode { path } => return child_main(Task::Decode, &path),
        Command::Deidentify { key, path } => return deidentify::child_main(&key, &path),
        Command::Inspect { path } => return child_main(Task::Inspect, &path),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Not `eprintln!`, which panics if standard error is closed.
            writeln!(io::stderr(), "plumbline-edge: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

fn parse_intended_use(json: &str) -> Result<IntendedUse, serde_json::Error> {
    serde_json::from_str(json)
}

fn station_serve(station: &Station) -> Result<bool> {
    serve::serve(&station.settings()?)?;
    Ok(true)
}

fn station_check(station: &Station) -> Result<bool> {
    check::check(&station.settings()?)
}

fn station_films(station: &Station, newest: usize, json: bool) -> Result<bool> {
    films::films(&station.settings()?, newest, json)?;
    Ok(true)
}

fn station_page(station: &Station, film: i64, out: &Path) -> Result<bool> {
    page::write(&station.settings()?, film, out)?;
    Ok(true)
}

fn station_proof(
    station: &Station,
    film: &str,
    head: Option<&str>,
    json: bool,
    pdf: Option<PathBuf>,
) -> Result<bool> {
    proof::proof(&station.settings()?, film, head, json, pdf.as_deref())?;
    Ok(true)
}

fn station_export(station: &Station, request: &export::Request) -> Result<bool> {
    export::export(&station.settings()?, request)
}

fn station_take_in(station: &Station, request: &stick::Request) -> Result<bool> {
    stick::take_in(&station.settings()?, request)
}

fn back_up(station: &Station, target: &Path) -> Result<bool> {
    let settings = station.settings()?;
    let done = store::back_up(&settings.data, target, settings.limits)?;
    tell_copied(&done, target)
}

/// Tells which films were copied, and returns true if all were.
fn tell_copied(done: &BackedUp, target: &Path) -> Result<bool> {
    tell(format_args!(
        "{} films are in {}",
        done.films,
        target.display()
    ))?;
    if !done.damaged.is_empty() {
        let damaged: Vec<_> = done.damaged.iter().map(i64::to_string).collect();
        tell(format_args!(
            "missing or damaged, and not copied: films {}; send them again",
            damaged.join(", ")
        ))?;
    }
    Ok(done.damaged.is_empty())
}

fn restore(station: &Station, backup: &Path) -> Result<bool> {
    let settings = station.settings()?;
    let (done, old) = store::restore(backup, &settings.data, settings.limits)?;
    if let Some(old) = old {
        tell(format_args!("what was there is in {}", old.display()))?;
    }
    tell_copied(&done, &settings.data)
}

fn tell(what: std::fmt::Arguments) -> io::Result<()> {
    writeln!(io::stdout(), "{what}")
}
