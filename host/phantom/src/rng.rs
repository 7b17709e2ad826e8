//! Random variates that are the same on every platform and in every thread order.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// One stream of random variates; a film's stream depends on the cohort's seed and its index alone.
pub struct Variates(ChaCha8Rng);

impl Variates {
    /// The stream numbered `stream` of the cohort seeded `seed`.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..24].copy_from_slice(b"plumbline cohort");
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(stream);
        Self(generator)
    }

    /// A stream of its own, so that what is drawn from it, however much, leaves this one alone.
    pub fn branch(&mut self) -> Self {
        let mut key = [0; 32];
        self.fill(&mut key);
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Normal (Box and Muller), redrawn until within two and a half deviations of the mean.
    pub fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        loop {
            let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.unit()));
            let value = radius * libm::cos(core::f64::consts::TAU * self.unit());
            if value.abs() <= 2.5 {
                return mean + deviation * value;
            }
        }
    }

    /// Weibull, by inversion.
    pub fn weibull(&mut self, shape: f64, scale: f64) -> f64 {
        scale * libm::pow(-libm::log(1.0 - self.unit()), 1.0 / shape)
    }

    /// Fisher and Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = (self.unit() * (last + 1) as f64) as usize;
            items.swap(last, other);
        }
    }

    /// Uniform bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}
