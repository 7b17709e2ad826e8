//! The four counts and the rates made of them.

use serde::{Deserialize, Serialize};

/// The counts of films called right and wrong.
///
/// ```
/// use plumbline_host::evaluate::Confusion;
///
/// // The study's CheXNet-based model.
/// let counts = Confusion { tp: 1178, fp: 306, fn_: 130, tn: 81_383 };
/// assert_eq!(counts.total(), 82_997);
/// assert!((counts.recall().unwrap() - 0.90061).abs() < 1e-5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Positives called positive.
    pub tp: u64,
    /// Negatives called positive.
    pub fp: u64,
    /// Positives called negative.
    #[serde(rename = "fn")]
    pub fn_: u64,
    /// Negatives called negative.
    pub tn: u64,
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Confusion {
    /// Counts calls (positive or not) against labels.
    pub fn count(calls: impl Iterator<Item = (bool, bool)>) -> Self {
        Self::count_times(calls.map(|call| (call, 1)))
    }

    /// Counts calls against labels, each a number of times.
    pub fn count_times(calls: impl Iterator<Item = ((bool, bool), u32)>) -> Self {
        let mut counts = Self::default();
        for ((call, label), times) in calls {
            *match (call, label) {
                (true, true) => &mut counts.tp,
                (true, false) => &mut counts.fp,
                (false, true) => &mut counts.fn_,
                (false, false) => &mut counts.tn,
            } += u64::from(times);
        }
        counts
    }

    /// All films.
    pub fn total(&self) -> u64 {
        self.tp + self.fp + self.fn_ + self.tn
    }

    /// Films called right among all; none where there are no films.
    pub fn accuracy(&self) -> Option<f64> {
        ratio(self.tp + self.tn, self.total())
    }

    /// Positives among those called positive; none where nothing was called positive.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.tp, self.tp + self.fp)
    }

    /// The share of positives that were called positive, also called sensitivity.
    pub fn recall(&self) -> Option<f64> {
        ratio(self.tp, self.tp + self.fn_)
    }

    /// The harmonic mean of precision and recall.
    pub fn f1(&self) -> Option<f64> {
        ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn_)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_study_s_tables_come_out() {
        // Counts and printed rates of the study's two models.
        for (tp, fp, fn_, tn, accuracy, precision, recall, f1) in [
            (1235, 3529, 73, 78160, 0.9566, 0.25924, 0.94419, 0.40679),
            (1178, 306, 130, 81383, 0.99475, 0.7938, 0.90061, 0.84384),
        ] {
            let counts = Confusion { tp, fp, fn_, tn };
            let near = |rate: Option<f64>, printed: f64| (rate.unwrap() - printed).abs() < 1e-5;
            assert!(near(counts.accuracy(), accuracy));
            assert!(near(counts.precision(), precision));
            assert!(near(counts.recall(), recall));
            assert!(near(counts.f1(), f1));
            assert_eq!(counts.total(), 82_997);
        }
    }

    #[test]
    fn rates_of_nothing_are_none() {
        let none = Confusion::count(std::iter::empty());
        assert_eq!(
            (none.accuracy(), none.precision(), none.f1()),
            (None, None, None)
        );
        let negatives = Confusion::count([(false, false)].into_iter());
        assert_eq!(
            (negatives.accuracy(), negatives.recall()),
            (Some(1.0), None)
        );
    }
}
