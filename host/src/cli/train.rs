//! `plumbline train`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use candle_core::Device;
use indicatif::{HumanDuration, ProgressBar, ProgressState};
use plumbline_shared::architecture::Architecture;
use plumbline_shared::preprocess::FINGERPRINT;

use super::out;
use super::pack::open_packed;
use super::progress::bar;
use crate::cohort::{Cohort, PackedFilms, Split};
use crate::train::{Event, PreparedFilms, Recipe, Record, Run, Work, train};
use plumbline_nets::devices::DeviceName;
use plumbline_nets::{Variant, WeightsFile};

/// Arguments of `plumbline train`.
#[derive(clap::Args)]
pub struct Args {
    /// The recipe, a TOML file
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
    /// Devices to compute on: cpu (all cores), or cuda or cuda:N (an NVIDIA GPU, the first or the one
    /// with this number); several with commas, cuda:0,cuda:1, share every batch
    #[arg(long, default_value = "cpu", value_delimiter = ',')]
    device: Vec<DeviceName>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let devices = DeviceName::open_all(&args.device)?;
    let recipe = Recipe::read(&args.recipe)?;
    let cohort = Cohort::open(&args.cohort)?;
    let initial = match &args.init {
        Some(path) => Some(initial_weights(path, &recipe)?),
        None => None,
    };
    let packed = Arc::new(open_packed(&cohort)?);
    let training = films(&cohort, &packed, Split::Train, &recipe)?;
    let validation = films(&cohort, &packed, Split::Val, &recipe)?;
    let left_out = training.left_out() + validation.left_out();
    out::left_out(left_out);
    let record = Record {
        variant: initial
            .as_ref()
            .map_or_else(Variant::default, |weights| weights.description.variant),
        cohort: cohort.fingerprint().to_owned(),
        left_out,
        preprocessing: FINGERPRINT.to_owned(),
        initial_weights: initial.as_ref().map(|weights| weights.sha256.clone()),
        plumbline: env!("CARGO_PKG_VERSION").to_owned(),
        revision: option_env!("PLUMBLINE_REVISION").map(str::to_owned),
    };
    let run = Run::begin(&args.out, recipe, record, args.resume)?;
    let mut progress = TrainingProgress::begin();
    let mut latest = String::new();
    let watch = |event: Event| match event {
        Event::Ahead(work) => progress.set_total(work),
        Event::Frozen(work) => progress.advance(work, "frozen features".into()),
        Event::Step { work, loss } => progress.advance(work, format!("loss {loss:.3}{latest}")),
        Event::Epoch(epoch) => {
            latest = format!(", ROC-AUC {:.4}", epoch.validation_roc_auc);
            // The epoch is recorded, whoever listens.
            let _ = progress.bar.suspend(|| out::line(epoch));
            let _ = run.log(&epoch.to_string());
        }
    };
    run.log(&format!(
        "{} training and {} validation films, on {}, {} threads",
        training.len(),
        validation.len(),
        described(&devices),
        rayon::current_num_threads()
    ))?;
    let result = train(&run, &training, &validation, initial, &devices, watch);
    progress.bar.finish_and_clear();
    match &result {
        Ok(()) => run.log("finished")?,
        Err(error) => run.log(&format!("stopped: {error}"))?,
    }
    result?;
    out::line(format_args!(
        "the best weights are {}",
        run.best_weights().display()
    ))?;
    Ok(())
}

/// The devices of a training in words.
fn described(devices: &[Device]) -> String {
    match devices {
        [Device::Cpu] => "the CPU".into(),
        [Device::Cpu, ..] => format!("the CPU as {} devices", devices.len()),
        [_] => "a GPU".into(),
        several => format!("{} GPUs", several.len()),
    }
}

/// The progress of a training on a bar. The work of earlier calls is left out.
struct TrainingProgress {
    bar: ProgressBar,
    begun: Instant,
    done: Work,
    /// With what is done.
    whole: Work,
    /// `u64::MAX` before the first step.
    seconds_left: Arc<AtomicU64>,
}

impl TrainingProgress {
    fn begin() -> Self {
        let bar = bar(0, "films");
        let seconds_left = Arc::new(AtomicU64::new(u64::MAX));
        let shown = Arc::clone(&seconds_left);
        // Large films take longer than the small ones before them: the bar's own reckoning by
        // films would be wrong.
        let time_left = move |_: &ProgressState, to: &mut dyn fmt::Write| {
            // A bar that cannot be drawn is no failure of the work.
            let _ = match shown.load(Ordering::Relaxed) {
                u64::MAX => write!(to, "?"),
                seconds => write!(to, "{:#}", HumanDuration(Duration::from_secs(seconds))),
            };
        };
        bar.set_style(bar.style().with_key("eta", time_left));
        Self {
            bar,
            begun: Instant::now(),
            done: Work::default(),
            whole: Work::default(),
            seconds_left,
        }
    }

    /// Sets what is to be done from here on.
    fn set_total(&mut self, ahead: Work) {
        self.whole = self.done;
        self.whole += ahead;
        self.bar.set_length(self.whole.films as u64);
    }

    /// Takes in what was done.
    fn advance(&mut self, work: Work, message: String) {
        self.done += work;
        let share = self.done.pixels as f64 / self.whole.pixels as f64;
        let left = self.begun.elapsed().as_secs_f64() * (1.0 / share - 1.0);
        self.seconds_left.store(left as u64, Ordering::Relaxed);
        self.bar.set_message(message);
        self.bar.inc(work.films as u64);
    }
}

/// The films of one split that the recipe learns from.
fn films(
    cohort: &Cohort,
    packed: &Arc<PackedFilms>,
    split: Split,
    recipe: &Recipe,
) -> anyhow::Result<PreparedFilms> {
    let packed = Arc::clone(packed);
    let (films, known) = if recipe.architecture == Architecture::Gate {
        let of_split = cohort.entries().iter().filter(|entry| entry.split == split);
        let films = PreparedFilms::of_refusals(packed, of_split.collect())?;
        (films, "films")
    } else if recipe.findings.is_empty() {
        let (entries, _) = cohort.labelled(Some(split));
        (PreparedFilms::new(packed, entries)?, "labelled films")
    } else {
        let entries = cohort.with_findings(split);
        let films = PreparedFilms::of_findings(packed, entries, &recipe.findings)?;
        (films, "films with known findings")
    };
    if films.is_empty() {
        let split = split.name();
        bail!("the cohort has no {known} in its {split} split; give a cohort that has");
    }
    Ok(films)
}

/// The initial weights; says so if their head is not taken.
fn initial_weights(path: &Path, recipe: &Recipe) -> anyhow::Result<WeightsFile> {
    let weights = WeightsFile::read(path)?;
    weights.expect(recipe.architecture)?;
    let wanted = recipe.description(weights.description.variant);
    if !weights.has_head(&wanted, recipe.architecture) {
        out::line(format_args!(
            "the features begin with {}; its head is not the recipe's, so the head is drawn from \
             the recipe's seed",
            path.display()
        ))?;
    }
    Ok(weights)
}
