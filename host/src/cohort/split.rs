//! Splits: by patient, stratified by label.

use std::collections::{BTreeMap, HashMap};

use plumbline_phantom::Variates;
use serde::Serialize;

use super::manifest::{Entry, Split};

/// Shares of patients for validation and for testing, each of 0 to 1; the rest is for training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shares {
    /// Share for validation.
    pub val: f64,
    /// Share for testing.
    pub test: f64,
}

impl Default for Shares {
    fn default() -> Self {
        Self {
            val: 0.1,
            test: 0.1,
        }
    }
}

impl Shares {
    /// Returns true if something is left for training, and neither share is negative.
    pub fn are_shares(self) -> bool {
        self.val >= 0.0 && self.test >= 0.0 && self.val + self.test < 1.0
    }
}

/// Returns a split for each patient, given the patients' labels: the same shares of positives
/// and of negatives everywhere, to one patient.
pub(crate) fn stratified(labels: &[bool], rng: &mut Variates) -> Vec<Split> {
    stratified_by(labels, Shares::default(), rng)
}

fn stratified_by(labels: &[bool], shares: Shares, rng: &mut Variates) -> Vec<Split> {
    let mut splits = vec![Split::Train; labels.len()];
    for class in [true, false] {
        let mut members: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == class).collect();
        rng.shuffle(&mut members);
        let count = |share: f64| (members.len() as f64 * share).round() as usize;
        let (val, test) = (count(shares.val), count(shares.test));
        for &i in members.iter().take(val) {
            splits[i] = Split::Val;
        }
        for &i in members.iter().skip(val).take(test) {
            splits[i] = Split::Test;
        }
    }
    splits
}

/// Returns a split for each patient of `films`, pairs of a patient and the film's label: as
/// [`stratified`], where a patient with a positive film is positive. The films' order is of no
/// consequence.
pub(crate) fn by_patient<'a>(
    films: impl Iterator<Item = (&'a str, bool)>,
    shares: Shares,
    rng: &mut Variates,
) -> BTreeMap<&'a str, Split> {
    let mut patients = BTreeMap::new();
    for (patient, positive) in films {
        *patients.entry(patient).or_default() |= positive;
    }
    let labels: Vec<bool> = patients.values().copied().collect();
    let splits = stratified_by(&labels, shares, rng);
    patients.into_keys().zip(splits).collect()
}

/// Returns a patient with films in more than one split, if there is one.
pub(crate) fn patient_in_two_splits<'a>(
    entries: impl IntoIterator<Item = &'a Entry>,
) -> Option<&'a str> {
    let mut seen: HashMap<&str, Split> = HashMap::new();
    entries
        .into_iter()
        .find(|entry| *seen.entry(&entry.patient).or_insert(entry.split) != entry.split)
        .map(|entry| entry.patient.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_hold_in_each_class() {
        let labels: Vec<bool> = (0..1000).map(|i| i % 5 == 0).collect();
        let splits = stratified(&labels, &mut Variates::new(3, 0));
        for (split, positives, negatives) in [
            (Split::Train, 160, 640),
            (Split::Val, 20, 80),
            (Split::Test, 20, 80),
        ] {
            let count = |class: bool| {
                splits
                    .iter()
                    .zip(&labels)
                    .filter(|&(&s, &l)| s == split && l == class)
                    .count()
            };
            assert_eq!((count(true), count(false)), (positives, negatives));
        }
    }

    #[test]
    fn patients_are_kept_whole_and_positive_by_one_film() {
        let names: Vec<String> = (0..100).map(|i| format!("p{i}")).collect();
        // Three films each; of the first twenty patients, the last film is positive.
        let films: Vec<(&str, bool)> = (0..300)
            .map(|film| (names[film % 100].as_str(), film % 100 < 20 && film >= 200))
            .collect();
        let shares = Shares {
            val: 0.2,
            test: 0.3,
        };
        let splits = by_patient(films.iter().copied(), shares, &mut Variates::new(1, 0));
        assert_eq!(splits.len(), 100);
        for (split, positives, negatives) in [
            (Split::Train, 10, 40),
            (Split::Val, 4, 16),
            (Split::Test, 6, 24),
        ] {
            let count = |positive: bool| {
                let members = names
                    .iter()
                    .enumerate()
                    .filter(|(i, name)| (*i < 20) == positive && splits[name.as_str()] == split);
                members.count()
            };
            assert_eq!((count(true), count(false)), (positives, negatives));
        }
        let backwards = by_patient(
            films.iter().rev().copied(),
            shares,
            &mut Variates::new(1, 0),
        );
        assert_eq!(splits, backwards);
        let others = by_patient(films.iter().copied(), shares, &mut Variates::new(2, 0));
        assert_ne!(splits, others);
    }
}
