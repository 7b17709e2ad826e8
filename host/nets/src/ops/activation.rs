//! Activations on slices, fused with the scale and shift before them.

use super::vectorised::vectorised;

/// The function that is applied after the normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The value itself.
    Identity,
    /// `max(z, 0)`.
    Relu,
    /// `z / (1 + exp(-z))`, also called swish.
    Silu,
}

/// ReLU; not-a-number stays what it is, so that divergence shows in the loss.
#[inline(always)]
pub fn rectified(z: f32) -> f32 {
    if z < 0.0 { 0.0 } else { z }
}

vectorised! {
    /// `y = activation(x scale + shift)`.
    pub fn apply(activation: Activation, x: &[f32], scale: f32, shift: f32, y: &mut [f32]) {
        match activation {
            Activation::Identity => {
                for (y, x) in y.iter_mut().zip(x) {
                    *y = x * scale + shift;
                }
            }
            Activation::Relu => {
                for (y, x) in y.iter_mut().zip(x) {
                    *y = rectified(x * scale + shift);
                }
            }
            Activation::Silu => {
                for (y, x) in y.iter_mut().zip(x) {
                    let z = x * scale + shift;
                    *y = z * logistic(z);
                }
            }
        }
    }
}

vectorised! {
    /// The gradient before the activation of [`apply`], from the one after it.
    pub fn before_activation(
        activation: Activation,
        x: &[f32],
        y_gradient: &[f32],
        scale: f32,
        shift: f32,
        gradient: &mut [f32],
    ) {
        match activation {
            Activation::Identity => gradient.copy_from_slice(y_gradient),
            Activation::Relu => {
                for ((gradient, x), y) in gradient.iter_mut().zip(x).zip(y_gradient) {
                    *gradient = if x * scale + shift > 0.0 { *y } else { 0.0 };
                }
            }
            Activation::Silu => {
                for ((gradient, x), y) in gradient.iter_mut().zip(x).zip(y_gradient) {
                    let z = x * scale + shift;
                    let s = logistic(z);
                    *gradient = y * s * (1.0 + z * (1.0 - s));
                }
            }
        }
    }
}

/// `1 / (1 + exp(-z))`, branch-free so that it vectorises.
///
/// `exp` is reduced to `2^k 2^f`, `|f| <= 1/2`, with the Taylor polynomial of degree 7 for `2^f`:
/// relative error below 2e-7 in `f32`.
#[inline(always)]
fn logistic(z: f32) -> f32 {
    // Adding and taking away 1.5 * 2^23 rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let t = (-z).clamp(-87.0, 87.0) * std::f32::consts::LOG2_E;
    let rounded = t + ROUND;
    let whole = rounded - ROUND;
    let f = (t - whole) * std::f32::consts::LN_2;
    let mut power = 1.0 / 5040.0;
    for coefficient in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        power = power * f + coefficient;
    }
    // The integer stands in the lowest bits of `rounded`; in the exponent it makes 2^k.
    let scale = f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
    1.0 / (1.0 + power * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logistic_agrees_with_the_library_function() {
        for i in -20_000..=20_000 {
            let z = i as f32 * 0.005;
            let exact = 1.0 / (1.0 + (-f64::from(z)).exp());
            let relative = (f64::from(logistic(z)) - exact).abs() / exact.max(1e-30);
            // Past 40 the argument itself, rounded to f32, carries the error.
            assert!(
                relative < 1e-6 * f64::from(z.abs().max(1.0)),
                "at {z}: {relative}"
            );
        }
    }
}
