//! Splits: by patient, stratified by label.

use std::collections::HashMap;

use super::manifest::{Entry, Split};
use super::phantom::Dice;

/// Shares of validation and test films; the rest is for training.
const VAL: f64 = 0.1;
const TEST: f64 = 0.1;

/// A split for each patient, given whether the patient is positive: the same shares of positives
/// and of negatives everywhere, to one patient.
pub(crate) fn stratified(labels: &[bool], dice: &mut Dice) -> Vec<Split> {
    let mut splits = vec![Split::Train; labels.len()];
    for class in [true, false] {
        let mut members: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == class).collect();
        dice.shuffle(&mut members);
        let count = |share: f64| (members.len() as f64 * share).round() as usize;
        let (val, test) = (count(VAL), count(TEST));
        for &i in members.iter().take(val) {
            splits[i] = Split::Val;
        }
        for &i in members.iter().skip(val).take(test) {
            splits[i] = Split::Test;
        }
    }
    splits
}

/// A patient with films in more than one split.
pub(crate) fn torn_patient(entries: &[Entry]) -> Option<&str> {
    let mut seen: HashMap<&str, Split> = HashMap::new();
    entries
        .iter()
        .find(|entry| *seen.entry(&entry.patient).or_insert(entry.split) != entry.split)
        .map(|entry| entry.patient.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_hold_in_each_class() {
        let labels: Vec<bool> = (0..1000).map(|i| i % 5 == 0).collect();
        let splits = stratified(&labels, &mut Dice::new(3, 0));
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
}
