//! The gate's network against PyTorch's, from the same weights (`references/gate.json`, made by
//! `gate.py` beside it).

mod common;

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use common::reference::{self, Gradient};
use plumbline_nets::ops::Loss;
use plumbline_nets::{Mode, Network, Parameters, Training, gate};
use plumbline_shared::architecture::Architecture;
use plumbline_shared::clinical::Refusal;
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    tensors: Vec<(String, Vec<usize>)>,
    answers: Vec<Answer>,
    loss: f64,
    gradients: BTreeMap<String, Gradient>,
}

#[derive(Deserialize)]
struct Answer {
    input: String,
    logits: Vec<f64>,
    features: Vec<(usize, f64)>,
}

fn expected() -> Expected {
    serde_json::from_str(include_str!("references/gate.json")).unwrap()
}

/// The network with the reference's weights.
fn network(expected: &Expected) -> (Network, Parameters) {
    let mut parameters = Parameters::new(&Device::Cpu, 0);
    let network = Network::new(Architecture::Gate, &mut parameters).unwrap();
    assert_eq!(parameters.tensors().len(), expected.tensors.len());
    parameters
        .restore(&mut |name| {
            let (_, shape) = expected.tensors.iter().find(|(other, _)| other == name)?;
            let values = reference::tensor(name, shape);
            Tensor::from_vec(values, shape.as_slice(), &Device::Cpu).ok()
        })
        .unwrap();
    (network, parameters)
}

fn inputs(expected: &Expected) -> Tensor {
    let pictures: Vec<f32> = expected
        .answers
        .iter()
        .flat_map(|answer| reference::picture(&answer.input))
        .collect();
    let shape = (expected.answers.len(), 3, reference::SIDE, reference::SIDE);
    Tensor::from_vec(pictures, shape, &Device::Cpu).unwrap()
}

fn assert_near(got: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (got - expected).abs() / expected.abs().max(1.0);
    assert!(error <= tolerance, "{what}: {got} against {expected}");
}

#[test]
fn answers_are_pytorch_s() {
    let expected = expected();
    let (network, _) = network(&expected);
    let output = network
        .forward(&inputs(&expected), &mut Mode::Evaluation)
        .unwrap();
    assert_eq!(output.features.dims(), [2, 128, 8, 8]);
    let logits = output.logits.value().to_vec2::<f32>().unwrap();
    let features = output.features.value().flatten_from(1).unwrap();
    let features = features.to_vec2::<f32>().unwrap();
    for (film, answer) in expected.answers.iter().enumerate() {
        assert_eq!(answer.logits.len(), Refusal::ALL.len());
        for (got, logit) in logits[film].iter().zip(&answer.logits) {
            assert_near(f64::from(*got), *logit, 1e-4, "logit");
        }
        for (at, value) in &answer.features {
            assert_near(f64::from(features[film][*at]), *value, 1e-4, "feature");
        }
    }
}

#[test]
fn gradients_are_pytorch_s() {
    let expected = expected();
    let (network, parameters) = network(&expected);
    let output = network
        .forward(&inputs(&expected), &mut Mode::Training(Training::default()))
        .unwrap();
    let mut targets = vec![0f32; 2 * Refusal::ALL.len()];
    targets[3] = 1.0;
    targets[Refusal::ALL.len() + 7] = 1.0;
    let targets = Tensor::from_vec(targets, (2, Refusal::ALL.len()), &Device::Cpu).unwrap();
    let loss = Loss::default().of(&output.logits, &targets).unwrap();
    let value = loss.value().to_scalar::<f32>().unwrap();
    assert_near(f64::from(value), expected.loss, 1e-4, "loss");
    let gradients = loss.backward().unwrap();
    assert_eq!(parameters.trainable().count(), expected.gradients.len());
    for (name, parameter) in parameters.trainable() {
        let expected = &expected.gradients[name];
        let gradient = gradients.get(parameter).unwrap().flatten_all().unwrap();
        let gradient: Vec<f64> = gradient.to_dtype(DType::F64).unwrap().to_vec1().unwrap();
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let values = expected.values.iter();
        let errors = values.map(|(at, value)| (gradient[*at] - value).abs());
        let error = errors.fold((norm - expected.norm).abs(), f64::max);
        let relative = error / expected.norm.max(1e-3);
        assert!(relative <= 5e-3, "{name}: off by {relative}");
    }
}

#[test]
fn a_film_of_half_the_side_is_read_as_it_is() {
    let expected = expected();
    let (network, parameters) = network(&expected);
    let whole = inputs(&expected);
    let halved = whole.avg_pool2d(2).unwrap();
    assert_eq!(halved.dims()[2], gate::SIDE);
    let logits = |x: &Tensor| {
        let output = network.forward(x, &mut Mode::Evaluation).unwrap();
        output.logits.value().to_vec2::<f32>().unwrap()
    };
    for (a, b) in logits(&whole).concat().iter().zip(logits(&halved).concat()) {
        assert!((a - b).abs() < 1e-4);
    }
    assert_eq!(parameters.trainable_count(), 291_664 + 128 * 12 + 12);
}
