//! 95 % confidence intervals of measures.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
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

/// The number of draws of a bootstrap.
const DRAWS: usize = 1000;

/// The percentile bootstrap (Efron, 1979) of several measures at once. Drawn are patients, not
/// films, as the films of one patient are alike: anew within those who have a positive film and
/// those who have none. `patients[i]` is the number of film `i`'s patient; `measures` is told how
/// often each film counts.
///
/// A measure has no interval where a class is missing, or where it gives no number for most draws.
/// The result does not depend on the number of threads.
pub fn bootstrap<const M: usize>(
    patients: &[usize],
    labels: &[bool],
    measures: impl Fn(&[u32]) -> [Option<f64>; M] + Sync,
) -> [Option<Interval>; M] {
    if !(labels.contains(&true) && labels.contains(&false)) {
        return [None; M];
    }
    let count = patients.iter().max().map_or(0, |last| last + 1);
    let mut is_positive = vec![false; count];
    for (patient, label) in patients.iter().zip(labels) {
        is_positive[*patient] |= label;
    }
    let stratum = |positive: bool| -> Vec<usize> {
        let of_stratum = (0..count).filter(|patient| is_positive[*patient] == positive);
        of_stratum.collect()
    };
    let strata = [stratum(true), stratum(false)];
    let draw = |number: usize| {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        rng.set_stream(number as u64);
        let mut drawn = vec![0u32; count];
        for stratum in &strata {
            for _ in stratum {
                drawn[stratum[rng.random_range(0..stratum.len())]] += 1;
            }
        }
        let times: Vec<u32> = patients.iter().map(|patient| drawn[*patient]).collect();
        measures(&times)
    };
    let draws: Vec<[Option<f64>; M]> = (0..DRAWS).into_par_iter().map(draw).collect();
    std::array::from_fn(|measure| {
        let values = draws.iter().filter_map(|draw| draw[measure]);
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        (values.len() > DRAWS / 2).then(|| Interval {
            low: values[values.len() * 25 / 1000],
            high: values[(values.len() * 975 / 1000).saturating_sub(1)],
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::curves::{Ranked, roc_auc};

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

    /// Films of noisy scores, `each` of every patient with the patient's own score.
    fn interval(patients: usize, each: usize) -> (f64, Interval) {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let (mut scores, mut labels, mut of_patient) = (vec![], vec![], vec![]);
        for patient in 0..patients {
            let label = patient.is_multiple_of(2);
            let score = rng.random::<f64>() + f64::from(u8::from(label)) * 0.5;
            for _ in 0..each {
                scores.push(score);
                labels.push(label);
                of_patient.push(patient);
            }
        }
        let ranked = Ranked::new(&scores, &labels);
        let [interval] = bootstrap(&of_patient, &labels, |times| [Some(ranked.roc_auc(times))]);
        (roc_auc(&scores, &labels), interval.unwrap())
    }

    #[test]
    fn the_bootstrap_surrounds_the_measure_and_shrinks_with_patients() {
        let width = |patients, each| {
            let (value, Interval { low, high }) = interval(patients, each);
            assert!(low < value && value < high);
            high - low
        };
        let (few, many) = (width(60, 1), width(960, 1));
        assert!((few / many - 4.0).abs() < 1.5, "{few} {many}");
        // Five copies of each film teach nothing new.
        assert_eq!(width(60, 1), width(60, 5));
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| interval(60, 2))
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn a_missing_class_has_no_interval() {
        let none = bootstrap(&[0, 1], &[true, true], |_| [Some(1.0)]);
        assert_eq!(none, [None]);
    }
}
