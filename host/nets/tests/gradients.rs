//! Every operation against a plain loop, and every gradient against finite differences, on odd
//! shapes.

use candle_core::{DType, Device, Result, Tensor, Var};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use plumbline_nets::ops::{
    Activation, DenseFeatures, Padding, Statistics, average_pool_2x2, batch_norm, conv2d,
    depthwise_conv2d, global_average_pool, linear, mask, max_pool_3x3, measure, relu,
    scale_channels, sigmoid, silu,
};
use plumbline_nets::{Mode, Precision, Traced, Training};

fn random(seed: u64, shape: &[usize]) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.iter().product::<usize>())
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Checks the gradients of `f` with respect to all `inputs` by central differences of a randomly
/// weighted sum of the output, at up to 40 elements of each.
fn check_gradients(inputs: &[Tensor], f: impl Fn(&[Traced]) -> Result<Traced>) {
    let vars: Vec<Var> = inputs
        .iter()
        .map(|x| Var::from_tensor(x).unwrap())
        .collect();
    let traced: Vec<Traced> = vars.iter().map(Traced::from).collect();
    let y = f(&traced).unwrap();
    let weights = random(99, y.dims());
    let gradients = y.backward_from(weights.clone()).unwrap();
    let total = |inputs: &[Tensor]| -> f64 {
        let y = values(f(&constants(inputs)).unwrap().value());
        let products = y
            .iter()
            .zip(values(&weights))
            .map(|(y, w)| f64::from(*y) * f64::from(w));
        products.sum()
    };
    for (index, var) in vars.iter().enumerate() {
        let gradient = values(gradients.get(var).unwrap());
        let base = values(&inputs[index]);
        let step = 1e-2f32;
        for at in (0..base.len()).step_by(base.len().div_ceil(40)) {
            let moved = |by: f32| {
                let mut changed = base.clone();
                changed[at] += by;
                let mut all = inputs.to_vec();
                all[index] =
                    Tensor::from_vec(changed, inputs[index].shape(), &Device::Cpu).unwrap();
                total(&all)
            };
            let difference = (moved(step) - moved(-step)) / f64::from(2.0 * step);
            let error = (difference - f64::from(gradient[at])).abs();
            assert!(
                error < 1e-2 * difference.abs().max(1.0),
                "input {index}, element {at}: {} against {difference}",
                gradient[at]
            );
        }
    }
}

fn constants(tensors: &[Tensor]) -> Vec<Traced> {
    tensors.iter().map(Traced::from).collect()
}

/// Grouped convolution by its definition, `padding` zeros above and left, as many places as
/// `ceil(size / stride)`.
fn plain_convolution(
    x: &Tensor,
    w: &Tensor,
    stride: usize,
    padding: (usize, usize),
    groups: usize,
) -> Vec<f32> {
    let (films, inputs, height, width) = x.dims4().unwrap();
    let (outputs, per_group, kernel, _) = w.dims4().unwrap();
    let (x, w) = (values(x), values(w));
    let out = |size: usize| size.div_ceil(stride);
    let mut y = Vec::new();
    for n in 0..films {
        for o in 0..outputs {
            for row in 0..out(height) {
                for column in 0..out(width) {
                    let mut sum = 0.0f64;
                    for i in 0..per_group {
                        let channel = o / (outputs / groups) * per_group + i;
                        for a in 0..kernel {
                            for b in 0..kernel {
                                let (r, c) = (row * stride + a, column * stride + b);
                                if r < padding.0 || c < padding.1 {
                                    continue;
                                }
                                let (r, c) = (r - padding.0, c - padding.1);
                                if r < height && c < width {
                                    let at = ((n * inputs + channel) * height + r) * width + c;
                                    let tap = ((o * per_group + i) * kernel + a) * kernel + b;
                                    sum += f64::from(x[at]) * f64::from(w[tap]);
                                }
                            }
                        }
                    }
                    y.push(sum as f32);
                }
            }
        }
    }
    y
}

fn assert_close(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    for (at, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() < 1e-4, "element {at}: {a} against {b}");
    }
}

/// Paddings above and left of maps of `height` x `width`, as PyTorch and TensorFlow document them.
fn paddings(
    (height, width): (usize, usize),
    kernel: usize,
    stride: usize,
) -> [(Padding, (usize, usize)); 2] {
    let half = kernel / 2;
    // Where the zeros cannot be shared evenly, the odd one goes right or below.
    let same = |size: usize| half - usize::from(stride == 2 && size.is_multiple_of(2));
    [
        (Padding::Symmetric, (half, half)),
        (Padding::Same, (same(height), same(width))),
    ]
}

#[test]
fn convolutions_follow_their_definition() {
    // (films, inputs, height, width, outputs, kernel, stride)
    let cases = [
        (5, 7, 6, 9, 5, 1, 1),
        (1, 3, 33, 40, 6, 1, 1),
        (5, 3, 5, 4, 6, 3, 1),
        (2, 5, 33, 35, 3, 3, 1),
        (2, 2, 9, 11, 3, 5, 1),
        (2, 3, 19, 22, 5, 7, 2),
        (3, 3, 10, 7, 4, 3, 2),
    ];
    for (films, inputs, height, width, outputs, kernel, stride) in cases {
        let x = random(1, &[films, inputs, height, width]);
        let w = random(2, &[outputs, inputs, kernel, kernel]);
        for (padding, before) in paddings((height, width), kernel, stride) {
            let y = conv2d(&(&x).into(), &(&w).into(), stride, padding, Precision::F32).unwrap();
            assert_close(
                &values(y.value()),
                &plain_convolution(&x, &w, stride, before, 1),
            );
            check_gradients(&[x.clone(), w.clone()], |t| {
                conv2d(&t[0], &t[1], stride, padding, Precision::F32)
            });
        }
    }
}

#[test]
fn depthwise_convolutions_follow_their_definition() {
    for (height, width, kernel, stride) in [
        (7, 9, 3, 1),
        (8, 6, 3, 2),
        (8, 7, 5, 2),
        (9, 7, 5, 2),
        (4, 4, 5, 1),
        (17, 33, 5, 1),
        (5, 5, 3, 2),
    ] {
        let x = random(3, &[3, 10, height, width]);
        let w = random(4, &[10, 1, kernel, kernel]);
        for (padding, before) in paddings((height, width), kernel, stride) {
            let y = depthwise_conv2d(&(&x).into(), &(&w).into(), stride, padding).unwrap();
            assert_close(
                &values(y.value()),
                &plain_convolution(&x, &w, stride, before, 10),
            );
            check_gradients(&[x.clone(), w.clone()], |t| {
                depthwise_conv2d(&t[0], &t[1], stride, padding)
            });
        }
    }
}

#[test]
fn batch_norm_normalises_and_differentiates() {
    let x = random(5, &[3, 4, 5, 7]);
    let (gamma, beta) = (random(6, &[4]), random(7, &[4]));
    let (ones, zeros) = (gamma.ones_like().unwrap(), gamma.zeros_like().unwrap());
    let batch = measure(&x, None).unwrap();
    let y = batch_norm(
        &(&x).into(),
        &(&ones).into(),
        &(&zeros).into(),
        Statistics::Batch(batch.clone(), None),
        0.0,
        Activation::Identity,
    )
    .unwrap();
    let y = y
        .value()
        .transpose(0, 1)
        .unwrap()
        .reshape((4, 105))
        .unwrap();
    let mean = y.mean(1).unwrap().to_vec1::<f32>().unwrap();
    let variance = y.sqr().unwrap().mean(1).unwrap().to_vec1::<f32>().unwrap();
    assert_close(&mean, &[0.0; 4]);
    assert_close(&variance, &[1.0; 4]);
    assert_eq!(batch.count, 105);
    for activation in [Activation::Identity, Activation::Silu, Activation::Relu] {
        for training in [true, false] {
            check_gradients(&[x.clone(), gamma.clone(), beta.clone()], |t| {
                let statistics = match training {
                    true => Statistics::Batch(measure(t[0].value(), None)?, None),
                    false => Statistics::Running(batch.clone()),
                };
                // A large epsilon keeps finite differences away from the kinks of small variances.
                batch_norm(&t[0], &t[1], &t[2], statistics, 0.1, activation)
            });
        }
    }
}

#[test]
fn pooling_and_channels_differentiate() {
    let x = random(8, &[2, 3, 7, 10]);
    let z = random(10, &[2, 3]);
    // Far apart, so that a small step never changes which element is the largest.
    let apart: Vec<f32> = (0..420).map(|i| (i * 97 % 420) as f32 / 10.0).collect();
    let apart = Tensor::from_vec(apart, (2, 3, 7, 10), &Device::Cpu).unwrap();
    check_gradients(&[apart], |t| max_pool_3x3(&t[0]));
    check_gradients(std::slice::from_ref(&x), |t| average_pool_2x2(&t[0]));
    check_gradients(std::slice::from_ref(&x), |t| global_average_pool(&t[0]));
    check_gradients(&[x, z], |t| scale_channels(&t[0], &t[1]));
}

#[test]
fn dense_layers_and_activations_differentiate() {
    let (x, weight, bias) = (random(15, &[5, 3]), random(16, &[4, 3]), random(17, &[4]));
    check_gradients(&[x.clone(), weight, bias], |t| linear(&t[0], &t[1], &t[2]));
    // No element is near ReLU's corner.
    let off_zero = x.affine(3.0, 0.1);
    check_gradients(&[off_zero.unwrap()], |t| relu(&t[0]));
    let one = std::slice::from_ref(&x);
    check_gradients(one, |t| silu(&t[0]));
    check_gradients(one, |t| sigmoid(&t[0]));
    check_gradients(one, |t| mask(&t[0], random(18, &[5, 3])));
    check_gradients(one, |t| t[0].add(&t[0]));
}

#[test]
fn max_pool_takes_the_largest_of_each_window() {
    let x = Tensor::arange(0f32, 20.0, &Device::Cpu)
        .unwrap()
        .reshape((1, 1, 4, 5))
        .unwrap();
    let y = max_pool_3x3(&(&x).into()).unwrap();
    assert_eq!(y.dims(), [1, 1, 2, 3]);
    assert_eq!(values(y.value()), [6.0, 8.0, 9.0, 16.0, 18.0, 19.0]);
    let all_negative = max_pool_3x3(&(&(x - 100.0).unwrap()).into()).unwrap();
    assert_eq!(values(all_negative.value())[0], -94.0);
}

#[test]
fn dense_features_are_their_parts_joined() {
    let parts = [1, 3, 2].map(|channels| random(10 + channels as u64, &[2, channels, 3, 5]));
    let whole = Tensor::cat(&parts, 1).unwrap();
    let mode = Mode::Training(Training::default());
    let mut maps = DenseFeatures::new(&(&parts[0]).into(), 6, &mode).unwrap();
    for (more, channels) in [(&parts[1], 4), (&parts[2], 6)] {
        maps.push(&more.into()).unwrap();
        let there = whole.narrow(1, 0, channels).unwrap();
        assert_eq!(values(maps.maps().value()), values(&there));
        let Ok(Some(Statistics::Batch(grown, None))) = maps.statistics() else {
            panic!("the maps were not measured");
        };
        let batch = measure(&there, None).unwrap();
        assert_eq!(values(&grown.mean), values(&batch.mean));
        assert_eq!(values(&grown.variance), values(&batch.variance));
        assert_eq!(grown.count, batch.count);
    }
    assert!(maps.push(&(&parts[0]).into()).is_err());
    let evaluation = DenseFeatures::new(&(&parts[0]).into(), 6, &Mode::Evaluation).unwrap();
    assert!(evaluation.statistics().unwrap().is_none());
}

#[test]
fn dense_features_differentiate() {
    let (x, y) = (random(14, &[2, 3, 4, 5]), random(15, &[2, 2, 4, 5]));
    // As in a dense block, what is added was read from what was there.
    check_gradients(&[x, y], |t| {
        let mut maps = DenseFeatures::new(&t[0], 10, &Mode::Evaluation)?;
        maps.push(&t[1])?;
        maps.push(&silu(maps.maps())?)?;
        Ok(maps.maps().clone())
    });
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let of = |shape: &[usize]| Traced::from(&random(13, shape));
    let x = of(&[1, 3, 4, 4]);
    let same = Padding::Same;
    assert!(conv2d(&x, &of(&[2, 4, 3, 3]), 1, same, Precision::F32).is_err());
    assert!(conv2d(&x, &of(&[2, 3, 4, 4]), 2, same, Precision::F32).is_err());
    assert!(depthwise_conv2d(&x, &of(&[3, 1, 7, 7]), 1, same).is_err());
    let mut maps = DenseFeatures::new(&x, 5, &Mode::Evaluation).unwrap();
    assert!(maps.push(&of(&[1, 2, 4, 5])).is_err());
    assert!(scale_channels(&x, &of(&[1, 4])).is_err());
}

#[test]
fn empty_batches_are_refused() {
    let of =
        |shape: &[usize]| Traced::from(&Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap());
    for shape in [[0, 3, 4, 4], [2, 3, 0, 4], [2, 3, 4, 0]] {
        let x = of(&shape);
        let dense = |stride| {
            let weight = of(&[2, 3, 3, 3]);
            conv2d(&x, &weight, stride, Padding::Symmetric, Precision::F32)
        };
        let results = [
            ("convolution", dense(1)),
            ("strided convolution", dense(2)),
            (
                "depthwise",
                depthwise_conv2d(&x, &of(&[3, 1, 3, 3]), 1, Padding::Same),
            ),
            ("max pool", max_pool_3x3(&x)),
            ("average pool", average_pool_2x2(&x)),
            ("global average", global_average_pool(&x)),
            ("scale", scale_channels(&x, &of(&[shape[0], 3]))),
        ];
        for (name, result) in results {
            let error = result.err().map(|error| error.to_string());
            let told = error.is_some_and(|error| error.contains("give at least one film"));
            assert!(told, "{name} of {shape:?}");
        }
        assert!(measure(x.value(), None).is_err());
    }
    // Kernels without outputs or inputs.
    let x = of(&[1, 3, 4, 4]);
    let none = conv2d(&x, &of(&[0, 3, 3, 3]), 1, Padding::Same, Precision::F32);
    assert!(none.is_err());
}
