//! `plumbline`: the host's commands.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use plumbline_host::cohort::cli::{self as cohort, CohortArgs};

#[derive(Parser)]
#[command(
    name = "plumbline",
    version,
    about = "Prepares and trains Plumbline's networks"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make and inspect cohorts of films
    Cohort(CohortArgs),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Cohort(args) => cohort::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
