//! Both networks against torchvision's, from the same weights.

mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::reference;
use plumbline_nets::ops::Loss;
use plumbline_nets::{Head, Mode, Network, Parameters, Traced, Training};
use plumbline_shared::architecture::Architecture;
use plumbline_shared::gradcam::grad_cam;

const SIDE: usize = reference::SIDE;

/// The network with the reference's weights.
fn network(architecture: Architecture) -> (Network, Parameters, reference::Network) {
    let expected = reference::network(architecture.name());
    let mut parameters = Parameters::new(&Device::Cpu, 0);
    let network = Network::new(architecture, &mut parameters).unwrap();
    assert_eq!(parameters.tensors().len(), expected.tensors.len());
    parameters
        .restore(&mut |name| {
            let (_, shape) = expected.tensors.iter().find(|(other, _)| other == name)?;
            let values = reference::tensor(name, shape);
            Tensor::from_vec(values, shape.as_slice(), &Device::Cpu).ok()
        })
        .unwrap();
    (network, parameters, expected)
}

fn inputs(expected: &reference::Network) -> Tensor {
    let pictures: Vec<Tensor> = expected
        .answers
        .iter()
        .map(|answer| {
            let picture = reference::picture(&answer.input);
            Tensor::from_vec(picture, (1, 3, SIDE, SIDE), &Device::Cpu).unwrap()
        })
        .collect();
    Tensor::cat(&pictures, 0).unwrap()
}

fn assert_near(got: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (got - expected).abs() / expected.abs().max(1.0);
    assert!(error <= tolerance, "{what}: {got} against {expected}");
}

fn forward_is_torchvision_s(architecture: Architecture) {
    let (network, _, expected) = network(architecture);
    let output = network
        .forward(&inputs(&expected), &mut Mode::Evaluation)
        .unwrap();
    let logits = output.logits.value().to_vec2::<f32>().unwrap();
    for (film, answer) in expected.answers.iter().enumerate() {
        for (got, logit) in logits[film].iter().zip(&answer.logits) {
            assert_near(f64::from(*got), *logit, 1e-4, "logit");
        }
        let features = output
            .features
            .value()
            .get(film)
            .unwrap()
            .flatten_all()
            .unwrap();
        let features = features.to_vec1::<f32>().unwrap();
        for (at, value) in &answer.features {
            assert_near(f64::from(features[*at]), *value, 1e-4, "feature");
        }
    }
}

/// Not-a-number in one film reaches that film's logits, and in training its batch's: no ReLU and no
/// maximum swallows it, so that divergence shows in the loss.
fn not_a_number_stays(architecture: Architecture) {
    let (network, _, expected) = network(architecture);
    let films = inputs(&expected).narrow(0, 0, 2).unwrap();
    let films = films.contiguous().unwrap();
    let mut pixels = films.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    pixels[3 * SIDE * SIDE + SIDE + 1] = f32::NAN;
    let films = Tensor::from_vec(pixels, films.shape(), &Device::Cpu).unwrap();
    let lost = |mode: &mut Mode| -> Vec<bool> {
        let logits = network.forward(&films, mode).unwrap().logits;
        let logits = logits.value().to_vec2::<f32>().unwrap();
        let all = |film: &Vec<f32>| film.iter().all(|logit| logit.is_nan());
        logits.iter().map(all).collect()
    };
    assert_eq!(lost(&mut Mode::Evaluation), [false, true]);
    assert_eq!(lost(&mut Mode::Training(Training::default())), [true, true]);
}

fn gradients_are_pytorch_s(architecture: Architecture) {
    let (network, parameters, expected) = network(architecture);
    let x = inputs(&expected);
    let output = network
        .forward(&x, &mut Mode::Training(Training::default()))
        .unwrap();
    let label = Tensor::new(&[1f32, 0.0], &Device::Cpu).unwrap();
    let loss = Loss::default()
        .of(&output.logit().unwrap(), &label)
        .unwrap();
    assert_near(
        f64::from(loss.value().to_scalar::<f32>().unwrap()),
        expected.training.loss,
        1e-4,
        "loss",
    );
    let gradients = loss.backward().unwrap();
    assert_eq!(
        parameters.trainable().count(),
        expected.training.gradients.len()
    );
    let mut rough = 0;
    for (name, parameter) in parameters.trainable() {
        let expected = &expected.training.gradients[name];
        let gradient = gradients.get(parameter).unwrap().flatten_all().unwrap();
        let gradient: Vec<f64> = gradient.to_dtype(DType::F64).unwrap().to_vec1().unwrap();
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let values = expected
            .values
            .iter()
            .map(|(at, value)| (gradient[*at] - value).abs());
        let error = values.fold((norm - expected.norm).abs(), f64::max);
        // A bias before another batch norm has no gradient but rounding.
        let relative = error / expected.norm.max(1e-3);
        assert!(
            relative <= 1e-2,
            "{name}: off by {error} of {}",
            expected.norm
        );
        rough += usize::from(relative > 1e-3);
    }
    // Where a ReLU's input is all but zero, single precision may fall on its other side: PyTorch's
    // own single-precision pass is off its double-precision one by up to 5e-3 in a few parameters.
    let most = parameters.trainable().count() / 10;
    assert!(
        rough <= most,
        "{rough} parameters are off by more than 1e-3"
    );
    let tensors = parameters.tensors();
    for (name, (sum, first)) in &expected.training.statistics {
        let values = tensors[name].to_vec1::<f32>().unwrap();
        assert_near(f64::from(values[0]), *first, 1e-4, name);
        let got: f64 = values.iter().map(|v| f64::from(*v)).sum();
        assert_near(got, *sum, 1e-4, name);
    }
}

/// Grad-CAM by automatic differentiation, divided by its peak.
fn grad_cam_by_differentiation(network: &Network, features: &Tensor) -> Vec<f32> {
    let features = Var::from_tensor(&features.detach()).unwrap();
    let traced = Traced::from(&features);
    let logits = network.head(&traced, &mut Mode::Evaluation).unwrap();
    let logit = plumbline_nets::logit(&logits).unwrap();
    let gradients = logit.backward().unwrap();
    let weights = gradients
        .get(&features)
        .unwrap()
        .mean_keepdim((2, 3))
        .unwrap();
    let map = features.broadcast_mul(&weights).unwrap().sum(1).unwrap();
    let map = map
        .relu()
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1::<f32>()
        .unwrap();
    let peak = map.iter().copied().fold(0.0, f32::max);
    map.iter().map(|value| value / peak).collect()
}

fn grad_cam_is_the_same_three_ways(architecture: Architecture) {
    let (network, parameters, expected) = network(architecture);
    let x = inputs(&expected);
    let features = network.features(&x, &mut Mode::Evaluation).unwrap();
    let head = Head::Study.grad_cam(architecture, &parameters).unwrap();
    for (film, answer) in expected.answers.iter().enumerate() {
        let features = features.value().narrow(0, film, 1).unwrap();
        let differentiated = grad_cam_by_differentiation(&network, &features);
        let values = features.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let closed = grad_cam(&head, &values, 8, 8).values;
        for ((a, b), expected) in differentiated.iter().zip(closed).zip(&answer.cam) {
            assert!((a - b).abs() <= 1e-4, "differentiated {a}, closed form {b}");
            assert!(
                (f64::from(*a) - expected).abs() <= 1e-4,
                "differentiated {a}, PyTorch {expected}"
            );
        }
    }
}

#[test]
fn densenet121_grad_cam() {
    grad_cam_is_the_same_three_ways(Architecture::Densenet121);
}

#[test]
fn efficientnet_b0_grad_cam() {
    grad_cam_is_the_same_three_ways(Architecture::EfficientnetB0);
}

#[test]
fn densenet121_keeps_not_a_number() {
    not_a_number_stays(Architecture::Densenet121);
}

#[test]
fn efficientnet_b0_keeps_not_a_number() {
    not_a_number_stays(Architecture::EfficientnetB0);
}

#[test]
fn densenet121_forward() {
    forward_is_torchvision_s(Architecture::Densenet121);
}

#[test]
fn efficientnet_b0_forward() {
    forward_is_torchvision_s(Architecture::EfficientnetB0);
}

#[test]
fn densenet121_gradients() {
    gradients_are_pytorch_s(Architecture::Densenet121);
}

#[test]
fn efficientnet_b0_gradients() {
    gradients_are_pytorch_s(Architecture::EfficientnetB0);
}

#[test]
fn parameter_counts_are_the_study_s() {
    for (architecture, all) in [
        (Architecture::EfficientnetB0, 4_729_342),
        (Architecture::Densenet121, 6_954_881),
    ] {
        let mut parameters = Parameters::new(&Device::Cpu, 0);
        let network = Network::new(architecture, &mut parameters).unwrap();
        assert_eq!(parameters.trainable_count(), all);
        if architecture == Architecture::Densenet121 {
            let last = network.last_layer(&parameters);
            let count: usize = last.iter().map(|(_, var)| var.elem_count()).sum();
            assert_eq!(count, 1_025);
        }
    }
}
