//! `plumbline-edge`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Decodes a film for a parent process.
    #[command(hide = true)]
    Decode {
        /// The film.
        path: PathBuf,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Decode { path } => plumbline_edge::intake::child_main(&path),
    }
}
