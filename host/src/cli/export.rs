//! `plumbline export`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;

use super::pack::packed;
use super::progress::bar;
use crate::cohort::{Cache, Cohort, Split};
use crate::evaluate::{Measures, Scored, roc_auc, youden_threshold};
use crate::export::{About, Card, Precision, onnx, weights, write_bundle};
use crate::model::{Model, score};
use crate::train::Run;

/// Arguments of `plumbline export`.
#[derive(clap::Args)]
pub struct Args {
    /// The training run; its best epoch is exported
    #[arg(long, value_name = "RUN")]
    run: PathBuf,
    /// A cohort: its val films set the decision threshold, its test films measure the bundle
    #[arg(long, value_name = "DIR")]
    calibrate: PathBuf,
    /// The bundle's folder
    #[arg(long, value_name = "BUNDLE")]
    out: PathBuf,
    /// The model's name; by default the folder's
    #[arg(long)]
    name: Option<String>,
    /// The model's version
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    model_version: String,
    /// How weights are stored
    #[arg(long, value_enum, default_value = "int8")]
    precision: Stored,
    /// Markdown for the model card: how this model came to be
    #[arg(long, value_name = "TEXT.md")]
    remarks: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Stored {
    /// 32-bit floats
    F32,
    /// 8-bit integers
    Int8,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let run = Run::open(&args.run)?;
    let cohort = Cohort::open(&args.calibrate)?;
    let cache = packed(&cohort)?;
    let architecture = run.recipe.architecture;
    let precision = match args.precision {
        Stored::F32 => Precision::F32,
        Stored::Int8 => Precision::Int8,
    };
    let name = match &args.name {
        Some(name) => name.clone(),
        None => folder_name(&args.out)?,
    };
    let remarks = match &args.remarks {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the remarks {}", path.display()))?,
        None => String::new(),
    };
    let (_, parameters) = run.network()?;
    let model = onnx(
        architecture,
        run.record.variant,
        &weights(&parameters)?,
        precision,
    )?;
    let write = |out: &Path, threshold: f64, card: &str| {
        let about = About {
            model: &name,
            model_version: &args.model_version,
            architecture,
            threshold,
            card,
        };
        write_bundle(out, &about, &model)
    };

    // The threshold belongs to the bundle as stations run it, so a provisional one is measured.
    let provisional = tempfile::tempdir().context("cannot make a temporary folder")?;
    let provisional = provisional.path().join("bundle");
    write(&provisional, 0.5, "")?;
    let bundle = Model::from_bundle(&provisional)?;
    let validation = scored(&bundle, &cohort, &cache, Split::Val)?;
    let threshold = youden_threshold(&validation.probabilities, &validation.labels)
        .context("the calibration cohort's val films are of one class only; give another cohort")?
        .clamp(1e-6, 1.0 - 1e-6);
    let test = scored(&bundle, &cohort, &cache, Split::Test)?;
    let float = scored(&Model::from_run(&args.run)?, &cohort, &cache, Split::Test)?;
    let measures = Measures::new(&test, threshold);
    let card = Card {
        model: &name,
        model_version: &args.model_version,
        precision,
        recipe: &run.recipe,
        record: &run.record,
        epochs: &run.epochs()?,
        calibration: cohort.fingerprint(),
        threshold,
        test: &measures,
        float_auc: roc_auc(&float.probabilities, &float.labels),
        remarks: &remarks,
    };
    write(&args.out, threshold, &card.markdown())?;
    println!(
        "{} holds {name} {}\n{measures}",
        args.out.display(),
        args.model_version
    );
    Ok(())
}

fn folder_name(out: &Path) -> anyhow::Result<String> {
    let name = out.file_name().and_then(|name| name.to_str());
    Ok(name
        .context("the bundle's folder has no name; give --name")?
        .to_owned())
}

fn scored(model: &Model, cohort: &Cohort, cache: &Cache, split: Split) -> anyhow::Result<Scored> {
    let (entries, labels) = cohort.labelled(Some(split));
    let bar = bar(entries.len() as u64, split.name());
    let decisions = score(model, cache, &entries, || bar.inc(1))?;
    bar.finish_and_clear();
    Ok(Scored {
        probabilities: decisions
            .iter()
            .map(|decision| decision.probability)
            .collect(),
        labels,
    })
}
