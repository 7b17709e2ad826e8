//! Optimisers and losses against PyTorch's, and whole trainings.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device, Tensor, Var};
use plumbline_host::cohort::phantom::{Format, Frame, PhantomOptions, generate};
use plumbline_host::cohort::{Cohort, Split};
use plumbline_host::train::{
    Algorithm, Epoch, Event, Loss, Optimiser, PreparedFilms, Recipe, Record, Rule, Run, RunError,
    Work, train,
};
use plumbline_nets::{Gradients, Network, Parameters, Traced, Variant};
use plumbline_shared::architecture::Architecture;
use plumbline_shared::durable::{Disk, Medium};
use serde::Deserialize;

/// The output of `references/training.py`.
#[derive(Deserialize)]
struct Reference {
    start: Vec<f32>,
    gradients: Vec<Vec<f32>>,
    trajectories: BTreeMap<String, Vec<Vec<f32>>>,
    losses: Losses,
}

#[derive(Deserialize)]
struct Losses {
    logit: Vec<f32>,
    label: Vec<f32>,
    answers: BTreeMap<String, Answer>,
}

#[derive(Deserialize)]
struct Answer {
    loss: f32,
    gradient: Vec<f32>,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("references/training.json")).unwrap()
}

#[test]
fn optimisers_step_as_pytorch_s() {
    let reference = reference();
    for (name, rate, algorithm, weight_decay, momentum) in [
        ("adagrad", 0.05, Algorithm::Adagrad, 0.0, 0.0),
        ("adagrad with decay", 0.05, Algorithm::Adagrad, 0.1, 0.0),
        ("adam", 0.02, Algorithm::Adam, 0.0, 0.0),
        ("adam with decay", 0.02, Algorithm::Adam, 0.1, 0.0),
        ("adamw", 0.02, Algorithm::Adamw, 0.1, 0.0),
        ("sgd", 0.1, Algorithm::Sgd, 0.0, 0.0),
        ("sgd with momentum and decay", 0.1, Algorithm::Sgd, 0.1, 0.9),
    ] {
        let rule = Rule {
            algorithm,
            weight_decay,
            momentum,
        };
        let parameter = Var::new(reference.start.as_slice(), &Device::Cpu).unwrap();
        let mut optimiser = Optimiser::new(rule, &[("w", &parameter)]).unwrap();
        for (step, gradient) in reference.gradients.iter().enumerate() {
            let gradient = Tensor::new(gradient.as_slice(), &Device::Cpu).unwrap();
            let mut gradients = Gradients::default();
            gradients.insert(&parameter, gradient);
            optimiser.step(&gradients, rate).unwrap();
            let now: Vec<f32> = parameter.to_vec1().unwrap();
            let expected = &reference.trajectories[name][step];
            for (got, expected) in now.iter().zip(expected) {
                assert!(
                    (got - expected).abs() <= 1e-6,
                    "{name} at step {step}: {got} {expected}"
                );
            }
        }
    }
    assert_eq!(reference.trajectories.len(), 7);
}

#[test]
fn losses_are_pytorch_s() {
    let reference = reference().losses;
    let label = Tensor::new(reference.label.as_slice(), &Device::Cpu).unwrap();
    for (name, focal, positive_weight) in [
        ("cross-entropy", 0.0, 1.0),
        ("cross-entropy, positives weigh 5", 0.0, 5.0),
        ("focal 2", 2.0, 1.0),
        ("focal 1.5, positives weigh 5", 1.5, 5.0),
    ] {
        let answer = &reference.answers[name];
        let loss = Loss {
            focal,
            positive_weight,
        };
        for shape in [vec![6], vec![2, 3]] {
            let logit = Tensor::from_slice(&reference.logit, shape.as_slice(), &Device::Cpu);
            let logit = Var::from_tensor(&logit.unwrap()).unwrap();
            let label = label.reshape(shape.as_slice()).unwrap();
            let value = loss.of(&Traced::from(&logit), &label).unwrap();
            let got: f32 = value.value().to_scalar().unwrap();
            assert!((got / answer.loss - 1.0).abs() < 1e-5, "{name}: {got}");
            let gradients = value.backward().unwrap();
            let gradient = gradients.get(&logit).unwrap().flatten_all().unwrap();
            let gradient: Vec<f32> = gradient.to_vec1().unwrap();
            for (got, expected) in gradient.iter().zip(&answer.gradient) {
                assert!((got - expected).abs() < 1e-6, "{name}: {gradient:?}");
            }
        }
    }
    assert_eq!(reference.answers.len(), 4);
}

/// The measures of each epoch of a run, without times.
fn measures(run: &Run) -> Vec<[f64; 3]> {
    let of = |e: Epoch| [e.loss, e.validation_loss, e.validation_roc_auc];
    run.epochs().unwrap().into_iter().map(of).collect()
}

/// The work that a training announced when it began, and the work that it did.
#[derive(Default)]
struct Told {
    ahead: Work,
    done: Work,
}

impl Told {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::Ahead(ahead) if self.done == Work::default() => self.ahead = *ahead,
            Event::Frozen(work) | Event::Step { work, .. } => self.done += *work,
            Event::Ahead(_) | Event::Epoch(_) => {}
        }
    }
}

/// A small cohort, and a folder for runs.
struct Material {
    folder: tempfile::TempDir,
    cohort: Cohort,
    training: PreparedFilms,
    validation: PreparedFilms,
}

impl Material {
    fn draw() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cohort = folder.path().join("cohort");
        let options = PhantomOptions {
            films: 20,
            refused: 0,
            prevalence: 0.5,
            seed: 6,
            out: cohort.clone(),
            format: Format::Png,
            side: 64,
            frame: Frame::SquareChest,
        };
        generate(&options, |_| {}).unwrap();
        let cohort = Cohort::open(&cohort).unwrap();
        let packed = Arc::new(cohort.pack(|| {}).unwrap().packed);
        let films = |split| {
            let (entries, _) = cohort.labelled(Some(split));
            PreparedFilms::new(Arc::clone(&packed), entries).unwrap()
        };
        let (training, validation) = (films(Split::Train), films(Split::Val));
        Self {
            folder,
            cohort,
            training,
            validation,
        }
    }

    fn begin(&self, name: &str, recipe: &str, resume: bool) -> Run {
        self.begin_on(Disk, name, recipe, resume).unwrap()
    }

    fn begin_on(
        &self,
        medium: impl Medium + Send + Sync + 'static,
        name: &str,
        recipe: &str,
        resume: bool,
    ) -> Result<Run, RunError> {
        let record = Record {
            cohort: self.cohort.fingerprint().to_owned(),
            preprocessing: String::new(),
            initial_weights: None,
            left_out: 0,
            variant: Variant::default(),
            plumbline: String::new(),
            revision: None,
        };
        let path = self.folder.path().join(format!("{name}.toml"));
        std::fs::write(&path, recipe).unwrap();
        let recipe = Recipe::read(&path).unwrap();
        let folder = self.folder.path().join(name);
        Run::begin_on(Box::new(medium), &folder, recipe, record, resume)
    }

    /// Trains, or says why not.
    fn train(&self, run: &Run, watch: impl FnMut(Event)) -> Result<(), String> {
        self.train_on(1, run, watch)
    }

    /// Trains on the CPU as so many devices, or says why not.
    fn train_on(&self, devices: usize, run: &Run, watch: impl FnMut(Event)) -> Result<(), String> {
        let devices = vec![Device::Cpu; devices];
        let (training, validation) = (&self.training, &self.validation);
        let trained = train(run, training, validation, None, &devices, watch);
        trained.map_err(|error| error.to_string())
    }
}

const ROUND: &str = "[[round]]\ntrain = \"all\"\noptimiser = \"adam\"\nlearning_rate = 0.001\n\
                     batch = 4\nepochs = 1\nfilms = 8\nside = 64\n";

/// A round that ends in not-a-number.
fn wild() -> String {
    let wild = ROUND.replace("adam", "sgd").replace("0.001", "10.0");
    wild.replace("epochs = 1", "epochs = 9")
}

/// A disk that is lost with its step number `fails`: that step and all later ones fail.
struct LostAt {
    fails: usize,
    steps: AtomicUsize,
}

impl LostAt {
    fn step<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.steps.fetch_add(1, Ordering::Relaxed) < self.fails {
            true => act(),
            false => Err(io::Error::other("the power is cut")),
        }
    }
}

impl Medium for LostAt {
    fn create(&self, path: &Path) -> io::Result<File> {
        Disk.create(path)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        Disk.write(file, bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        Disk.sync(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(|| Disk.rename(from, to))
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        Disk.exchange(one, other)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        Disk.sync_folder(folder)
    }
}

/// A file changes only when it is renamed, so that stops between any two renames are all there are.
#[test]
fn a_run_stopped_at_any_write_goes_on_to_the_same_end() {
    let material = Material::draw();
    let head = ROUND.replace("all", "last-layer");
    let recipe = format!("architecture = \"efficientnet-b0\"\nseed = 3\n{head}{ROUND}");
    let undisturbed = material.begin("undisturbed", &recipe, false);
    let mut told = Told::default();
    material
        .train(&undisturbed, |event| told.hear(&event))
        .unwrap();
    assert_eq!(measures(&undisturbed).len(), 2);
    assert_eq!(told.done, told.ahead);

    let mut stops = 0;
    loop {
        let name = format!("stopped-{stops}");
        let medium = LostAt {
            fails: stops,
            steps: AtomicUsize::new(0),
        };
        let begun = material.begin_on(medium, &name, &recipe, false);
        if begun.is_ok_and(|run| material.train(&run, |_| {}).is_ok()) {
            break;
        }
        stops += 1;
        // After the power is back, and even after a stop before anything had begun.
        let resumed = material.begin(&name, &recipe, true);
        let mut told = Told::default();
        material.train(&resumed, |event| told.hear(&event)).unwrap();
        assert_eq!(measures(&resumed), measures(&undisturbed), "stop {stops}");
        assert_eq!(told.done, told.ahead, "stop {stops}");
    }
    // The recipe and the record; the second round's begin; an epoch's table, curves, events, best
    // weights and checkpoint, two times.
    assert_eq!(stops, 13);
}

#[test]
fn a_folder_without_a_run_is_told_from_one_with_a_run() {
    let material = Material::draw();
    let recipe = format!("architecture = \"efficientnet-b0\"\nseed = 3\n{ROUND}");
    material.begin("run", &recipe, false);
    let refused = |name: &str, resume| {
        let begun = material.begin_on(Disk, name, &recipe, resume);
        begun.err().unwrap().to_string()
    };
    assert!(refused("run", false).contains("--resume to continue it"));
    let foreign = material.folder.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("thesis.txt"), "years of work").unwrap();
    for resume in [false, true] {
        assert!(refused("foreign", resume).contains("holds no run"));
    }
}

#[test]
fn workers_and_recomputation_change_nothing_and_dropout_does() {
    let material = Material::draw();
    let trained = |name: &str, fields: &str| {
        let recipe = format!("architecture = \"densenet121\"\nseed = 3\n{fields}\n{ROUND}");
        let run = material.begin(name, &recipe, false);
        material.train(&run, |_| {}).unwrap();
        let weights = candle_core::safetensors::load(run.best_weights(), &Device::Cpu);
        let bits = |tensor: Tensor| -> Vec<u32> {
            let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
            values.into_iter().map(f32::to_bits).collect()
        };
        let weights = weights.unwrap().into_iter();
        let weights: BTreeMap<String, Vec<u32>> =
            weights.map(|(name, tensor)| (name, bits(tensor))).collect();
        (measures(&run), weights)
    };
    let plain = trained("plain", "");
    assert!(plain == trained("other", "workers = 3\nrecompute = true"));
    assert!(plain != trained("dropped", "dropout = 0.5"));
}

/// Batches of six films on one device, on two, and on four with shares of two films and of one: the
/// weights move alike, which they would not by each share's own statistics, and the running
/// statistics are the whole batches'.
#[test]
fn devices_that_share_batches_learn_what_one_does() {
    let material = Material::draw();
    let round = ROUND
        .replace("adam", "sgd")
        .replace("batch = 4", "batch = 6")
        .replace("films = 8", "films = 12");
    let recipe = format!("architecture = \"densenet121\"\nseed = 3\n{round}");
    let mut start = Parameters::new(&Device::Cpu, 3);
    Network::new(Architecture::Densenet121, &mut start).unwrap();
    let start = start.tensors();
    let trained = |devices: usize| {
        let run = material.begin(&format!("{devices} devices"), &recipe, false);
        material.train_on(devices, &run, |_| {}).unwrap();
        let weights = candle_core::safetensors::load(run.best_weights(), &Device::Cpu);
        let moved = weights.unwrap().into_iter().map(|(name, tensor)| {
            let moved = (tensor - &start[&name]).unwrap();
            (name, moved.flatten_all().unwrap())
        });
        let (statistics, weights): (BTreeMap<_, _>, BTreeMap<_, _>) =
            moved.partition(|(name, _)| name.contains("running"));
        let all = |parts: BTreeMap<String, Tensor>| {
            let parts: Vec<_> = parts.into_values().collect();
            Tensor::cat(&parts, 0).unwrap()
        };
        (measures(&run)[0][0], [all(weights), all(statistics)])
    };
    let norm = |x: &Tensor| {
        let sum = x.sqr().unwrap().sum_all().unwrap();
        sum.to_scalar::<f32>().unwrap().sqrt()
    };
    let (loss, alone) = trained(1);
    for devices in [2, 4] {
        let (shared_loss, together) = trained(devices);
        assert!((shared_loss / loss - 1.0).abs() < 1e-5, "{shared_loss}");
        for (alone, together) in alone.iter().zip(&together) {
            let apart = norm(&(alone - together).unwrap()) / norm(alone);
            // Rounding, which the second step makes larger; after the first it is 6e-4.
            assert!(apart < 3e-2, "{devices} devices: {apart}");
        }
    }
}

#[test]
fn a_shared_run_goes_on_to_the_same_end_and_stops_for_its_own_reason() {
    let material = Material::draw();
    let round = format!(
        "{}average = 0.9\n",
        ROUND.replace("epochs = 1", "epochs = 2")
    );
    let recipe = format!("architecture = \"efficientnet-b0\"\nseed = 3\n{round}");
    let undisturbed = material.begin("undisturbed", &recipe, false);
    material.train_on(2, &undisturbed, |_| {}).unwrap();
    let stopped = material.begin("stopped", &recipe, false);
    let watch = |event: Event| {
        let over = matches!(event, Event::Epoch(_));
        assert!(!over, "the power is cut");
    };
    let run = || material.train_on(2, &stopped, watch).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    let resumed = material.begin("stopped", &recipe, true);
    material.train_on(2, &resumed, |_| {}).unwrap();
    assert_eq!(measures(&resumed), measures(&undisturbed));

    let recipe = format!("architecture = \"efficientnet-b0\"\nseed = 3\n{}", wild());
    let run = material.begin("wild", &recipe, false);
    let error = material.train_on(2, &run, |_| {}).unwrap_err();
    assert!(error.contains("lower the round's learning rate"), "{error}");

    let run = material.begin("few", &recipe, false);
    let error = material.train_on(5, &run, |_| {}).unwrap_err();
    assert!(error.contains("cannot be shared by 5 devices"), "{error}");
}

#[test]
fn a_precision_that_a_cpu_lacks_is_refused() {
    let material = Material::draw();
    let recipe = format!("architecture = \"densenet121\"\nseed = 3\nprecision = \"bf16\"\n{ROUND}");
    let run = material.begin("bf16", &recipe, false);
    let error = material.train(&run, |_| {}).unwrap_err();
    assert!(error.contains("bf16 needs a GPU"), "{error}");
}

#[test]
fn a_loss_that_explodes_stops_the_run_and_keeps_what_it_had() {
    let material = Material::draw();
    let recipe = format!(
        "architecture = \"efficientnet-b0\"\nseed = 3\n{ROUND}{}",
        wild()
    );
    let run = material.begin("wild", &recipe, false);
    let error = material.train(&run, |_| {}).unwrap_err();
    assert!(error.contains("lower the round's learning rate"), "{error}");
    assert!(error.contains("round 2"), "{error}");
    for file in [run.best_weights(), run.checkpoint()] {
        let tensors = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
        let weights = tensors.iter().filter(|(name, _)| *name != "best");
        for (name, tensor) in weights {
            let sum = tensor.to_dtype(DType::F64).unwrap().sum_all().unwrap();
            assert!(sum.to_scalar::<f64>().unwrap().is_finite(), "{name}");
        }
    }
}
