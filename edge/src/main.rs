//! `plumbline-edge`: the station's program.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use plumbline_edge::intake;
use plumbline_edge::screen::{Request, screen};

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
    /// Decodes a film for a parent process.
    #[command(hide = true)]
    Decode {
        /// The film.
        path: PathBuf,
    },
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
        Command::Decode { path } => return intake::child_main(&path),
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
