//! `plumbline`: the host's commands.

use std::process::ExitCode;

use clap::Parser;
use plumbline_host::cli::{Cli, out, run, sentence};

fn main() -> ExitCode {
    plumbline_host::memory::keep_freed_memory();
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if out::is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            out::complain(sentence(&error));
            ExitCode::FAILURE
        }
    }
}
