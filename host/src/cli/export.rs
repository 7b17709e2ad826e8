//! `plumbline export`.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use plumbline_shared::architecture::Architecture;

use super::out;
use super::pack::open_packed;
use super::progress::scoring;
use crate::cohort::Cohort;
use crate::export::{ExportOptions, StoragePrecision, export, export_gate};
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
    /// Share of the positives among the val films that the decision threshold must find, such as 0.9;
    /// without, it is the one with the largest sensitivity + specificity
    #[arg(long, value_name = "SHARE")]
    sensitivity: Option<f64>,
    /// Precision of the stored weights
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
    if let Some(share) = args.sensitivity {
        anyhow::ensure!(
            share > 0.0 && share <= 1.0,
            "a sensitivity of {share}: give more than 0 and at most 1"
        );
    }
    let run = Run::open(&args.run)?;
    let cohort = Cohort::open(&args.calibrate)?;
    let options = ExportOptions {
        name: match args.name {
            Some(name) => name,
            None => folder_name(&args.out)?,
        },
        model_version: args.model_version,
        precision: match args.precision {
            Stored::F32 => StoragePrecision::F32,
            Stored::Int8 => StoragePrecision::Int8,
        },
        sensitivity: args.sensitivity,
        remarks: match &args.remarks {
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the remarks {}", path.display()))?,
            None => String::new(),
        },
    };
    let is_gate = run.recipe.architecture == Architecture::Gate;
    anyhow::ensure!(
        options.sensitivity.is_none() || !is_gate,
        "a gate has a threshold for each reason to refuse a film; leave out --sensitivity"
    );
    let packed = open_packed(&cohort)?;
    if is_gate {
        let exported =
            scoring(|progress| export_gate(&run, &cohort, &packed, &options, &args.out, progress))?;
        return tell(&args.out, &options, exported.left_out, &exported.measures);
    }
    let exported =
        scoring(|progress| export(&run, &cohort, &packed, &options, &args.out, progress))?;
    tell(&args.out, &options, exported.left_out, &exported.measures)
}

/// Says what was exported and how well it does.
fn tell(
    out: &Path,
    options: &ExportOptions,
    left_out: usize,
    measures: &impl Display,
) -> anyhow::Result<()> {
    out::left_out(left_out);
    let (bundle, name, version) = (out.display(), &options.name, &options.model_version);
    out::line(format_args!("{bundle} holds {name} {version}\n{measures}"))?;
    Ok(())
}

fn folder_name(out: &Path) -> anyhow::Result<String> {
    let name = out.file_name().and_then(|name| name.to_str());
    Ok(name
        .context("the bundle's folder has no name; give --name")?
        .to_owned())
}
