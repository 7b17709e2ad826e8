//! Optimisers and losses against PyTorch's, and whole trainings.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor, Var};
use plumbline_host::train::{Algorithm, Loss, Optimiser, Rule};
use serde::Deserialize;

/// What `references/training.py` wrote.
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
            // The gradient of the sum of parameter times gradient.
            let gradient = Tensor::new(gradient.as_slice(), &Device::Cpu).unwrap();
            let product = parameter.as_tensor().mul(&gradient).unwrap();
            let gradients = product.sum_all().unwrap().backward().unwrap();
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
            let logit = Var::new(reference.logit.as_slice(), &Device::Cpu).unwrap();
            let value = loss
                .of(
                    &logit.reshape(shape.as_slice()).unwrap(),
                    &label.reshape(shape.as_slice()).unwrap(),
                )
                .unwrap();
            let got: f32 = value.to_scalar().unwrap();
            assert!((got / answer.loss - 1.0).abs() < 1e-5, "{name}: {got}");
            let gradients = value.backward().unwrap();
            let gradient: Vec<f32> = gradients.get(&logit).unwrap().to_vec1().unwrap();
            for (got, expected) in gradient.iter().zip(&answer.gradient) {
                assert!((got - expected).abs() < 1e-6, "{name}: {gradient:?}");
            }
        }
    }
    assert_eq!(reference.answers.len(), 4);
}
