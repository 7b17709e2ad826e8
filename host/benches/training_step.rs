//! One training step of each network (forward and backward pass and the recipe's optimiser), its
//! time and memory, side by side with PyTorch's.
//!
//! `cargo bench --workspace --bench training_step -- [PYTHON [SIDE [STEPS [ROUNDS [DEVICE]]]]]`. In
//! each round this program and `training_step.py` beside this file make STEPS steps after one that
//! does not count, each in a process of its own; printed are the medians over all rounds' steps.
//! RAYON_NUM_THREADS sets the threads of both.
//!
//! On the CPU PyTorch runs twice: as it is, and with glibc's allocator told to keep freed memory, as
//! this program tells its own. DenseNet121 of ours runs a second time recomputing its middles. On
//! cuda (with --features plumbline-host/cuda) PyTorch runs in bf16, channels last, and ours in bf16,
//! in TF32 and in f32; memory is then what the tensors had of the GPU's at once.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};
use candle_core::{Device, Tensor};
use plumbline_host::train::{Algorithm, Loss, Optimiser, Rule};
use plumbline_nets::devices::DeviceName;
use plumbline_nets::{Mode, Network, Parameters, Precision, Training};
use plumbline_shared::architecture::Architecture;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Networks by torchvision's names, with the recipes' batches, rules and rates.
const WORK: [(&str, Architecture, usize, Algorithm, f64); 2] = [
    (
        "densenet121",
        Architecture::Densenet121,
        16,
        Algorithm::Adam,
        1e-4,
    ),
    (
        "efficientnet_b0",
        Architecture::EfficientnetB0,
        20,
        Algorithm::Adagrad,
        1e-2,
    ),
];

fn main() -> anyhow::Result<()> {
    plumbline_host::memory::keep_freed_memory();
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let text = |at: usize, default: &str| {
        let given = arguments.get(at).map(String::as_str);
        given.unwrap_or(default).to_owned()
    };
    if arguments.first().is_some_and(|first| first == "ours") {
        let (side, steps) = (text(2, "256").parse()?, text(3, "5").parse()?);
        return ours(&text(1, ""), side, steps, &text(4, ""));
    }
    let python = text(0, "python3");
    let (side, steps) = (text(1, "256"), text(2, "5"));
    let rounds: usize = text(3, "3").parse()?;
    let on_gpu = text(4, "cpu") == "cuda";
    let threads = rayon::current_num_threads().to_string();
    println!(
        "{:<18}{:>6}  {:<28}{:>8}{:>8}{:>8}",
        "network", "batch", "", "seconds", "ratio", "MB"
    );
    for (name, _, films, ..) in WORK {
        let program = std::env::current_exe()?;
        let films = films.to_string();
        let ours = |way: &str| {
            let mut command = Command::new(&program);
            command.args(["ours", name, &side, &steps, way]);
            command
        };
        let theirs = |tunables: &str| {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/training_step.py");
            let mut command = Command::new(&python);
            let device = if on_gpu { "cuda" } else { "cpu" };
            command.args([script, name, &films, &side, &steps, &threads, device]);
            command.env("GLIBC_TUNABLES", tunables);
            command
        };
        let keep = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=1000000000000";
        let mut ways = if on_gpu {
            vec![
                ("PyTorch, bf16, channels last", theirs("")),
                ("Plumbline, bf16", ours("bf16")),
                ("Plumbline, tf32", ours("tf32")),
                ("Plumbline, f32", ours("f32")),
            ]
        } else {
            vec![
                ("PyTorch, memory kept", theirs(keep)),
                ("PyTorch", theirs("")),
                ("Plumbline", ours("kept")),
            ]
        };
        if name == "densenet121" && !on_gpu {
            ways.push(("Plumbline, recomputing", ours("recomputed")));
        }
        let mut ways: Vec<_> = ways
            .into_iter()
            .map(|(label, command)| (label, command, Measured::default()))
            .collect();
        for _ in 0..rounds {
            for (_, command, measured) in &mut ways {
                measured.add(command)?;
            }
        }
        let peer = ways[0].2.median();
        for (label, _, measured) in &mut ways {
            let seconds = measured.median();
            println!(
                "{name:<18}{films:>6}  {label:<28}{seconds:>8.3}{:>8.2}{:>8.0}",
                seconds / peer,
                measured.megabytes
            );
        }
    }
    Ok(())
}

/// The reports of the processes of one side.
#[derive(Default)]
struct Measured {
    seconds: Vec<f64>,
    megabytes: f64,
}

impl Measured {
    /// Runs one process, which prints the seconds of its steps and then its peak of memory in
    /// megabytes.
    fn add(&mut self, command: &mut Command) -> anyhow::Result<()> {
        let run = command
            .stderr(std::process::Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start {command:?}"))?;
        ensure!(
            run.status.success(),
            "{command:?} failed; it says why above"
        );
        let mut numbers = std::str::from_utf8(&run.stdout)?
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<Vec<f64>, _>>()?;
        self.megabytes = self
            .megabytes
            .max(numbers.pop().context("no memory given")?);
        self.seconds.extend(numbers);
        Ok(())
    }

    fn median(&mut self) -> f64 {
        self.seconds.sort_by(f64::total_cmp);
        self.seconds[self.seconds.len() / 2]
    }
}

/// `way` is a precision on the GPU, or whether middles are kept or recomputed on the CPU.
fn ours(name: &str, side: usize, steps: usize, way: &str) -> anyhow::Result<()> {
    let (_, architecture, films, algorithm, rate) = WORK
        .into_iter()
        .find(|work| work.0 == name)
        .with_context(|| format!("there is no network {name}"))?;
    let precision = match way {
        "bf16" => Some(Precision::Bf16),
        "tf32" => Some(Precision::Tf32),
        "f32" => Some(Precision::F32),
        _ => None,
    };
    let device = match precision {
        Some(_) => DeviceName::Cuda(0).open()?,
        None => Device::Cpu,
    };
    let mut parameters = Parameters::new(&device, 1);
    let mut network = Network::new(architecture, &mut parameters)?;
    network.set_precision(precision.unwrap_or_default());
    if way == "recomputed" {
        network.recompute();
    }
    let trained: Vec<_> = parameters.trainable().collect();
    let rule = Rule {
        algorithm,
        weight_decay: 0.0,
        momentum: 0.0,
    };
    let mut optimiser = Optimiser::new(rule, &trained)?;
    let x = Tensor::rand(-1f32, 1.0, (films, 3, side, side), &Device::Cpu)?;
    let x = x.to_device(&device)?;
    let labels: Vec<f32> = (0..films).map(|film| (film % 2) as f32).collect();
    let labels = Tensor::new(labels, &Device::Cpu)?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for step in 0..=steps {
        let start = Instant::now();
        let mut mode = Mode::Training(Training {
            drops: Some(&mut rng),
            share: None,
        });
        let output = network.forward(&x, &mut mode)?;
        let loss = Loss::default().of(&output.logit()?, &labels)?;
        optimiser.step(&loss.backward()?, rate)?;
        device.synchronize()?;
        if step > 0 {
            print!("{} ", start.elapsed().as_secs_f64());
        }
    }
    println!("{}", peak_megabytes(precision.is_some())?);
    Ok(())
}

/// The most memory this process has held so far, of the computer or of the first GPU; not a number
/// where the system does not tell.
fn peak_megabytes(of_gpu: bool) -> anyhow::Result<f64> {
    if of_gpu {
        let bytes = DeviceName::Cuda(0).peak_memory();
        return Ok(bytes.map_or(f64::NAN, |bytes| bytes as f64 / 1e6));
    }
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return Ok(f64::NAN);
    };
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kilobytes
        .context("no peak of memory told")?
        .parse::<f64>()?
        / 1e3)
}
