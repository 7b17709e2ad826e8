//! All measures of a model on a set of films.

use std::fmt;

use serde::Serialize;

use super::confusion::Confusion;
use super::curves::{average_precision, roc_auc};
use super::intervals::{Interval, bootstrap, wilson};

/// A model's probability for each film, with the film's label.
#[derive(Clone, Debug, Default)]
pub struct Scored {
    /// Probabilities.
    pub probabilities: Vec<f32>,
    /// Labels in the same order.
    pub labels: Vec<bool>,
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
    pub threshold: f32,
}

fn number(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn confusion(probabilities: &[f32], labels: &[bool], threshold: f32) -> Confusion {
    let calls = probabilities.iter().map(|p| *p >= threshold);
    Confusion::count(calls.zip(labels.iter().copied()))
}

impl Measures {
    /// Measures `scored` films, called positive from `threshold` on.
    pub fn new(scored: &Scored, threshold: f32) -> Self {
        let Scored {
            probabilities,
            labels,
        } = scored;
        let counts = confusion(probabilities, labels, threshold);
        let f1 = |p: &[f32], l: &[bool]| confusion(p, l, threshold).f1();
        let auc = |p: &[f32], l: &[bool]| number(roc_auc(p, l));
        let area = |p: &[f32], l: &[bool]| number(average_precision(p, l));
        Self {
            n: counts.total(),
            positives: counts.tp + counts.fn_,
            counts,
            accuracy: counts.accuracy(),
            accuracy_95: wilson(counts.tp + counts.tn, counts.total()),
            precision: counts.precision(),
            precision_95: wilson(counts.tp, counts.tp + counts.fp),
            recall: counts.recall(),
            recall_95: wilson(counts.tp, counts.tp + counts.fn_),
            f1: counts.f1(),
            f1_95: bootstrap(probabilities, labels, f1),
            roc_auc: auc(probabilities, labels),
            roc_auc_95: bootstrap(probabilities, labels, auc),
            pr_auc: area(probabilities, labels),
            pr_auc_95: bootstrap(probabilities, labels, area),
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
