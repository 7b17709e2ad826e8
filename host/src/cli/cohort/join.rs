//! `plumbline cohort join`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::progress::bar;
use crate::cohort::Cohort;
use crate::cohort::join::join;

/// Arguments of `plumbline cohort join`.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// The cohorts
    #[arg(required = true)]
    sources: Vec<PathBuf>,
    /// Folder to write, new or empty
    #[arg(long)]
    out: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// One sentence that says what failed and what to do.
pub fn run(args: JoinArgs) -> anyhow::Result<()> {
    let sources = Cohort::open_all(&args.sources)?;
    let films: usize = sources.iter().map(|cohort| cohort.entries().len()).sum();
    let bar = bar(films as u64, "films");
    join(&sources, &args.out, || bar.inc(1))?;
    bar.finish_and_clear();
    Ok(())
}
