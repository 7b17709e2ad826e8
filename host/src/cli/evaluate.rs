//! `plumbline evaluate`.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;

use super::model::ModelArgs;
use super::pack::packed;
use super::progress::bar;
use crate::cohort::{Cohort, Split};
use crate::evaluate::{Measures, Scored};
use crate::train::replace_file;

/// Arguments of `plumbline evaluate`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The cohort
    #[arg(long, value_name = "DIR")]
    cohort: PathBuf,
    /// Which of its films
    #[arg(long, value_enum, default_value = "test")]
    split: Part,
    /// Where to write measures.json and predictions.csv
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print the measures as one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// Those the network learnt from
    Train,
    /// Those that chose its best epoch
    Val,
    /// Those it has never seen
    Test,
    /// All, as the study's tables count them
    All,
}

/// One line of `predictions.csv`.
#[derive(Serialize)]
struct Prediction<'a> {
    film: &'a str,
    patient: &'a str,
    label: u8,
    logit: f32,
    probability: f64,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let model = args.model.open()?;
    let cohort = Cohort::open(&args.cohort)?;
    let (entries, labels) = cohort.labelled(match args.split {
        Part::Train => Some(Split::Train),
        Part::Val => Some(Split::Val),
        Part::Test => Some(Split::Test),
        Part::All => None,
    });
    anyhow::ensure!(
        !entries.is_empty(),
        "the cohort has no labelled films in this split; give another"
    );
    fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make the folder {}", args.out.display()))?;

    let cache = packed(&cohort)?;
    let bar = bar(entries.len() as u64, "films");
    let scores = crate::model::score(&model, &cache, &entries, || bar.inc(1))?;
    bar.finish_and_clear();
    let mut table = csv::Writer::from_writer(Vec::new());
    for ((entry, label), decision) in entries.iter().zip(&labels).zip(&scores) {
        let film = entry.film.strip_prefix(&args.cohort).unwrap_or(&entry.film);
        table.serialize(Prediction {
            film: &film.to_string_lossy(),
            patient: &entry.patient,
            label: u8::from(*label),
            logit: decision.logit,
            probability: decision.probability,
        })?;
    }
    let scored = Scored {
        probabilities: scores.iter().map(|decision| decision.probability).collect(),
        labels,
    };
    let measures = Measures::new(&scored, model.threshold);
    let json = serde_json::to_string(&measures)?;
    let write = |name: &str, bytes: &[u8]| {
        let path = args.out.join(name);
        replace_file(&path, |temporary| fs::write(temporary, bytes))
            .with_context(|| format!("cannot write {}", path.display()))
    };
    write("predictions.csv", &table.into_inner()?)?;
    write("measures.json", json.as_bytes())?;
    if args.json {
        println!("{json}");
    } else {
        println!("{} {}\n{measures}", model.name, model.version);
    }
    Ok(())
}
