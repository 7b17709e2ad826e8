//! How unlike the films of its training a film is to a network: the distance of its pooled features
//! from those of films that the network knows.
//!
//! The distance is Mahalanobis' with a diagonal covariance (Lee et al., "A Simple Unified Framework
//! for Detecting Out-of-Distribution Samples", NeurIPS 2018, with one class), divided by the root of
//! the number of features: about 1 for a film like the others. A network that was trained for one
//! question answers strange films with weak features, which lie between those of its classes and so
//! near to the mean. Statistics with directions find these: features are taken by their logarithms,
//! and only what lies outside the directions in which known films vary most counts (the residual of
//! Wang et al., "ViM: Out-Of-Distribution with Virtual-logit Matching", CVPR 2022).

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

/// Times that the search for directions goes round; enough for those that differ.
const ROUNDS: usize = 30;

/// Statistics of a network's pooled last feature map over films that it knows.
///
/// ```
/// use plumbline_shared::features::FeatureStatistics;
///
/// let films: Vec<Vec<f32>> = (0..200).map(|i| vec![(i % 20) as f32, (i % 7) as f32]).collect();
/// let statistics = FeatureStatistics::of(&films, 0).unwrap();
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
    /// Directions, orthogonal and of length 1, in which known films vary most; if there are any, mean
    /// and deviation are those of the features' logarithms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directions: Vec<Vec<f32>>,
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
    /// The statistics of films, given the pooled features of each, with so many directions. With
    /// directions, two thirds of the films give them and the others the limit. None of fewer than six
    /// films, or than three for each direction, of different numbers of features, or of features that are no numbers or all the same.
    pub fn of(films: &[Vec<f32>], directions: usize) -> Option<Self> {
        let features = films.first()?.len();
        let equal = films.iter().all(|film| film.len() == features);
        if films.len() < 6.max(3 * directions) || features <= directions || !equal {
            return None;
        }
        let (known, measured): (Vec<&Vec<f32>>, Vec<&Vec<f32>>) = match directions {
            0 => (films.iter().collect(), films.iter().collect()),
            _ => {
                let third = |at: &usize| at.is_multiple_of(3);
                let of = |wanted: bool| {
                    let places = (0..films.len()).filter(move |at| third(at) == wanted);
                    places.map(|at| &films[at]).collect()
                };
                (of(false), of(true))
            }
        };
        let scaled = |film: &Vec<f32>| -> Vec<f64> {
            film.iter()
                .map(|value| scale(*value, directions > 0))
                .collect()
        };
        let known: Vec<Vec<f64>> = known.into_iter().map(scaled).collect();
        let count = known.len() as f64;
        let mut mean = vec![0.0; features];
        for film in &known {
            for (sum, value) in mean.iter_mut().zip(film) {
                *sum += value / count;
            }
        }
        let mut variance = vec![0.0; features];
        for film in &known {
            for ((sum, value), mean) in variance.iter_mut().zip(film).zip(&mean) {
                *sum += (value - mean) * (value - mean) / (count - 1.0);
            }
        }
        let deviations: Vec<f64> = variance.iter().map(|v| libm::sqrt(*v)).collect();
        let least = LEAST_DEVIATION * deviations.iter().sum::<f64>() / features as f64;
        // Less than rounding leaves is no variation.
        let size = mean.iter().map(|m| libm::fabs(*m)).sum::<f64>() / features as f64;
        if !(least > 1e-9 * size && least.is_finite()) {
            return None;
        }
        let mut statistics = Self {
            films: films.len() as u64,
            limit: f64::MAX,
            mean: mean.iter().map(|mean| *mean as f32).collect(),
            deviation: deviations.iter().map(|d| d.max(least) as f32).collect(),
            directions: Vec::new(),
        };
        let steps: Vec<Vec<f64>> = known.iter().map(|film| statistics.steps(film)).collect();
        statistics.directions = main_directions(&steps, directions);
        let mut distances: Vec<f64> = measured.iter().map(|f| statistics.distance(f)).collect();
        distances.sort_unstable_by(f64::total_cmp);
        let within = libm::ceil(distances.len() as f64 * KNOWN) as usize;
        statistics.limit = distances[within.clamp(1, distances.len()) - 1];
        Some(statistics)
    }

    /// Deviations from the mean, as multiples of the standard one.
    fn steps(&self, scaled: &[f64]) -> Vec<f64> {
        let known = self.mean.iter().zip(&self.deviation);
        let steps = scaled.iter().zip(known);
        steps
            .map(|(value, (mean, deviation))| (value - f64::from(*mean)) / f64::from(*deviation))
            .collect()
    }

    /// The distance of a film with these pooled features; infinite if there are not as many.
    pub fn distance(&self, pooled: &[f32]) -> f64 {
        if pooled.len() != self.mean.len() {
            return f64::INFINITY;
        }
        let logarithmic = !self.directions.is_empty();
        let scaled: Vec<f64> = pooled.iter().map(|v| scale(*v, logarithmic)).collect();
        let steps = self.steps(&scaled);
        let all: f64 = steps.iter().map(|step| step * step).sum();
        let within = self.directions.iter().map(|direction| {
            let along: f64 = direction
                .iter()
                .zip(&steps)
                .map(|(d, s)| f64::from(*d) * s)
                .sum();
            along * along
        });
        let outside = (all - within.sum::<f64>()).max(0.0);
        libm::sqrt(outside / (pooled.len() - self.directions.len().min(pooled.len() - 1)) as f64)
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
            && self.directions.len() < features
            && (self.directions.iter()).all(|d| d.len() == features && finite(d))
    }
}

/// A feature as it is, or by its logarithm, which keeps its sign and is steep at zero.
fn scale(value: f32, logarithmic: bool) -> f64 {
    let value = f64::from(value);
    match logarithmic {
        true => libm::copysign(libm::log1p(100.0 * libm::fabs(value)), value),
        false => value,
    }
}

/// The `count` orthogonal directions in which rows of deviations vary most, by simultaneous
/// iteration from fixed random ones.
fn main_directions(rows: &[Vec<f64>], count: usize) -> Vec<Vec<f32>> {
    let features = rows.first().map_or(0, Vec::len);
    let mut state = 1u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 31) as f64 - 0.5
    };
    let mut directions: Vec<Vec<f64>> = (0..count)
        .map(|_| (0..features).map(|_| random()).collect())
        .collect();
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    for _ in 0..ROUNDS {
        for at in 0..count {
            let mut next = vec![0.0; features];
            for row in rows {
                let along = dot(row, &directions[at]);
                for (sum, value) in next.iter_mut().zip(row) {
                    *sum += along * value;
                }
            }
            let (before, rest) = directions.split_at_mut(at);
            for other in before.iter() {
                let along = dot(&next, other);
                for (value, other) in next.iter_mut().zip(other) {
                    *value -= along * other;
                }
            }
            let length = libm::sqrt(dot(&next, &next)).max(f64::MIN_POSITIVE);
            next.iter_mut().for_each(|value| *value /= length);
            rest[0] = next;
        }
    }
    let single = |direction: Vec<f64>| direction.into_iter().map(|value| value as f32).collect();
    directions.into_iter().map(single).collect()
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
        let statistics = FeatureStatistics::of(&films(), 0).unwrap();
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
            directions: vec![],
        };
        // Three and four deviations away.
        let distance = statistics.distance(&[7.0, 18.0]);
        assert!((distance - libm::sqrt(12.5)).abs() < 1e-12);
    }

    #[test]
    fn directions_of_known_variation_do_not_count() {
        // Two features that rise together tenfold, and one beside them.
        let mut state = 7u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 24) - 0.5
        };
        let film = |rise: f64, one: f64, beside: f64| {
            let level = libm::exp(rise);
            vec![level as f32, (level * one) as f32, beside as f32]
        };
        let films: Vec<Vec<f32>> = (0..600)
            .map(|_| film(3.0 * noise(), 1.0 + 0.05 * noise(), 5.0 + noise()))
            .collect();
        let statistics = FeatureStatistics::of(&films, 1).unwrap();
        assert!(statistics.fit(3));
        let [first, second, third] = statistics.directions[0][..] else {
            panic!("three features");
        };
        assert!(
            (first - second).abs() < 0.1 && third.abs() < 0.2,
            "{first} {second} {third}"
        );
        let beyond = |film: Vec<f32>| statistics.unlikeness(&film).is_beyond();
        assert!(!beyond(film(1.2, 1.0, 5.0)) && !beyond(film(-1.2, 1.0, 5.0)));
        assert!(beyond(film(0.0, 30.0, 5.0)) && beyond(film(0.0, 1.0, 9.0)));
    }

    #[test]
    fn what_gives_no_statistics_is_told() {
        let none = |films: &[Vec<f32>]| FeatureStatistics::of(films, 0).is_none();
        assert!(none(&[]) && none(&[vec![1.0], vec![2.0]]));
        assert!(none(&vec![vec![1.0]; 9]) && none(&vec![vec![f32::NAN]; 9]));
        let mut films: Vec<Vec<f32>> = (0..9).map(|i| vec![i as f32]).collect();
        assert!(!none(&films));
        assert!(FeatureStatistics::of(&films, 1).is_none());
        films[3].push(1.0);
        assert!(none(&films));
    }
}
