//! The values of one step of an optimiser.

use candle_core::Tensor;

/// `average = decay average + share x`.
#[derive(Clone, Copy)]
pub struct Average {
    /// Factor of the average.
    pub decay: f64,
    /// Factor of the new value.
    pub share: f64,
}

impl Average {
    /// The running mean: the new value's share and the decay sum to one.
    pub fn running(decay: f64) -> Self {
        let share = 1.0 - decay;
        Self { decay, share }
    }
}

/// The rule by which one step updates parameters. First `g += weight_decay w` and `w *= keep`; then
/// `w -= rate mean / (sqrt(square_scale square) + epsilon)`, with the averages of `g` and `g^2`,
/// for a parameter that has no mean `g` itself, and undivided for one that has no square.
#[derive(Clone, Copy)]
pub struct OptimiserStep {
    /// Factor of the parameter.
    pub keep: f64,
    /// Factor of the parameter in its gradient.
    pub weight_decay: f64,
    /// Update of the mean of gradients.
    pub mean: Average,
    /// Update of the mean of squared gradients.
    pub square: Average,
    /// Factor of the squares.
    pub square_scale: f64,
    /// Step size.
    pub rate: f64,
    /// Summand that keeps the divisor from zero.
    pub epsilon: f64,
}

/// A parameter with its gradient and its optimiser state, all of one shape.
pub struct ParameterUpdate<'a> {
    /// The parameter to update, `f32`.
    pub parameter: &'a Tensor,
    /// Its gradient, contiguous.
    pub gradient: Tensor,
    /// The mean of gradients, updated too.
    pub mean: Option<&'a Tensor>,
    /// The mean of squared gradients, updated too.
    pub square: Option<&'a Tensor>,
}
