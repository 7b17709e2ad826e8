//! `plumbline train`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::ValueEnum;
use plumbline_shared::manifest::sha256;
use plumbline_shared::preprocess::FINGERPRINT;

use super::pack::packed;
use super::progress::bar;
use crate::cohort::{Cache, Cohort, Split};
use crate::train::{Epoch, PreparedFilms, Recipe, Record, Run, train};

/// Arguments of `plumbline train`.
#[derive(clap::Args)]
pub struct Args {
    /// What to do: a recipe in TOML
    recipe: PathBuf,
    /// The cohort; its train films are learnt from, its val films choose the best epoch
    #[arg(long, value_name = "DIR")]
    cohort: PathBuf,
    /// The run's folder
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Weights to begin with (safetensors); without, they are drawn from the recipe's seed
    #[arg(long, value_name = "W.safetensors")]
    init: Option<PathBuf>,
    /// Go on with the run in the folder after its last whole epoch
    #[arg(long)]
    resume: bool,
    /// Where to compute
    #[arg(long, value_enum, default_value = "cpu")]
    device: Device,
}

#[derive(Clone, Copy, ValueEnum)]
enum Device {
    /// All cores
    Cpu,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let Device::Cpu = args.device;
    let recipe = Recipe::read(&args.recipe)?;
    let cohort = Cohort::open(&args.cohort)?;
    let initial_weights = args.init.as_deref().map(digest).transpose()?;
    let record = Record {
        cohort: cohort.fingerprint().to_owned(),
        preprocessing: FINGERPRINT.to_owned(),
        initial_weights,
        plumbline: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let run = Run::begin(&args.out, recipe, record, args.resume)?;
    let cache = Arc::new(packed(&cohort)?);
    let training = films(&cohort, &cache, Split::Train, "training")?;
    let validation = films(&cohort, &cache, Split::Val, "validation")?;
    let init = args.init;
    // Candle's backward pass calls itself once for every operation of the network.
    let thread = std::thread::Builder::new()
        .name("training".into())
        .stack_size(256 << 20)
        .spawn(move || work(&run, &training, &validation, init.as_deref()))
        .context("cannot start the training thread")?;
    match thread.join() {
        Ok(result) => result,
        Err(_) => bail!("the training stopped by a fault in the program; --resume goes on"),
    }
}

fn work(
    run: &Run,
    training: &PreparedFilms,
    validation: &PreparedFilms,
    init: Option<&Path>,
) -> anyhow::Result<()> {
    let bar = bar(films_in_all(&run.recipe, training.len()), "films");
    let step = |films: usize, loss: f32| {
        bar.inc(films as u64);
        bar.set_message(format!("loss {loss:.3}"));
    };
    let done = |epoch: &Epoch| {
        bar.suspend(|| {
            println!(
                "round {} epoch {}: loss {:.4}, validation loss {:.4}, ROC-AUC {:.4}{}, {:.0} s",
                epoch.round,
                epoch.epoch,
                epoch.loss,
                epoch.validation_loss,
                epoch.validation_roc_auc,
                if epoch.best { " (best)" } else { "" },
                epoch.seconds
            );
        });
    };
    train(run, training, validation, init, step, done)?;
    bar.finish_and_clear();
    println!("the best weights are {}", run.best_weights().display());
    Ok(())
}

/// Films drawn over all rounds.
fn films_in_all(recipe: &Recipe, training: usize) -> u64 {
    let rounds = recipe.rounds.iter();
    rounds
        .map(|round| (round.epochs * round.films.unwrap_or(training)) as u64)
        .sum()
}

/// The labelled films of one split.
fn films(
    cohort: &Cohort,
    cache: &Arc<Cache>,
    split: Split,
    name: &str,
) -> anyhow::Result<PreparedFilms> {
    let (entries, labels) = cohort.labelled(Some(split));
    if entries.is_empty() {
        bail!(
            "the cohort has no labelled {name} films; give a cohort with a {} split",
            split.name()
        );
    }
    Ok(PreparedFilms::new(Arc::clone(cache), &entries, labels)?)
}

fn digest(file: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(file)
        .with_context(|| format!("cannot read the weights {}", file.display()))?;
    Ok(sha256(&bytes))
}
