//! `plumbline cohort spoil`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::out;
use crate::cli::progress::bar;
use crate::cohort::Cohort;
use crate::cohort::spoil::{SpoilOptions, spoil};

/// Arguments of `plumbline cohort spoil`.
#[derive(Debug, Args)]
pub struct SpoilArgs {
    /// Cohorts whose films are taken, each as often as the others
    #[arg(required = true)]
    sources: Vec<PathBuf>,
    /// Number of films
    #[arg(long)]
    films: u64,
    /// Share of good films that are given no fault
    #[arg(long, default_value_t = 0.3)]
    good: f64,
    /// Seed: the same seed gives the same bytes
    #[arg(long)]
    seed: u64,
    /// Folder to write, new or empty
    #[arg(long)]
    out: PathBuf,
    /// Keep the films' own size, as stations get them, instead of 256 x 256 pixels
    #[arg(long)]
    whole: bool,
}

/// Runs the command.
///
/// # Errors
/// One sentence that says what failed and what to do.
pub fn run(args: SpoilArgs) -> anyhow::Result<()> {
    anyhow::ensure!(
        (0.0..=1.0).contains(&args.good),
        "a share of {} good films: give 0 to 1",
        args.good
    );
    let sources = Cohort::open_all(&args.sources)?;
    let options = SpoilOptions {
        films: args.films,
        good: args.good,
        seed: args.seed,
        whole: args.whole,
        out: args.out,
    };
    let bar = bar(options.films, "films");
    let left_out = spoil(&sources, &options, || bar.inc(1))?;
    bar.finish_and_clear();
    out::left_out(left_out);
    Ok(())
}
