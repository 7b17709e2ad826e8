//! How sure a measure is: 95 % intervals.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// A 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Wilson's score interval (1927) of `part` among `whole`; none where `whole` is 0.
pub fn wilson(part: u64, whole: u64) -> Option<Interval> {
    const Z: f64 = 1.959_963_984_540_054;
    if whole == 0 {
        return None;
    }
    let n = whole as f64;
    let p = part as f64 / n;
    let middle = p + Z * Z / (2.0 * n);
    let reach = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let share = 1.0 + Z * Z / n;
    Some(Interval {
        low: ((middle - reach) / share).max(0.0),
        high: ((middle + reach) / share).min(1.0),
    })
}

/// The percentile bootstrap (Efron, 1979) of `measure` over films, drawn anew within each class
/// so that every draw has both; none where a class is missing or `measure` gives no number.
pub fn bootstrap(
    scores: &[f32],
    labels: &[bool],
    measure: impl Fn(&[f32], &[bool]) -> Option<f64>,
) -> Option<Interval> {
    const DRAWS: usize = 1000;
    let class = |label: bool| -> Vec<f32> {
        let of_class = scores.iter().zip(labels).filter(|(_, l)| **l == label);
        of_class.map(|(score, _)| *score).collect()
    };
    let (positives, negatives) = (class(true), class(false));
    if positives.is_empty() || negatives.is_empty() {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let drawn_labels: Vec<bool> = (0..labels.len()).map(|i| i < positives.len()).collect();
    let mut values = Vec::with_capacity(DRAWS);
    for _ in 0..DRAWS {
        let drawn: Vec<f32> = [&positives, &negatives]
            .into_iter()
            .flat_map(|class| std::iter::repeat_n(class, class.len()))
            .map(|class| class[rng.random_range(0..class.len())])
            .collect();
        values.push(measure(&drawn, &drawn_labels)?);
    }
    values.sort_by(f64::total_cmp);
    Some(Interval {
        low: values[DRAWS * 25 / 1000],
        high: values[DRAWS * 975 / 1000 - 1],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::roc_auc;

    #[test]
    fn wilson_agrees_with_scipy() {
        // scipy.stats.binomtest(k, n).proportion_ci(method="wilson")
        for (part, whole, low, high) in WILSON {
            let interval = wilson(part, whole).unwrap();
            assert!((interval.low - low).abs() < 1e-9 && (interval.high - high).abs() < 1e-9);
        }
        assert_eq!(wilson(0, 0), None);
    }

    const WILSON: [(u64, u64, f64, f64); 3] = [
        (90, 100, 0.825_634_338_5, 0.944_770_862_9),
        (0, 12, 0.0, 0.242_494_006_7),
        (1178, 1308, 0.883_206_172_5, 0.915_670_851_0),
    ];

    #[test]
    fn the_bootstrap_surrounds_the_measure_and_shrinks_with_films() {
        let auc = |scores: &[f32], labels: &[bool]| Some(roc_auc(scores, labels));
        let make = |films: usize| {
            let mut rng = ChaCha8Rng::seed_from_u64(2);
            let labels: Vec<bool> = (0..films).map(|i| i % 2 == 0).collect();
            let noise = |label: &bool| rng.random::<f32>() + f32::from(u8::from(*label)) * 0.5;
            (labels.iter().map(noise).collect::<Vec<f32>>(), labels)
        };
        let width = |films| {
            let (scores, labels) = make(films);
            let interval = bootstrap(&scores, &labels, auc).unwrap();
            let value = roc_auc(&scores, &labels);
            assert!(interval.low < value && value < interval.high);
            interval.high - interval.low
        };
        let (few, many) = (width(60), width(960));
        assert!((few / many - 4.0).abs() < 1.5, "{few} {many}");
    }
}
