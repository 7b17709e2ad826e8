//! `plumbline statistics`.

use std::path::PathBuf;

use plumbline_reader::Bundle;

use super::out;
use super::pack::open_packed;
use super::progress::scoring;
use crate::cohort::Cohort;
use crate::export::{statistics, with_statistics};

/// Arguments of `plumbline statistics`.
#[derive(clap::Args)]
pub struct Args {
    /// The bundle
    #[arg(long, value_name = "BUNDLE")]
    bundle: PathBuf,
    /// A cohort of films like those that the bundle's network learnt from, but others: all of them are
    /// measured
    #[arg(long, value_name = "DIR")]
    cohort: PathBuf,
    /// The folder of the bundle with the statistics, which may be the bundle's own
    #[arg(long, value_name = "BUNDLE")]
    out: PathBuf,
}

/// Adds the statistics of the films that a bundle's network knows, by which stations tell films
/// that it does not.
pub fn run(args: Args) -> anyhow::Result<()> {
    let bundle = Bundle::open(&args.bundle)?;
    let cohort = Cohort::open(&args.cohort)?;
    let packed = open_packed(&cohort)?;
    let known = scoring(|progress| statistics(&bundle, &cohort, &packed, None, progress))?;
    with_statistics(&args.bundle, &known, &args.out)?;
    out::line(format_args!(
        "{} says what its network knows: {} films, of which 99.5 % are within a distance of {:.3}",
        args.out.display(),
        known.films,
        known.limit
    ))?;
    Ok(())
}
