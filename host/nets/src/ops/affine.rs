//! A normalisation as a line for each channel, and its gradient.

use candle_core::{Result, bail};

use super::statistics::ChannelStatistics;
use super::vectorised::{LANES, vectorised};

/// A normalisation as `x scale + shift`, for each channel.
pub struct Affine<'a> {
    pub mean: &'a [f32],
    /// One over the deviation.
    pub inverse: Vec<f32>,
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
}

impl<'a> Affine<'a> {
    /// The lines of channels with these statistics, scales `gamma` and shifts `beta`.
    ///
    /// # Errors
    /// If the sizes differ.
    pub fn new(
        statistics: &'a ChannelStatistics,
        epsilon: f32,
        gamma: &[f32],
        beta: &[f32],
    ) -> Result<Self> {
        let ChannelStatistics { mean, variance, .. } = statistics;
        let channels = gamma.len();
        if [beta.len(), mean.len(), variance.len()] != [channels; 3] {
            bail!("batch norm of {channels} channels was given parameters of other sizes");
        }
        let inverse: Vec<f32> = variance
            .iter()
            .map(|variance| 1.0 / (variance + epsilon).sqrt())
            .collect();
        let scale: Vec<f32> = gamma.iter().zip(&inverse).map(|(g, i)| g * i).collect();
        let shift = beta
            .iter()
            .zip(mean.iter().zip(&scale))
            .map(|(beta, (mean, scale))| beta - mean * scale)
            .collect();
        Ok(Self {
            mean,
            inverse,
            scale,
            shift,
        })
    }
}

vectorised! {
    /// The sum of `gradient`, and of its products with `x - mean`.
    pub fn sum_with_product(gradient: &[f32], x: &[f32], mean: f32) -> (f32, f32) {
        let (gradients, gradient_tail) = gradient.as_chunks::<LANES>();
        let (blocks, tail) = x.as_chunks::<LANES>();
        let (mut sums, mut products) = ([0.0f32; LANES], [0.0f32; LANES]);
        for (gradient, x) in gradients.iter().zip(blocks) {
            for lane in 0..LANES {
                sums[lane] += gradient[lane];
                products[lane] += gradient[lane] * (x[lane] - mean);
            }
        }
        let mut sum: f32 = sums.iter().sum();
        let mut product: f32 = products.iter().sum();
        for (gradient, x) in gradient_tail.iter().zip(tail) {
            sum += gradient;
            product += gradient * (x - mean);
        }
        (sum, product)
    }
}

vectorised! {
    /// `gradient = scale (gradient - (x slope + offset))`.
    pub fn through_statistics(gradient: &mut [f32], x: &[f32], scale: f32, slope: f32, offset: f32) {
        for (gradient, x) in gradient.iter_mut().zip(x) {
            *gradient = scale * (*gradient - (x * slope + offset));
        }
    }
}
