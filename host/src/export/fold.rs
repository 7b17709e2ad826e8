//! Batch norms that follow a convolution become part of it.

use super::weights::Weight;

/// A batch norm's tensors, one value a channel each, and its constant under the root.
pub(super) struct BatchNorm<'a> {
    pub epsilon: f32,
    pub weight: &'a Weight,
    pub bias: &'a Weight,
    pub mean: &'a Weight,
    pub variance: &'a Weight,
}

/// The weight and bias of one convolution that does what a convolution of `weight`, without bias,
/// and then `norm` do in evaluation mode.
pub(super) fn fold(weight: &Weight, norm: &BatchNorm) -> (Weight, Weight) {
    let a_channel = weight.data.len() / weight.shape[0];
    let mut folded = weight.clone();
    let mut bias = norm.bias.clone();
    for (channel, filter) in folded.data.chunks_exact_mut(a_channel).enumerate() {
        let at = |tensor: &Weight| f64::from(tensor.data[channel]);
        let factor = at(norm.weight) / (at(norm.variance) + f64::from(norm.epsilon)).sqrt();
        for value in filter {
            *value = (f64::from(*value) * factor) as f32;
        }
        bias.data[channel] = (at(norm.bias) - at(norm.mean) * factor) as f32;
    }
    (folded, bias)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_what_the_two_did() {
        let vector = |data: &[f32]| Weight {
            shape: vec![data.len()],
            data: data.to_vec(),
        };
        let weight = Weight {
            shape: vec![2, 3, 1, 1],
            data: vec![1.0, -2.0, 0.5, 4.0, 0.25, -1.0],
        };
        let [gamma, beta] = [vector(&[0.5, -1.5]), vector(&[0.1, 0.2])];
        let [mean, variance] = [vector(&[0.3, -0.7]), vector(&[2.0, 0.5])];
        let norm = BatchNorm {
            epsilon: 1e-3,
            weight: &gamma,
            bias: &beta,
            mean: &mean,
            variance: &variance,
        };
        let (folded, bias) = fold(&weight, &norm);
        let x = [0.7, -0.2, 1.9];
        let dot = |w: &Weight, c: usize| (0..3).map(|i| w.data[c * 3 + i] * x[i]).sum::<f32>();
        for c in 0..2 {
            let spread = (variance.data[c] + 1e-3).sqrt();
            let two = (dot(&weight, c) - mean.data[c]) / spread * gamma.data[c] + beta.data[c];
            assert!((dot(&folded, c) + bias.data[c] - two).abs() < 1e-6);
        }
    }
}
