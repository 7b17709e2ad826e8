//! A GPU against the CPU: every operation, and training steps of both networks.
//!
//! `cargo test --workspace --features plumbline-host/cuda --test cuda -- --ignored`, and with
//! `plumbline-host/nccl` where there are two.
#![cfg(feature = "cuda")]

use candle_core::{D, DType, Device, Result, Tensor, Var};
use plumbline_host::train::{Algorithm, Loss, Optimiser, Rule};
#[cfg(feature = "nccl")]
use plumbline_nets::Share;
use plumbline_nets::devices::DeviceName;
#[cfg(feature = "nccl")]
use plumbline_nets::devices::Rank;
use plumbline_nets::ops::{self, Activation, BatchStatistics, DenseFeatures, Padding, Statistics};
use plumbline_nets::{Gradients, Mode, Network, Parameters, Precision, Traced, Training};
use plumbline_shared::architecture::Architecture;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn gpu() -> Device {
    DeviceName::Cuda(0).open().unwrap()
}

fn random(seed: u64, shape: &[usize]) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn largest(tensor: &Tensor) -> f32 {
    let all = tensor.abs().unwrap().flatten_all().unwrap();
    all.max(D::Minus1).unwrap().to_scalar().unwrap()
}

/// The largest difference of two tensors, as a share of the largest element of the first.
fn apart(cpu: &Tensor, other: &Tensor) -> f32 {
    let other = other.to_device(&Device::Cpu).unwrap();
    let other = other.to_dtype(DType::F32).unwrap();
    assert_eq!(cpu.shape(), other.shape());
    largest(&(cpu - other).unwrap()) / largest(cpu).max(1e-6)
}

/// The result of `f` on `inputs` on a device in a type, and the gradients of a weighted sum of it.
fn run(
    inputs: &[Tensor],
    device: &Device,
    dtype: DType,
    f: &impl Fn(&[Traced]) -> Result<Traced>,
) -> Vec<Tensor> {
    let there = |tensor: &Tensor| tensor.to_device(device).unwrap();
    let vars: Vec<Var> = inputs
        .iter()
        .map(|x| Var::from_tensor(&there(x)).unwrap())
        .collect();
    let typed: Vec<Traced> = vars
        .iter()
        .map(|var| {
            // Maps and kernels are of the type, vectors and gates `f32`.
            let dtype = if var.rank() == 4 { dtype } else { DType::F32 };
            Traced::from(var).to_dtype(dtype).unwrap()
        })
        .collect();
    let y = f(&typed).unwrap().to_dtype(DType::F32).unwrap();
    let weights = there(&random(99, y.dims()));
    let gradients = y.backward_from(weights).unwrap();
    let mut all = vec![y.value().clone()];
    all.extend(vars.iter().map(|var| gradients.get(var).unwrap().clone()));
    all
}

fn agree(name: &str, inputs: &[Tensor], f: impl Fn(&[Traced]) -> Result<Traced>) {
    let cpu = run(inputs, &Device::Cpu, DType::F32, &f);
    for (dtype, bound) in [(DType::F32, 1e-4), (DType::BF16, 3e-2)] {
        let there = run(inputs, &gpu(), dtype, &f);
        for (index, (cpu, there)) in cpu.iter().zip(&there).enumerate() {
            let apart = apart(cpu, there);
            assert!(apart < bound, "{name}, {dtype:?}, {index}: {apart}");
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn convolutions_agree() {
    for padding in [Padding::Symmetric, Padding::Same] {
        for (kernel, stride) in [(1, 1), (3, 1), (3, 2), (7, 2)] {
            let x = random(1, &[3, 5, 13, 10]);
            let w = random(2, &[6, 5, kernel, kernel]);
            let name = format!("convolution {kernel}, {stride}, {padding:?}");
            agree(&name, &[x, w], |t| {
                ops::conv2d(&t[0], &t[1], stride, padding, Precision::F32)
            });
        }
        for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2)] {
            let x = random(3, &[3, 7, 9, 14]);
            let w = random(4, &[7, 1, kernel, kernel]);
            let name = format!("depthwise {kernel}, {stride}, {padding:?}");
            agree(&name, &[x, w], |t| {
                ops::depthwise_conv2d(&t[0], &t[1], stride, padding)
            });
        }
    }
}

/// Some statistics.
fn running(gamma: &Tensor, beta: &Tensor) -> Result<BatchStatistics> {
    Ok(BatchStatistics {
        mean: gamma.clone(),
        variance: (beta.sqr()? + 0.5)?,
        count: 1,
    })
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn batch_norms_agree() {
    // The second has many spans a channel.
    for shape in [[3, 4, 5, 7], [8, 2, 75, 61]] {
        let x = random(5, &shape);
        let (gamma, beta) = (random(6, &shape[1..2]), random(7, &shape[1..2]));
        for activation in [Activation::Identity, Activation::Relu, Activation::Silu] {
            for training in [true, false] {
                let name = format!("batch norm {shape:?} {activation:?}, training {training}");
                agree(&name, &[x.clone(), gamma.clone(), beta.clone()], |t| {
                    let statistics = match training {
                        true => Statistics::Batch(ops::measure(t[0].value(), None)?, None),
                        false => Statistics::Running(running(t[1].value(), t[2].value())?),
                    };
                    ops::batch_norm(&t[0], &t[1], &t[2], statistics, 0.1, activation)
                });
            }
        }
    }
}

/// Shares of a batch of five films on two GPUs, against the whole batch on the CPU.
#[cfg(feature = "nccl")]
#[test]
#[ignore = "needs two NVIDIA GPUs"]
fn a_batch_norm_shared_by_two_gpus_agrees() {
    let x = random(23, &[5, 3, 7, 6]);
    let (gamma, beta) = (random(24, &[3]), random(25, &[3]));
    let weights = random(26, x.dims());
    let both = |x: &Tensor, share: Option<Share>, first: usize| -> Vec<Tensor> {
        let var =
            |tensor: &Tensor| Var::from_tensor(&tensor.to_device(x.device()).unwrap()).unwrap();
        let inputs = [var(x), var(&gamma), var(&beta)];
        let [x, gamma, beta] = inputs.each_ref().map(Traced::from);
        let used = ops::measure(x.value(), share).unwrap();
        let statistics = Statistics::Batch(used.clone(), share);
        let y = ops::batch_norm(&x, &gamma, &beta, statistics, 1e-3, Activation::Silu).unwrap();
        let weights = weights.narrow(0, first, x.dim(0).unwrap()).unwrap();
        let weights = weights.to_device(x.device()).unwrap();
        let gradients = y.backward_from(weights).unwrap();
        let mut all = vec![used.mean, used.variance, y.value().clone()];
        all.extend(
            inputs
                .iter()
                .map(|input| gradients.get(input).unwrap().clone()),
        );
        all.iter()
            .map(|t| t.to_device(&Device::Cpu).unwrap())
            .collect()
    };
    let alone = both(&x, None, 0);
    let gpus = DeviceName::open_all(&[DeviceName::Cuda(0), DeviceName::Cuda(1)]).unwrap();
    let ranks = Rank::together(&gpus).unwrap();
    let shares = std::thread::scope(|scope| {
        let threads = [(0, 3), (3, 2)].map(|(first, films)| {
            let rank = &ranks[usize::from(first > 0)];
            let x = x.narrow(0, first, films).unwrap();
            let x = x.to_device(&gpus[rank.index()]).unwrap();
            let both = &both;
            scope.spawn(move || both(&x, Some(Share { rank, films: 5 }), first))
        });
        threads.map(|thread| thread.join().unwrap())
    });
    let [one, other] = &shares;
    for (index, alone) in alone.iter().enumerate() {
        let (one, other) = (&one[index], &other[index]);
        let together = match index {
            // The statistics are the whole batch's on both.
            0 | 1 => {
                assert_eq!(apart(one, other), 0.0);
                one.clone()
            }
            // Maps and their gradients are the shares' own, the parameters' gradients sums.
            2 | 3 => Tensor::cat(&[one, other], 0).unwrap(),
            _ => (one + other).unwrap(),
        };
        assert!(apart(alone, &together) < 1e-4, "{index}");
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn poolings_and_channels_agree() {
    let (x, gate) = (random(8, &[2, 3, 7, 10]), random(10, &[2, 3]));
    // Far apart, so that rounding to bf16 does not change which is the largest.
    let far: Vec<f32> = (0..420)
        .map(|i| ((i * 97 % 211) as f32 - 100.0) / 100.0)
        .collect();
    let far = Tensor::from_vec(far, (2, 3, 7, 10), &Device::Cpu).unwrap();
    agree("max pool", &[far], |t| ops::max_pool_3x3(&t[0]));
    let one = std::slice::from_ref(&x);
    agree("average pool", one, |t| ops::average_pool_2x2(&t[0]));
    agree("global average", one, |t| ops::global_average_pool(&t[0]));
    agree("gate", &[x, gate], |t| ops::scale_channels(&t[0], &t[1]));
}

/// Normalised while there is room for more, so that films lie apart.
#[test]
#[ignore = "needs an NVIDIA GPU"]
fn growing_maps_agree() {
    let (x, y) = (random(9, &[3, 4, 7, 10]), random(11, &[3, 5, 7, 10]));
    let (gamma, beta) = (random(12, &[9]), random(13, &[9]));
    for training in [true, false] {
        let name = format!("growing maps, training {training}");
        let inputs = [x.clone(), y.clone(), gamma.clone(), beta.clone()];
        agree(&name, &inputs, |t| {
            let mode = match training {
                true => Mode::Training(Training::default()),
                false => Mode::Evaluation,
            };
            let mut maps = DenseFeatures::new(&t[0], 12, &mode)?;
            maps.push(&t[1])?;
            let statistics = match maps.statistics()? {
                Some(batch) => batch,
                None => Statistics::Running(running(t[2].value(), t[3].value())?),
            };
            ops::batch_norm(maps.maps(), &t[2], &t[3], statistics, 0.1, Activation::Silu)
        });
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn losses_agree() {
    // More logits than a block has threads, some of labels that are not known.
    let logit = (random(20, &[300]) * 8.0).unwrap();
    let label = (0..300).map(|at| [1.0, 0.0, f32::NAN][at % 3]);
    let label = Tensor::from_iter(label, &Device::Cpu).unwrap();
    for (focal, positive_weight) in [(0.0, 1.0), (2.0, 3.0)] {
        let loss = Loss {
            focal,
            positive_weight,
        };
        agree("loss", std::slice::from_ref(&logit), |t| {
            loss.of(&t[0], &label)
        });
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn not_a_number_stays() {
    let x = Tensor::full(f32::NAN, (1, 2, 5, 5), &gpu()).unwrap();
    let (one, zero) = (random(21, &[2]), random(22, &[2]));
    let there = |tensor: &Tensor| Traced::from(&tensor.to_device(&gpu()).unwrap());
    let (x, gamma, beta) = (there(&x), there(&one), there(&zero));
    let statistics = Statistics::Batch(ops::measure(x.value(), None).unwrap(), None);
    let y = ops::batch_norm(&x, &gamma, &beta, statistics, 1e-5, Activation::Relu).unwrap();
    for lost in [y, ops::max_pool_3x3(&x).unwrap()] {
        let values = lost
            .value()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        assert!(values.iter().all(|value| value.is_nan()));
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn optimisers_agree() {
    for algorithm in [
        Algorithm::Adagrad,
        Algorithm::Adam,
        Algorithm::Adamw,
        Algorithm::Sgd,
    ] {
        let rule = Rule {
            algorithm,
            weight_decay: 0.01,
            momentum: if algorithm == Algorithm::Sgd {
                0.9
            } else {
                0.0
            },
        };
        let moved = [Device::Cpu, gpu()].map(|device| {
            let w = Var::from_tensor(&random(11, &[37]).to_device(&device).unwrap()).unwrap();
            let mut optimiser = Optimiser::new(rule, &[("w", &w)]).unwrap();
            for step in 0..5 {
                let g = random(20 + step, &[37]).to_device(&device).unwrap();
                let mut gradients = Gradients::default();
                gradients.insert(&w, g);
                optimiser.step(&gradients, 0.05).unwrap();
            }
            w.as_tensor().clone()
        });
        assert!(apart(&moved[0], &moved[1]) < 1e-5, "{algorithm:?}");
    }
}

/// The results of a step of a network on four films of 96 x 96.
struct Step {
    loss: f32,
    /// By the parameters' names.
    gradients: Vec<(String, Tensor)>,
    /// Parameters and statistics after it, by name.
    left: Vec<(String, Tensor)>,
}

impl Step {
    /// `brightness` multiplies the films.
    fn make(
        architecture: Architecture,
        device: &Device,
        precision: Precision,
        brightness: f64,
    ) -> Self {
        let mut parameters = Parameters::new(device, 7);
        let mut network = Network::new(architecture, &mut parameters).unwrap();
        network.set_precision(precision);
        let trained: Vec<_> = parameters.trainable().collect();
        let rule = Rule {
            algorithm: Algorithm::Sgd,
            weight_decay: 0.0,
            momentum: 0.0,
        };
        let mut optimiser = Optimiser::new(rule, &trained).unwrap();
        let x = (random(12, &[4, 3, 96, 96]) * brightness).unwrap();
        let x = x.to_device(device).unwrap();
        let label = Tensor::new(&[1f32, 0.0, 1.0, 0.0], &Device::Cpu).unwrap();
        let output = network
            .forward(&x, &mut Mode::Training(Training::default()))
            .unwrap();
        let loss = Loss::default()
            .of(&output.logit().unwrap(), &label)
            .unwrap();
        let gradients = loss.backward().unwrap();
        optimiser.step(&gradients, 0.01).unwrap();
        let here = |tensor: &Tensor| tensor.to_device(&Device::Cpu).unwrap();
        let gradient = |var: &Var| here(gradients.get(var.as_tensor()).unwrap());
        let named = trained
            .iter()
            .map(|(name, var)| ((*name).to_owned(), gradient(var)));
        let mut left: Vec<_> = parameters
            .tensors()
            .into_iter()
            .map(|(name, tensor)| (name, here(&tensor)))
            .collect();
        left.sort_by(|a, b| a.0.cmp(&b.0));
        Self {
            loss: loss.value().to_scalar().unwrap(),
            gradients: named.collect(),
            left,
        }
    }

    /// The cosine of the angle between the gradients of two steps.
    fn cosine(&self, other: &Self) -> f64 {
        let product = |a: &Self, b: &Self| -> f64 {
            let pairs = a.gradients.iter().zip(&b.gradients);
            let products = pairs.map(|((_, a), (_, b))| {
                let all = (a * b).unwrap().to_dtype(DType::F64).unwrap();
                all.sum_all().unwrap().to_scalar::<f64>().unwrap()
            });
            products.sum()
        };
        product(self, other) / (product(self, self) * product(other, other)).sqrt()
    }
}

/// The norm of the difference of two tensors, as a share of the first's.
fn between(a: &Tensor, b: &Tensor) -> f64 {
    let norm = |tensor: &Tensor| {
        let squares = tensor.to_dtype(DType::F64).unwrap().sqr().unwrap();
        let sum = squares.sum_all().unwrap().to_scalar::<f64>();
        sum.unwrap().sqrt()
    };
    norm(&(a - b).unwrap()) / norm(a)
}

/// In `f32` every gradient, parameter and statistic agrees to 1e-3, or as well as the CPU agrees with
/// itself on films brighter or darker by a millionth: where a ReLU stands at its kink, or where only
/// rounding is left (the mean that the batch norm before has taken away), no two ways of adding agree
/// better. In less exact arithmetic the loss and the direction of the gradient agree.
fn steps_agree(architecture: Architecture) {
    let make = move |device: &Device, precision, brightness| {
        Step::make(architecture, device, precision, brightness)
    };
    let cpu = make(&Device::Cpu, Precision::F32, 1.0);
    let brighter = [1.0 + 1e-6, 1.0 - 1e-6].map(|b| make(&Device::Cpu, Precision::F32, b));
    let there = make(&gpu(), Precision::F32, 1.0);
    assert!((there.loss / cpu.loss - 1.0).abs() < 1e-3);
    let of = |step: &Step| -> Vec<(String, Tensor)> {
        step.gradients.iter().chain(&step.left).cloned().collect()
    };
    let (cpu_all, there_all) = (of(&cpu), of(&there));
    let brighter_all = brighter.map(|step| of(&step));
    let mut by_rounding = 0;
    for (index, (name, expected)) in cpu_all.iter().enumerate() {
        let difference = between(expected, &there_all[index].1);
        let own = brighter_all
            .each_ref()
            .map(|all| between(expected, &all[index].1));
        let own = own[0].max(own[1]);
        by_rounding += usize::from(difference >= 1e-3);
        assert!(
            difference < 1e-3 + 20.0 * own,
            "{name}: {difference}, where the CPU is {own} apart from itself"
        );
    }
    assert!(3 * by_rounding < cpu_all.len(), "{by_rounding} are apart");
    println!(
        "{architecture:?}: {by_rounding} of {} tensors more than 1e-3 apart",
        cpu_all.len()
    );
    for (precision, least) in [(Precision::Tf32, 0.99), (Precision::Bf16, 0.5)] {
        let there = make(&gpu(), precision, 1.0);
        let cosine = cpu.cosine(&there);
        println!(
            "{architecture:?} {precision}: loss {} against {}, cosine {cosine}",
            there.loss, cpu.loss
        );
        assert!((there.loss / cpu.loss - 1.0).abs() < 0.05);
        assert!(cosine > least, "{precision}");
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn a_step_of_densenet121_agrees() {
    steps_agree(Architecture::Densenet121);
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn a_step_of_efficientnet_b0_agrees() {
    steps_agree(Architecture::EfficientnetB0);
}
