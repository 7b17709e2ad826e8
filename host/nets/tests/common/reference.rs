//! Networks of full size with weights that follow from their names, and torchvision's answers
//! to them (`tests/references/networks.json`, made by `networks.py` beside it).

use std::collections::BTreeMap;

use serde::Deserialize;

/// Side of the input pictures.
pub const SIDE: usize = 256;
const BLOCK: usize = 8;

/// Every network of the reference file, `densenet121` and `efficientnet-b0`, by name.
pub fn network(name: &str) -> Network {
    let mut all: BTreeMap<String, Network> =
        serde_json::from_str(include_str!("../references/networks.json")).unwrap();
    all.remove(name).unwrap()
}

/// One network: the tensors it is made of and what it answers.
#[derive(Deserialize)]
pub struct Network {
    /// Names and shapes of torchvision's state dict, in its order, without
    /// `num_batches_tracked`.
    pub tensors: Vec<(String, Vec<usize>)>,
    /// Answers to several inputs, in evaluation mode and computed in double precision.
    pub answers: Vec<Answer>,
    /// One training step in double precision on all the inputs, labelled 1 and 0, by batch
    /// statistics and with nothing dropped out.
    pub training: Training,
}

/// The results of one training step.
#[derive(Deserialize)]
pub struct Training {
    /// Mean binary cross entropy.
    pub loss: f64,
    /// Gradients by parameter name.
    pub gradients: BTreeMap<String, Gradient>,
    /// Running statistics after the step by name: their sum and their first value.
    pub statistics: BTreeMap<String, (f64, f64)>,
}

/// One parameter's gradient.
#[derive(Deserialize)]
pub struct Gradient {
    /// Its Euclidean norm.
    pub norm: f64,
    /// Some values by flat index, the largest among them.
    pub values: Vec<(usize, f64)>,
}

/// Torchvision's answer to one input.
#[derive(Deserialize)]
pub struct Answer {
    /// The input's name, to be given to [`picture`].
    pub input: String,
    /// One logit, or two of which index 1 is positive.
    pub logits: Vec<f64>,
    /// Shape of the last feature map: 1 x C x 8 x 8.
    pub features_shape: Vec<usize>,
    /// Sum over the last feature map (after the last ReLU or SiLU).
    pub features_sum: f64,
    /// Some values of the last feature map by flat index.
    pub features: Vec<(usize, f64)>,
    /// Grad-CAM by autograd, 8 x 8, divided by its peak.
    pub cam: Vec<f64>,
}

/// The value of a state-dict entry: norms near 1, offsets near 0, weights scaled by fan-in.
pub fn tensor(name: &str, shape: &[usize]) -> Vec<f32> {
    let values = uniform(name, shape.iter().product());
    if name.ends_with("running_var") || (name.ends_with("weight") && shape.len() == 1) {
        values.map(|u| (0.5 + u) as f32).collect()
    } else if name.ends_with("weight") {
        let bound = (6.0 / shape[1..].iter().product::<usize>() as f64).sqrt();
        values.map(|u| ((2.0 * u - 1.0) * bound) as f32).collect()
    } else {
        values.map(|u| ((2.0 * u - 1.0) * 0.1) as f32).collect()
    }
}

/// The value of one of Keras' tensors, by `layer/weight`; kernels have their outputs last.
pub fn keras_tensor(name: &str, shape: &[usize]) -> Vec<f32> {
    let values = uniform(name, shape.iter().product());
    if name.ends_with("gamma") || name.ends_with("moving_variance") {
        values.map(|u| (0.5 + u) as f32).collect()
    } else if name.ends_with("kernel") {
        let inputs: usize = shape[..shape.len() - 1].iter().product();
        let bound = (6.0 / inputs as f64).sqrt();
        values.map(|u| ((2.0 * u - 1.0) * bound) as f32).collect()
    } else {
        values.map(|u| ((2.0 * u - 1.0) * 0.1) as f32).collect()
    }
}

/// An input of 3 x 256 x 256: squares of 8 x 8 equal values in [-2, 2).
pub fn picture(name: &str) -> Vec<f32> {
    let squares = SIDE / BLOCK;
    let values: Vec<f32> = uniform(name, 3 * squares * squares)
        .map(|u| (4.0 * u - 2.0) as f32)
        .collect();
    let row = |channel, y| (channel * squares + y / BLOCK) * squares;
    (0..3)
        .flat_map(|channel| (0..SIDE).map(move |y| row(channel, y)))
        .flat_map(|row| (0..SIDE).map(move |x| row + x / BLOCK))
        .map(|at| values[at])
        .collect()
}

/// `count` values in [0, 1): FNV-1a of the name, then splitmix64 by index, upper 24 bits.
fn uniform(name: &str, count: usize) -> impl Iterator<Item = f64> {
    let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    (1..=count as u64).map(move |index| {
        let z = seed.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24)
    })
}
