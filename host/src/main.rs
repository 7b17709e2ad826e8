//! `plumbline`: the host's commands.

use std::process::ExitCode;

use clap::Parser;
use plumbline_host::cli::{Cli, run, sentence};

fn main() -> ExitCode {
    plumbline_host::memory::keep_freed_memory();
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plumbline: {}", sentence(&error));
            ExitCode::FAILURE
        }
    }
}
