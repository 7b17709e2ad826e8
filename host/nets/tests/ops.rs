//! Every operation of the networks against PyTorch's, on odd shapes.

use std::collections::BTreeMap;

use candle_core::{Device, Result, Tensor, Var};
use plumbline_nets::layers::SqueezeExcitation;
use plumbline_nets::ops::{self, Activation, BatchStatistics, DenseFeatures, Padding, Statistics};
use plumbline_nets::{Mode, Parameters, Precision, Traced};
use serde::Deserialize;

/// One case of `references/ops.py`.
#[derive(Deserialize)]
struct Case {
    shapes: Vec<Vec<usize>>,
    output: Vec<usize>,
    /// The output, then the gradient of each input.
    values: Vec<Vec<f32>>,
}

fn cases() -> BTreeMap<String, Case> {
    serde_json::from_str(include_str!("references/ops.json")).unwrap()
}

/// `sin(start + 1.3 k)` at element `k`, as the reference has it.
fn wave(start: f64, shape: &[usize]) -> Tensor {
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|k: usize| (start + 1.3 * k as f64).sin() as f32)
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

impl Case {
    fn inputs(&self) -> Vec<Tensor> {
        let starts = (0..self.shapes.len()).map(|input| 1.0 + 7.0 * input as f64);
        let inputs = starts.zip(&self.shapes);
        inputs.map(|(start, shape)| wave(start, shape)).collect()
    }

    /// Holds `f`'s output and gradients to PyTorch's.
    fn check(&self, name: &str, f: impl Fn(&[Traced]) -> Result<Traced>) {
        let inputs = self.inputs().into_iter();
        let inputs: Vec<Var> = inputs.map(|x| Var::from_tensor(&x).unwrap()).collect();
        let traced: Vec<Traced> = inputs.iter().map(Traced::from).collect();
        self.hold(name, &inputs, f(&traced).unwrap());
    }

    /// The same of the layer, whose parameters are its own.
    fn check_squeeze_excitation(&self, name: &str) {
        let mut parameters = Parameters::blank(&Device::Cpu);
        let layer = SqueezeExcitation::new(&mut parameters, "se", 3, 2).unwrap();
        let names = [
            "se.fc1.weight",
            "se.fc1.bias",
            "se.fc2.weight",
            "se.fc2.bias",
        ];
        let mut inputs = self.inputs();
        let named: BTreeMap<_, _> = names.into_iter().zip(inputs.split_off(1)).collect();
        parameters
            .restore(&mut |name| named.get(name).cloned())
            .unwrap();
        let own: BTreeMap<_, _> = parameters.trainable().collect();
        let mut vars = vec![Var::from_tensor(&inputs[0]).unwrap()];
        vars.extend(names.map(|name| own[name].clone()));
        self.hold(name, &vars, layer.forward(&Traced::from(&vars[0])).unwrap());
    }

    fn hold(&self, name: &str, inputs: &[Var], y: Traced) {
        assert_eq!(y.dims(), self.output, "{name}");
        let gradients = y.backward_from(wave(100.0, y.dims())).unwrap();
        let mut got = vec![y.value().clone()];
        got.extend(inputs.iter().map(|var| gradients.get(var).unwrap().clone()));
        assert_eq!(got.len(), self.values.len(), "{name}");
        for (index, (got, expected)) in got.iter().zip(&self.values).enumerate() {
            let got = got.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(got.len(), expected.len(), "{name}, {index}");
            let largest = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
            for (got, expected) in got.iter().zip(expected) {
                assert!(
                    (got - expected).abs() < 1e-5 * largest,
                    "{name}, {index}: {got} against {expected}"
                );
            }
        }
    }
}

#[test]
fn operations_are_pytorch_s() {
    let running = BatchStatistics {
        mean: Tensor::new(&[0.1f32, -0.2, 0.3], &Device::Cpu).unwrap(),
        variance: Tensor::new(&[0.5f32, 1.0, 2.0], &Device::Cpu).unwrap(),
        count: 1,
    };
    let mut checked = 0;
    for (name, case) in cases() {
        let words: Vec<&str> = name.split(' ').collect();
        let number = |at: usize| words[at].parse().unwrap();
        match words[..] {
            ["convolution", ..] => case.check(&name, |t| {
                ops::conv2d(&t[0], &t[1], number(2), Padding::Symmetric, Precision::F32)
            }),
            ["depthwise", ..] => case.check(&name, |t| {
                ops::depthwise_conv2d(&t[0], &t[1], number(2), Padding::Symmetric)
            }),
            ["batch", "norm", activation, mode] => {
                let activation = match activation {
                    "identity" => Activation::Identity,
                    "relu" => Activation::Relu,
                    _ => Activation::Silu,
                };
                case.check(&name, |t| {
                    let statistics = match mode {
                        "training" => Statistics::Batch(ops::measure(t[0].value(), None)?, None),
                        _ => Statistics::Running(running.clone()),
                    };
                    ops::batch_norm(&t[0], &t[1], &t[2], statistics, 1e-3, activation)
                });
            }
            ["max", "pool"] => case.check(&name, |t| ops::max_pool_3x3(&t[0])),
            ["average", "pool"] => case.check(&name, |t| ops::average_pool_2x2(&t[0])),
            ["global", "average"] => case.check(&name, |t| ops::global_average_pool(&t[0])),
            ["concatenation"] => case.check(&name, |t| {
                let channels = t[0].dim(1)? + t[1].dim(1)?;
                let mut maps = DenseFeatures::new(&t[0], channels, &Mode::Evaluation)?;
                maps.push(&t[1])?;
                Ok(maps.maps().clone())
            }),
            ["squeeze", ..] => case.check_squeeze_excitation(&name),
            _ => panic!("{name} is not known"),
        }
        checked += 1;
    }
    assert_eq!(checked, 20);
}
