//! ROC and precision-recall over all thresholds.

/// One threshold of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Films scored at least this are called positive.
    pub threshold: f64,
    /// Positives called positive.
    pub true_positives: u64,
    /// Negatives called positive.
    pub false_positives: u64,
}

/// The counts at every distinct score, from the highest down. Scores that are not numbers come
/// last.
pub fn roc_curve(scores: &[f64], labels: &[bool]) -> Vec<CurvePoint> {
    let rank = |score: f64| {
        if score.is_nan() {
            f64::NEG_INFINITY
        } else {
            score
        }
    };
    let mut films: Vec<(f64, bool)> = scores
        .iter()
        .zip(labels)
        .map(|(score, label)| (rank(*score), *label))
        .collect();
    films.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut points: Vec<CurvePoint> = Vec::new();
    let (mut true_positives, mut false_positives) = (0, 0);
    for (score, label) in films {
        if label {
            true_positives += 1;
        } else {
            false_positives += 1;
        }
        let point = CurvePoint {
            threshold: score,
            true_positives,
            false_positives,
        };
        match points.last_mut() {
            Some(last) if last.threshold == score => *last = point,
            _ => points.push(point),
        }
    }
    points
}

/// Films in the order of their scores, from which areas under curves follow for any number of times
/// that each film counts: a bootstrap sorts once.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// Films by their number, with their labels, from the highest score down.
    films: Vec<(usize, bool)>,
    /// Behind the last film of each distinct score.
    ends: Vec<usize>,
}

impl Ranked {
    /// Sorts films by their scores. Scores that are not numbers come last.
    pub fn new(scores: &[f64], labels: &[bool]) -> Self {
        let rank = |film: &(usize, bool)| match scores[film.0] {
            score if score.is_nan() => f64::NEG_INFINITY,
            score => score,
        };
        let mut films: Vec<_> = labels.iter().copied().enumerate().collect();
        films.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
        let differs = |at: &usize| *at == films.len() || rank(&films[*at]) != rank(&films[at - 1]);
        let ends = (1..=films.len()).filter(differs).collect();
        Self { films, ends }
    }

    /// For each distinct score from the highest down, how many positives and negatives have it;
    /// film `i` counts `times[i]` times.
    fn counts<'a>(&'a self, times: &'a [u32]) -> impl Iterator<Item = (u64, u64)> + 'a {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let (mut positives, mut negatives) = (0, 0);
            for (film, positive) in &self.films[start..*end] {
                let count = u64::from(times[*film]);
                *(if *positive {
                    &mut positives
                } else {
                    &mut negatives
                }) += count;
            }
            start = *end;
            (positives, negatives)
        })
    }

    /// [`roc_auc`] where film `i` counts `times[i]` times.
    pub fn roc_auc(&self, times: &[u32]) -> f64 {
        let (mut area, mut tp, mut fp) = (0.0, 0u64, 0u64);
        for (positives, negatives) in self.counts(times) {
            area += negatives as f64 * (2 * tp + positives) as f64 / 2.0;
            (tp, fp) = (tp + positives, fp + negatives);
        }
        area / (tp as f64 * fp as f64)
    }

    /// [`average_precision`] where film `i` counts `times[i]` times.
    pub fn average_precision(&self, times: &[u32]) -> f64 {
        let (mut area, mut tp, mut called) = (0.0, 0u64, 0u64);
        for (positives, negatives) in self.counts(times) {
            called += positives + negatives;
            tp += positives;
            if positives > 0 {
                area += positives as f64 * tp as f64 / called as f64;
            }
        }
        area / tp as f64
    }
}

/// The area under the ROC curve: the chance that a positive scores above a negative, ties half.
/// Not a number where a class is missing.
///
/// ```
/// use plumbline_host::evaluate::roc_auc;
///
/// assert_eq!(roc_auc(&[0.9, 0.4, 0.4, 0.1], &[true, true, false, false]), 0.875);
/// ```
pub fn roc_auc(scores: &[f64], labels: &[bool]) -> f64 {
    Ranked::new(scores, labels).roc_auc(&vec![1; labels.len()])
}

/// The area under the precision-recall curve as average precision: the sum over thresholds of
/// precision times the recall gained. Not a number where there are no positives.
pub fn average_precision(scores: &[f64], labels: &[bool]) -> f64 {
    Ranked::new(scores, labels).average_precision(&vec![1; labels.len()])
}

/// The threshold with the largest sensitivity + specificity (Youden, 1950), midway between the
/// score that reaches it and the next lower one, so that it sits on neither. None where a class
/// is missing.
pub fn youden_threshold(scores: &[f64], labels: &[bool]) -> Option<f64> {
    let points = roc_curve(scores, labels);
    let last = points.last()?;
    if last.true_positives == 0 || last.false_positives == 0 {
        return None;
    }
    let index = |point: &CurvePoint| {
        point.true_positives as f64 / last.true_positives as f64
            - point.false_positives as f64 / last.false_positives as f64
    };
    let best =
        (0..points.len()).max_by(|a, b| index(&points[*a]).total_cmp(&index(&points[*b])))?;
    Some(below(&points, best))
}

/// The largest threshold at which at least `share` of the positives are found, midway between the score
/// that reaches it and the next lower one. None where a class is missing.
pub fn sensitivity_threshold(scores: &[f64], labels: &[bool], share: f64) -> Option<f64> {
    let points = roc_curve(scores, labels);
    let last = points.last()?;
    if last.true_positives == 0 || last.false_positives == 0 {
        return None;
    }
    let found = |point: &CurvePoint| point.true_positives as f64 / last.true_positives as f64;
    let reached = points.iter().position(|point| found(point) >= share)?;
    Some(below(&points, reached))
}

/// The middle between the threshold of a point and the next lower one.
fn below(points: &[CurvePoint], point: usize) -> f64 {
    let next = points.get(point + 1).unwrap_or(&points[point]);
    (points[point].threshold + next.threshold) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    // Areas by scikit-learn's roc_auc_score and average_precision_score.
    const SCORES: [f64; 10] = [0.1, 0.4, 0.35, 0.8, 0.8, 0.2, 0.9, 0.5, 0.5, 0.05];
    const LABELS: [bool; 10] = [
        false, false, true, true, false, false, true, true, false, false,
    ];

    #[test]
    fn areas_agree_with_scikit_learn() {
        assert!((roc_auc(&SCORES, &LABELS) - 0.791_666_666_667).abs() < 1e-9);
        assert!((average_precision(&SCORES, &LABELS) - 0.709_523_809_524).abs() < 1e-9);
    }

    #[test]
    fn extremes() {
        let labels = [true, true, false];
        assert_eq!(roc_auc(&[3.0, 2.0, 1.0], &labels), 1.0);
        assert_eq!(roc_auc(&[1.0, 1.0, 1.0], &labels), 0.5);
        assert_eq!(roc_auc(&[1.0, 2.0, 3.0], &labels), 0.0);
        assert!(roc_auc(&[1.0], &[true]).is_nan());
        assert_eq!(roc_auc(&[f64::NAN, 2.0, 1.0], &[false, true, true]), 1.0);
    }

    #[test]
    fn a_film_that_counts_twice_is_two_films() {
        let times: Vec<u32> = (0..SCORES.len() as u32).map(|film| film % 3).collect();
        let again = |film: usize| std::iter::repeat_n(film, times[film] as usize);
        let films: Vec<usize> = (0..SCORES.len()).flat_map(again).collect();
        let scores: Vec<f64> = films.iter().map(|film| SCORES[*film]).collect();
        let labels: Vec<bool> = films.iter().map(|film| LABELS[*film]).collect();
        let ranked = Ranked::new(&SCORES, &LABELS);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(near(ranked.roc_auc(&times), roc_auc(&scores, &labels)));
        let expected = average_precision(&scores, &labels);
        assert!(near(ranked.average_precision(&times), expected));
    }

    #[test]
    fn youden_separates_what_can_be_separated() {
        let threshold = youden_threshold(&[0.9, 0.8, 0.3, 0.1], &[true, true, false, false]);
        assert_eq!(threshold, Some(0.55));
        assert_eq!(youden_threshold(&[0.9], &[true]), None);
    }

    #[test]
    fn a_sensitivity_is_reached_with_as_few_false_positives_as_can_be() {
        // The positives have 0.9, 0.8, 0.8, 0.35 and 0.2, sorted with the others.
        let labels = [
            false, false, true, true, true, true, true, false, false, false,
        ];
        let threshold = |share| sensitivity_threshold(&SCORES, &labels, share).unwrap();
        assert_eq!(threshold(0.2), (0.9 + 0.8) / 2.0);
        assert_eq!(threshold(0.6), (0.8 + 0.5) / 2.0);
        assert_eq!(threshold(0.8), (0.35 + 0.2) / 2.0);
        assert_eq!(threshold(1.0), (0.2 + 0.1) / 2.0);
        assert_eq!(sensitivity_threshold(&[0.9], &[true], 0.9), None);
    }
}
