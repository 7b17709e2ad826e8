//! Weights as int8: symmetric, one scale an output channel.

use super::weights::Weight;

/// int8 weights and what one step of each output channel is worth.
pub(super) struct Quantised {
    pub values: Vec<i8>,
    pub scales: Vec<f32>,
}

/// Rounds each output channel (the first dimension) to 127 steps either side of zero.
pub(super) fn quantise(weight: &Weight) -> Quantised {
    let a_channel = weight.data.len() / weight.shape[0];
    let mut values = Vec::with_capacity(weight.data.len());
    let mut scales = Vec::with_capacity(weight.shape[0]);
    for channel in weight.data.chunks_exact(a_channel) {
        let peak = channel.iter().fold(0.0_f32, |peak, w| peak.max(w.abs()));
        let scale = (peak / 127.0).max(f32::MIN_POSITIVE);
        // The clamp matters only for channels whose scale was too small to be represented.
        let steps = |w: &f32| (w / scale).round().clamp(-127.0, 127.0) as i8;
        values.extend(channel.iter().map(steps));
        scales.push(scale);
    }
    Quantised { values, scales }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_off_by_half_a_step_at_most() {
        let data: Vec<f32> = (0..60)
            .map(|i| (i as f32 * 1.7).sin() * (1 + i / 20) as f32)
            .collect();
        let weight = Weight {
            shape: vec![3, 20, 1, 1],
            data,
        };
        let q = quantise(&weight);
        for (i, (w, v)) in weight.data.iter().zip(&q.values).enumerate() {
            let scale = q.scales[i / 20];
            assert!((w - f32::from(*v) * scale).abs() <= scale * 0.500_01, "{i}");
        }
        assert_eq!(
            q.values
                .chunks(20)
                .filter(|c| c.iter().any(|v| v.abs() == 127))
                .count(),
            3
        );
    }

    #[test]
    fn an_empty_channel_stays_zero() {
        let weight = Weight {
            shape: vec![2, 2],
            data: vec![0.0, 0.0, 1e-42, -1e-42],
        };
        let q = quantise(&weight);
        assert_eq!(&q.values[..2], [0, 0]);
        assert!(q.scales.iter().all(|s| s.is_finite() && *s > 0.0));
    }
}
