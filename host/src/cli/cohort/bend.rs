//! `plumbline cohort bend`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::out;
use crate::cli::progress::bar;
use crate::cohort::Cohort;
use crate::cohort::bend::{BendOptions, bend};

/// Arguments of `plumbline cohort bend`.
#[derive(Debug, Args)]
pub struct BendArgs {
    /// Cohorts whose films are taken, each as often as the others: frontal chests that no reader
    /// should refuse and whose spine is not known to have a curve
    #[arg(required = true)]
    sources: Vec<PathBuf>,
    /// Number of films [default: ten for each film of the sources]
    #[arg(long)]
    films: Option<u64>,
    /// Share of films with scoliosis (Cobb angle of 10 degrees or more)
    #[arg(long, default_value_t = 0.5)]
    prevalence: f64,
    /// Seed: the same seed gives the same bytes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Pixels along the longer edge of a film; films that are smaller keep their size
    #[arg(long, default_value_t = 512)]
    side: u32,
    /// Folder to write, new or empty
    #[arg(long)]
    out: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// One sentence that says what failed and what to do.
pub fn run(args: BendArgs) -> anyhow::Result<()> {
    let sources = Cohort::open_all(&args.sources)?;
    let options = BendOptions {
        films: args.films,
        prevalence: args.prevalence,
        seed: args.seed,
        side: args.side,
        out: args.out,
    };
    let bar = bar(options.films_of(&sources), "films");
    let left_out = bend(&sources, &options, || bar.inc(1))?;
    bar.finish_and_clear();
    out::left_out(left_out);
    Ok(())
}
