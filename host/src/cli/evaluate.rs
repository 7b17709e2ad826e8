//! `plumbline evaluate`.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;

use super::model::ModelArgs;
use super::out;
use super::pack::{open_packed, tell};
use super::progress::scoring;
use crate::cohort::{Cohort, Split};
use crate::evaluate::evaluate;

/// Arguments of `plumbline evaluate`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The cohort
    #[arg(long, value_name = "DIR")]
    cohort: PathBuf,
    /// The films to measure on
    #[arg(long, value_enum, default_value = "test")]
    split: Part,
    /// Folder for measures.json and predictions.csv
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print the measures as one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// Films that the network learnt from
    Train,
    /// Films that chose its best epoch
    Val,
    /// Films that it has never seen
    Test,
    /// All films, as the study's tables count them
    All,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let model = args.model.open()?;
    let cohort = Cohort::open(&args.cohort)?;
    fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make the folder {}", args.out.display()))?;
    let split = match args.split {
        Part::Train => Some(Split::Train),
        Part::Val => Some(Split::Val),
        Part::Test => Some(Split::Test),
        Part::All => None,
    };
    let packed = open_packed(&cohort)?;
    let evaluation = scoring(|progress| evaluate(&model, &cohort, &packed, split, progress))?;
    tell(evaluation.left_out.iter());
    evaluation
        .write(&args.out)
        .with_context(|| format!("cannot write into {}", args.out.display()))?;
    if args.json {
        out::line(evaluation.to_json()?)?;
    } else {
        out::left_out(evaluation.left_out.len());
        let measures = &evaluation.measures;
        out::line(format_args!("{} {}\n{measures}", model.name, model.version))?;
    }
    Ok(())
}
