//! Gradients by a network's input and by the maps of its inner layers, against finite differences.

use candle_core::{DType, Device, Result, Tensor};
use plumbline_nets::{Head, Input, Layer, Mode, Network, Parameters, Traced, Variant};
use plumbline_shared::architecture::Architecture;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SIDE: usize = 32;

fn random(seed: u64, shape: &[usize]) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn network(architecture: Architecture, input: Input) -> Network {
    let variant = Variant {
        input,
        ..Variant::default()
    };
    let mut parameters = Parameters::new(&Device::Cpu, 3);
    Network::build(architecture, variant, Head::Study, &mut parameters).unwrap()
}

fn films() -> Tensor {
    random(1, &[2, 3, SIDE, SIDE])
}

/// The sum of products, in double precision.
fn product(a: &Tensor, b: &Tensor) -> f64 {
    let [a, b] = [a, b].map(|tensor| tensor.to_dtype(DType::F64).unwrap());
    let products = (a * b).unwrap().sum_all().unwrap();
    products.to_scalar().unwrap()
}

/// Checks `gradient`, that of the sum of `f` weighted by `weights`, at `x`: along the part of it
/// that `mask` keeps, the value rises by as much as the gradient says.
fn check(
    name: &str,
    x: &Tensor,
    gradient: &Tensor,
    mask: &Tensor,
    weights: &Tensor,
    f: impl Fn(&Tensor) -> Result<Traced>,
) {
    let direction = gradient.broadcast_mul(mask).unwrap();
    let norm = product(&direction, &direction).sqrt();
    assert!(
        norm > 0.0 && norm.is_finite(),
        "{name}: a gradient of {norm}"
    );
    let direction = (direction / norm).unwrap();
    let size = product(x, x).sqrt();
    let value = |factor: f64| {
        let moved = (x + (&direction * factor).unwrap()).unwrap();
        product(f(&moved).unwrap().value(), weights)
    };
    // A long step sees the curvature of gates, a short one the rounding.
    let errors = [2e-3, 4e-4, 8e-5].map(|step| {
        let step = step * size;
        let quotient = (value(step) - value(-step)) / (2.0 * step);
        (quotient / norm - 1.0).abs()
    });
    let least = errors.into_iter().fold(f64::INFINITY, f64::min);
    assert!(least < 0.03, "{name}: {norm} is off by {errors:?}");
}

/// The channels of `count` that `kept` names, to multiply maps by.
fn channels(count: usize, kept: impl Fn(usize) -> bool) -> Tensor {
    let mask = (0..count).map(|channel| f32::from(u8::from(kept(channel))));
    let mask = Tensor::from_iter(mask, &Device::Cpu).unwrap();
    mask.reshape((1, count, 1, 1)).unwrap()
}

fn gradients_reach_the_film(architecture: Architecture) {
    for input in [Input::Imagenet, Input::SignedUnit, Input::OneChannel1024] {
        let network = network(architecture, input);
        let x = films();
        let f = |x: &Tensor| network.features(x, &mut Mode::Evaluation);
        let y = network
            .features(Traced::leaf(&x), &mut Mode::Evaluation)
            .unwrap();
        let weights = random(2, y.dims());
        let gradients = y.backward_from(weights.clone()).unwrap();
        let gradient = gradients.get(&x).expect("a gradient by the film");
        assert_eq!(gradient.dims(), x.dims());
        for channel in 0..3 {
            let mask = channels(3, |other| other == channel);
            let name = format!("{architecture}, {input:?}, channel {channel}");
            if channel < input.channels() {
                check(&name, &x, gradient, &mask, &weights, f);
            } else {
                let unread = gradient.broadcast_mul(&mask).unwrap();
                assert_eq!(product(&unread, &unread), 0.0, "{name}");
            }
        }
    }
}

fn gradients_reach_inner_layers(architecture: Architecture) {
    let network = network(architecture, Input::SignedUnit);
    let mode = || Mode::Evaluation;
    let x = films();
    let whole = network.features(Traced::leaf(&x), &mut mode()).unwrap();
    let weights = random(2, whole.dims());
    let of_film = whole.backward_from(weights.clone()).unwrap();
    for &layer in network.layers() {
        let name = format!("{architecture}, {layer}");
        let until = network.features_until(layer, Traced::leaf(&x), &mut mode());
        let until = until.unwrap();
        let maps = until.value();
        let rest = network.features_from(layer, Traced::leaf(maps), &mut mode());
        let rest = rest.unwrap();
        let difference = (rest.value() - whole.value()).unwrap();
        assert_eq!(product(&difference, &difference), 0.0, "{name}");

        let gradients = rest.backward_from(weights.clone()).unwrap();
        let gradient = gradients.get(maps).expect("a gradient by the maps");
        let all = channels(maps.dim(1).unwrap(), |_| true);
        check(&name, maps, gradient, &all, &weights, |maps| {
            network.features_from(layer, maps, &mut mode())
        });

        // The rest of the way back to the film.
        let chained = until.backward_from(gradient.clone()).unwrap();
        let (chained, expected) = (chained.get(&x).unwrap(), of_film.get(&x).unwrap());
        let difference = (chained - expected).unwrap();
        let error = product(&difference, &difference) / product(expected, expected);
        assert!(error < 1e-10, "{name}: {error}");
    }
}

#[test]
fn gradients_reach_the_film_of_densenet121() {
    gradients_reach_the_film(Architecture::Densenet121);
}

#[test]
fn gradients_reach_the_film_of_efficientnet_b0() {
    gradients_reach_the_film(Architecture::EfficientnetB0);
}

#[test]
fn gradients_reach_inner_layers_of_densenet121() {
    gradients_reach_inner_layers(Architecture::Densenet121);
}

#[test]
fn gradients_reach_inner_layers_of_efficientnet_b0() {
    gradients_reach_inner_layers(Architecture::EfficientnetB0);
}

#[test]
fn layers_of_the_other_network_are_refused() {
    let densenet = network(Architecture::Densenet121, Input::Imagenet);
    for layer in [Layer::Stage(1), Layer::Transition(4), Layer::DenseBlock(0)] {
        let refused = densenet.features_until(layer, &films(), &mut Mode::Evaluation);
        let refused = refused.err().unwrap().to_string();
        assert!(refused.contains(&layer.to_string()), "{refused}");
    }
    let layers = densenet.layers();
    assert_eq!(layers.len(), 2 + 4 + 3 + 1);
    assert_eq!(layers[layers.len() - 2], Layer::DenseBlock(4));
}
