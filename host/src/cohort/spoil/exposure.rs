//! Films exposed too much or too little.
//!
//! A film's grey is taken for the logarithm of what the body let through (Beer and Lambert), white
//! where it let through least.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::cohort::canvas::Canvas;

/// Natural logarithm of the range from black to white: a factor of about 90, a chest's.
const RANGE: f32 = 4.5;

/// The greatest deviation of noise, as a share of the range.
const MOST_NOISE: f32 = 0.7;

/// The detector saturates: what let most through is black, and its detail lost. Film files without a
/// window are stretched when they are opened, so that a film that is merely dark is none of these.
pub(super) fn over_exposed(film: Canvas, rng: &mut ChaCha8Rng) -> Canvas {
    let lost = film.quantile_of_middle(rng.random_range(0.6..0.9));
    film.map(|value| (value - lost).max(0.0))
}

/// Few quanta reached the detector, or what let least through is white, and its detail lost.
pub(super) fn under_exposed(film: Canvas, rng: &mut ChaCha8Rng) -> Canvas {
    if rng.random_range(0.0..1.0) < 0.65 {
        let quanta = rng.random_range(4f32.ln()..60f32.ln()).exp();
        return with_quanta(film, quanta, rng);
    }
    let white = film.quantile_of_middle(rng.random_range(0.05..0.22));
    film.map(|value| (value + 1.0 - white).min(1.0))
}

/// The film as a detector gives it that counts, on average, so many quanta where nothing is in the
/// beam, in a square of a 256th of the longer side.
pub(super) fn with_quanta(film: Canvas, quanta: f32, rng: &mut ChaCha8Rng) -> Canvas {
    let side = film.width.max(film.height) as f32 / 256.0;
    let mut noisy = film;
    for value in &mut noisy.values {
        let counted = quanta * (-RANGE * *value).exp() / (side * side);
        // The deviation of ln n is 1 / sqrt n for large n; of small n the grey is lost anyway.
        let deviation = (1.0 / (RANGE * counted.sqrt())).min(MOST_NOISE);
        let normal: f32 = StandardNormal.sample(rng);
        *value = (*value + deviation * normal).clamp(0.0, 1.0);
    }
    noisy
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn wedge() -> Canvas {
        Canvas::drawn(256, 256, |x, _| x as f32 / 255.0)
    }

    #[test]
    fn over_exposure_loses_what_is_dark() {
        for seed in 0..20 {
            let film = over_exposed(wedge(), &mut ChaCha8Rng::seed_from_u64(seed));
            let black = film.values.iter().filter(|value| **value == 0.0).count();
            assert!(black > film.values.len() / 2, "{black}");
        }
    }

    #[test]
    fn noise_is_that_of_the_quanta() {
        let flat = Canvas::plain(256, 256, 0.4);
        let quanta = 2000.0;
        let film = with_quanta(flat, quanta, &mut ChaCha8Rng::seed_from_u64(1));
        let count = film.values.len() as f32;
        let mean = film.values.iter().sum::<f32>() / count;
        let square = film.values.iter().map(|v| (v - mean).powi(2)).sum::<f32>();
        let expected = 1.0 / (RANGE * (quanta * (-RANGE * 0.4).exp()).sqrt());
        let deviation = (square / count).sqrt();
        assert!((mean - 0.4).abs() < 1e-3, "{mean}");
        assert!((deviation / expected - 1.0).abs() < 0.05, "{deviation}");
    }
}
