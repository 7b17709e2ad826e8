//! How unlike the films of its training a film is to a network: the distance of its pooled features
//! from those of films that the network knows.
//!
//! The distance is Mahalanobis' with a diagonal covariance (Lee et al., "A Simple Unified Framework
//! for Detecting Out-of-Distribution Samples", NeurIPS 2018, with one class and no covariances),
//! divided by the root of the number of features: about 1 for a film like the others.

use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// The file of a bundle that holds [`FeatureStatistics`], as JSON.
pub const FILE: &str = "features.json";

/// The share of known films that are within the limit.
pub const KNOWN: f64 = 0.995;

/// A feature that hardly varies would make any change of it enormous: deviations are at least this
/// share of the mean one.
const LEAST_DEVIATION: f64 = 0.05;

/// Statistics of a network's pooled last feature map over films that it knows.
///
/// ```
/// use plumbline_shared::features::FeatureStatistics;
///
/// let films: Vec<Vec<f32>> = (0..200).map(|i| vec![(i % 20) as f32, (i % 7) as f32]).collect();
/// let statistics = FeatureStatistics::of(&films).unwrap();
/// assert!(statistics.distance(&[9.0, 3.0]) < statistics.limit);
/// assert!(statistics.distance(&[90.0, 3.0]) > statistics.limit);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureStatistics {
    /// Number of films.
    pub films: u64,
    /// The distance within which [`KNOWN`] of the films lie.
    pub limit: f64,
    /// The mean of each feature.
    pub mean: Vec<f32>,
    /// The standard deviation of each feature, above 0.
    pub deviation: Vec<f32>,
}

/// How unlike the known films a film is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Unlikeness {
    /// The film's distance, about 1 for a film like the others.
    pub distance: f64,
    /// The distance within which [`KNOWN`] of the known films lie.
    pub limit: f64,
}

impl Unlikeness {
    /// Returns true if the film is further away than the known ones are.
    pub fn is_beyond(&self) -> bool {
        self.distance > self.limit
    }
}

impl FeatureStatistics {
    /// The statistics of films, given the pooled features of each; none of fewer than two films, of
    /// different numbers of features, or of features that are no numbers or all the same.
    pub fn of(films: &[Vec<f32>]) -> Option<Self> {
        let features = films.first()?.len();
        let equal = films.iter().all(|film| film.len() == features);
        if films.len() < 2 || features == 0 || !equal {
            return None;
        }
        let count = films.len() as f64;
        let mut mean = vec![0.0; features];
        for film in films {
            for (sum, value) in mean.iter_mut().zip(film) {
                *sum += f64::from(*value) / count;
            }
        }
        let mut variance = vec![0.0; features];
        for film in films {
            for ((sum, value), mean) in variance.iter_mut().zip(film).zip(&mean) {
                let difference = f64::from(*value) - mean;
                *sum += difference * difference / (count - 1.0);
            }
        }
        let deviations: Vec<f64> = variance.iter().map(|v| libm::sqrt(*v)).collect();
        let least = LEAST_DEVIATION * deviations.iter().sum::<f64>() / features as f64;
        if !(least > 0.0 && least.is_finite()) {
            return None;
        }
        let mut statistics = Self {
            films: films.len() as u64,
            limit: f64::MAX,
            mean: mean.iter().map(|mean| *mean as f32).collect(),
            deviation: deviations.iter().map(|d| d.max(least) as f32).collect(),
        };
        let mut distances: Vec<f64> = films.iter().map(|f| statistics.distance(f)).collect();
        distances.sort_unstable_by(f64::total_cmp);
        let within = libm::ceil(count * KNOWN) as usize;
        statistics.limit = distances[within.clamp(1, films.len()) - 1];
        Some(statistics)
    }

    /// The distance of a film with these pooled features; infinite if there are not as many.
    pub fn distance(&self, pooled: &[f32]) -> f64 {
        if pooled.len() != self.mean.len() {
            return f64::INFINITY;
        }
        let known = self.mean.iter().zip(&self.deviation);
        let squares = pooled.iter().zip(known).map(|(value, (mean, deviation))| {
            let steps = (f64::from(*value) - f64::from(*mean)) / f64::from(*deviation);
            steps * steps
        });
        libm::sqrt(squares.sum::<f64>() / pooled.len() as f64)
    }

    /// How unlike the known films a film with these pooled features is.
    pub fn unlikeness(&self, pooled: &[f32]) -> Unlikeness {
        Unlikeness {
            distance: self.distance(pooled),
            limit: self.limit,
        }
    }

    /// Returns true if these are statistics of so many features: finite, with deviations above 0.
    pub fn fit(&self, features: usize) -> bool {
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        self.mean.len() == features
            && self.deviation.len() == features
            && finite(&self.mean)
            && finite(&self.deviation)
            && self.deviation.iter().all(|deviation| *deviation > 0.0)
            && self.limit.is_finite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn films() -> Vec<Vec<f32>> {
        // Deterministic noise about (10, 200, 0), the last feature always the same.
        let noise = |i: u32| (i.wrapping_mul(2_654_435_761) >> 16) as f32 / 65_536.0 - 0.5;
        (0..1000)
            .map(|i| vec![10.0 + noise(i), 200.0 + 40.0 * noise(i + 7919), 0.0])
            .collect()
    }

    #[test]
    fn known_films_are_within_the_limit_and_strange_ones_beyond() {
        let statistics = FeatureStatistics::of(&films()).unwrap();
        assert!(statistics.fit(3) && !statistics.fit(2));
        let within = films()
            .iter()
            .filter(|film| !statistics.unlikeness(film).is_beyond())
            .count();
        assert_eq!(within, 995);
        assert!((statistics.mean[1] - 200.0).abs() < 1.0);
        // A uniform distribution of width 40.
        assert!((statistics.deviation[1] - 40.0 / 12f32.sqrt()).abs() < 0.5);
        assert!(statistics.unlikeness(&[10.0, 400.0, 0.0]).is_beyond());
        // A feature that was always the same counts, too.
        assert!(statistics.unlikeness(&[10.0, 200.0, 30.0]).is_beyond());
        assert_eq!(statistics.distance(&[10.0]), f64::INFINITY);
    }

    #[test]
    fn distances_are_root_mean_squares() {
        let statistics = FeatureStatistics {
            films: 2,
            limit: 1.0,
            mean: vec![1.0, 2.0],
            deviation: vec![2.0, 4.0],
        };
        // Three and four deviations away.
        let distance = statistics.distance(&[7.0, 18.0]);
        assert!((distance - libm::sqrt(12.5)).abs() < 1e-12);
    }

    #[test]
    fn what_gives_no_statistics_is_told() {
        assert!(FeatureStatistics::of(&[]).is_none());
        assert!(FeatureStatistics::of(&[vec![1.0]]).is_none());
        assert!(FeatureStatistics::of(&[vec![1.0], vec![1.0]]).is_none());
        assert!(FeatureStatistics::of(&[vec![1.0], vec![1.0, 2.0]]).is_none());
        assert!(FeatureStatistics::of(&[vec![1.0], vec![f32::NAN]]).is_none());
    }
}
