//! All measures of a model on a set of films.

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;

use super::confusion::Confusion;
use super::curves::Ranked;
use super::intervals::{Interval, bootstrap, wilson};

/// A model's probability for each film, with the film's label and patient.
#[derive(Clone, Debug, Default)]
pub struct Scored {
    /// Probabilities.
    pub probabilities: Vec<f64>,
    /// Labels in the same order.
    pub labels: Vec<bool>,
    /// The number of each film's patient, from 0.
    patients: Vec<usize>,
}

impl Scored {
    /// Films by their probability, label and patient.
    pub fn new<'a>(films: impl Iterator<Item = (f64, bool, &'a str)>) -> Self {
        let mut numbers = HashMap::new();
        let mut scored = Self::default();
        for (probability, label, patient) in films {
            let next = numbers.len();
            scored.probabilities.push(probability);
            scored.labels.push(label);
            scored
                .patients
                .push(*numbers.entry(patient).or_insert(next));
        }
        scored
    }

    /// Returns true if no patient has two films, so that the films are independent.
    fn is_one_film_a_patient(&self) -> bool {
        // Patients are numbered in the order in which they first come.
        self.patients
            .iter()
            .enumerate()
            .all(|(film, patient)| film == *patient)
    }
}

/// The study's table for one model and one set of films. Rates that have no denominator are
/// missing (`null` in JSON).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measures {
    /// Films.
    pub n: u64,
    /// Positive films.
    pub positives: u64,
    /// The four counts at the threshold.
    #[serde(flatten)]
    pub counts: Confusion,
    /// Films called right.
    pub accuracy: Option<f64>,
    /// Its interval.
    pub accuracy_95: Option<Interval>,
    /// Positives among those called positive.
    pub precision: Option<f64>,
    /// Its interval.
    pub precision_95: Option<Interval>,
    /// Called positive among positives.
    pub recall: Option<f64>,
    /// Its interval.
    pub recall_95: Option<Interval>,
    /// Harmonic mean of the two.
    pub f1: Option<f64>,
    /// Its interval (bootstrap).
    pub f1_95: Option<Interval>,
    /// Area under the ROC curve.
    pub roc_auc: Option<f64>,
    /// Its interval (bootstrap).
    pub roc_auc_95: Option<Interval>,
    /// Area under the precision-recall curve (average precision).
    pub pr_auc: Option<f64>,
    /// Its interval (bootstrap).
    pub pr_auc_95: Option<Interval>,
    /// The probability from which a film is called positive.
    pub threshold: f64,
}

fn number(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

impl Measures {
    /// Measures `scored` films, called positive from `threshold` on. Intervals are Wilson's for
    /// counts where each patient has one film, else bootstraps by patient.
    pub fn new(scored: &Scored, threshold: f64) -> Self {
        let Scored {
            probabilities,
            labels,
            patients,
        } = scored;
        let confusion = |times: &[u32]| {
            let calls = probabilities.iter().map(|p| *p >= threshold);
            let calls = calls.zip(labels.iter().copied());
            Confusion::count_times(calls.zip(times.iter().copied()))
        };
        let once = vec![1; labels.len()];
        let counts = confusion(&once);
        let ranked = Ranked::new(probabilities, labels);
        let auc = |times: &[u32]| number(ranked.roc_auc(times));
        let area = |times: &[u32]| number(ranked.average_precision(times));
        let [
            mut accuracy_95,
            mut precision_95,
            mut recall_95,
            f1_95,
            roc_auc_95,
            pr_auc_95,
        ] = bootstrap(patients, labels, |times| {
            let drawn = confusion(times);
            [
                drawn.accuracy(),
                drawn.precision(),
                drawn.recall(),
                drawn.f1(),
                auc(times),
                area(times),
            ]
        });
        if scored.is_one_film_a_patient() {
            accuracy_95 = wilson(counts.tp + counts.tn, counts.total());
            precision_95 = wilson(counts.tp, counts.tp + counts.fp);
            recall_95 = wilson(counts.tp, counts.tp + counts.fn_);
        }
        Self {
            n: counts.total(),
            positives: counts.tp + counts.fn_,
            counts,
            accuracy: counts.accuracy(),
            accuracy_95,
            precision: counts.precision(),
            precision_95,
            recall: counts.recall(),
            recall_95,
            f1: counts.f1(),
            f1_95,
            roc_auc: auc(&once),
            roc_auc_95,
            pr_auc: area(&once),
            pr_auc_95,
            threshold,
        }
    }
}

/// The study's table: percentages with their intervals, then the counts.
impl fmt::Display for Measures {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let negatives = self.n - self.positives;
        writeln!(
            f,
            "{} films, {} positive, {negatives} negative; positive from probability {:.3}",
            self.n, self.positives, self.threshold
        )?;
        let rows = [
            ("accuracy", self.accuracy, self.accuracy_95),
            ("precision", self.precision, self.precision_95),
            ("recall", self.recall, self.recall_95),
            ("F1", self.f1, self.f1_95),
            ("ROC-AUC", self.roc_auc, self.roc_auc_95),
            ("PR-AUC", self.pr_auc, self.pr_auc_95),
        ];
        for (name, value, interval) in rows {
            match (value, interval) {
                (Some(value), Some(Interval { low, high })) => writeln!(
                    f,
                    "{name:<10} {:>7.3} %   95 %: {:.3} to {:.3} %",
                    value * 100.0,
                    low * 100.0,
                    high * 100.0
                )?,
                (Some(value), None) => writeln!(f, "{name:<10} {:>7.3} %", value * 100.0)?,
                (None, _) => writeln!(f, "{name:<10}       -")?,
            }
        }
        let Confusion { tp, fp, fn_, tn } = self.counts;
        write!(f, "TP {tp}   FP {fp}   FN {fn_}   TN {tn}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn films_of_one_patient_widen_every_interval() {
        let score = |i: usize| ((i * 37) % 100) as f64 / 100.0;
        let measured = |each: usize| {
            let names: Vec<String> = (0..200).map(|i| format!("p{}", i / each)).collect();
            // The films of a patient are alike.
            let films = names.iter().enumerate().map(|(i, name)| {
                let patient = i / each;
                let noise = score(patient) * 0.6;
                let label = patient.is_multiple_of(2);
                (noise + if label { 0.35 } else { 0.0 }, label, name.as_str())
            });
            Measures::new(&Scored::new(films), 0.5)
        };
        let (one, five) = (measured(1), measured(5));
        let width = |interval: Option<Interval>| interval.map_or(0.0, |i| i.high - i.low);
        for (narrow, wide) in [
            (one.accuracy_95, five.accuracy_95),
            (one.recall_95, five.recall_95),
            (one.precision_95, five.precision_95),
            (one.roc_auc_95, five.roc_auc_95),
        ] {
            assert!(width(wide) > 1.4 * width(narrow), "{narrow:?} {wide:?}");
        }
    }
}
