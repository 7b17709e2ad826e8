//! `plumbline train`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use candle_core::Device;
use plumbline_shared::manifest::sha256;
use plumbline_shared::preprocess::FINGERPRINT;

use super::pack::packed;
use super::progress::bar;
use crate::cohort::{Cache, Cohort, Split};
use crate::compute::DeviceName;
use crate::nets::{Variant, WeightsFile};
use crate::train::{Event, PreparedFilms, Recipe, Record, Run, STACK_BYTES, Trained, train};

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
    /// Weights to begin with (a run's, or those that `weights import` makes); without, they are
    /// drawn from the recipe's seed. A head of another shape or for other classes is drawn anew
    #[arg(long, value_name = "W.safetensors")]
    init: Option<PathBuf>,
    /// Go on with the run in the folder after its last whole epoch
    #[arg(long)]
    resume: bool,
    /// Where to compute: cpu (all cores), or cuda or cuda:N (an NVIDIA GPU, the first or the one
    /// with this number); several with commas, cuda:0,cuda:1, share every batch
    #[arg(long, default_value = "cpu", value_delimiter = ',')]
    device: Vec<DeviceName>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let devices = DeviceName::open_all(&args.device)?;
    let recipe = Recipe::read(&args.recipe)?;
    let cohort = Cohort::open(&args.cohort)?;
    let variant = match &args.init {
        Some(init) => initial_variant(init, &recipe)?,
        None => Variant::default(),
    };
    let initial_weights = args.init.as_deref().map(digest).transpose()?;
    let record = Record {
        variant,
        cohort: cohort.fingerprint().to_owned(),
        preprocessing: FINGERPRINT.to_owned(),
        initial_weights,
        plumbline: env!("CARGO_PKG_VERSION").to_owned(),
        revision: option_env!("PLUMBLINE_REVISION").map(str::to_owned),
    };
    let run = Run::begin(&args.out, recipe, record, args.resume)?;
    let cache = Arc::new(packed(&cohort)?);
    let training = films(&cohort, &cache, Split::Train, &run.recipe)?;
    let validation = films(&cohort, &cache, Split::Val, &run.recipe)?;
    let init = args.init;
    let thread = std::thread::Builder::new()
        .name("training".into())
        .stack_size(STACK_BYTES)
        .spawn(move || work(&run, &training, &validation, init.as_deref(), &devices))
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
    devices: &[Device],
) -> anyhow::Result<()> {
    let in_all = films_in_all(&run.recipe, training.len(), validation.len());
    let bar = bar(in_all, "films");
    let mut latest = String::new();
    let watch = |event: Event| match event {
        Event::Frozen { films } => {
            bar.inc(films as u64);
            bar.set_message("frozen features");
        }
        Event::Step { films, loss } => {
            bar.inc(films as u64);
            bar.set_message(format!("loss {loss:.3}{latest}"));
        }
        Event::Epoch(epoch) => {
            latest = format!(", ROC-AUC {:.4}", epoch.validation_roc_auc);
            bar.suspend(|| println!("{epoch}"));
            // The epoch is recorded all the same.
            let _ = run.log(&epoch.to_string());
        }
    };
    run.log(&format!(
        "{} training and {} validation films, on {}, {} threads",
        training.len(),
        validation.len(),
        described(devices),
        rayon::current_num_threads()
    ))?;
    let result = train(run, training, validation, init, devices, watch);
    bar.finish_and_clear();
    match &result {
        Ok(()) => run.log("finished")?,
        Err(error) => run.log(&format!("stopped: {error}"))?,
    }
    result?;
    println!("the best weights are {}", run.best_weights().display());
    Ok(())
}

/// What a training computes on.
fn described(devices: &[Device]) -> String {
    match devices {
        [Device::Cpu] => "the CPU".into(),
        [Device::Cpu, ..] => format!("the CPU as {} devices", devices.len()),
        [_] => "a GPU".into(),
        several => format!("{} GPUs", several.len()),
    }
}

/// Films drawn over all rounds, and those whose frozen features are computed.
fn films_in_all(recipe: &Recipe, training: usize, validation: usize) -> u64 {
    let films = recipe.rounds.iter().map(|round| {
        let drawn = round.epochs * round.films.unwrap_or(training);
        match round.train {
            Trained::All => drawn,
            Trained::LastLayer => drawn + training * round.placements + validation,
        }
    });
    films.sum::<usize>() as u64
}

/// The films of one split that the recipe learns from.
fn films(
    cohort: &Cohort,
    cache: &Arc<Cache>,
    split: Split,
    recipe: &Recipe,
) -> anyhow::Result<PreparedFilms> {
    let cache = Arc::clone(cache);
    let (films, known) = if recipe.findings.is_empty() {
        let (entries, labels) = cohort.labelled(Some(split));
        (
            PreparedFilms::new(cache, &entries, labels)?,
            "labelled films",
        )
    } else {
        let entries = cohort.with_findings(split);
        let films = PreparedFilms::of_findings(cache, &entries, &recipe.findings)?;
        (films, "films with known findings")
    };
    if films.is_empty() {
        let split = split.name();
        bail!("the cohort has no {known} in its {split} split; give a cohort that has");
    }
    Ok(films)
}

/// How the network of the initial weights computes; says so if their head is not taken.
fn initial_variant(init: &Path, recipe: &Recipe) -> anyhow::Result<Variant> {
    let weights = WeightsFile::read(init, &Device::Cpu)?;
    weights.expect(recipe.architecture)?;
    let wanted = recipe.description(weights.description.variant);
    if !weights.has_head(&wanted, recipe.architecture) {
        println!(
            "the features begin with {}; its head is not the recipe's, so the head is drawn from \
             the recipe's seed",
            init.display()
        );
    }
    Ok(weights.description.variant)
}

fn digest(file: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(file)
        .with_context(|| format!("cannot read the weights {}", file.display()))?;
    Ok(sha256(&bytes))
}
