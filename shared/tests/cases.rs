//! Files with the faults of public bug reports, where they are at hand: each is read as its plain
//! film of the right grey, or refused by the name of its fault.

#![cfg(feature = "decode")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use plumbline_shared::decode::decode;

/// An entry of `expected.json`.
#[derive(serde::Deserialize)]
struct Case {
    /// The file of the right grey.
    equals: Option<String>,
    /// Words, one of which the sentence of a refusal has.
    #[serde(default)]
    refused: Vec<String>,
    #[serde(default)]
    or_refused: Vec<String>,
    /// How far from the right film's logit the case's may be.
    #[serde(default)]
    tolerance: f64,
}

#[test]
fn reported_faults_are_read_right_or_refused_by_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases");
    let Ok(text) = fs::read(folder.join("expected.json")) else {
        println!("skipped: there is no {}", folder.display());
        return;
    };
    let cases: BTreeMap<String, Case> = serde_json::from_slice(&text).unwrap();
    let mut wrong = Vec::new();
    for (name, case) in &cases {
        let read = |name: &str| decode(&fs::read(folder.join(name)).unwrap());
        let fault = match (read(name), &case.equals) {
            (Ok(_), None) => Some("was read".to_owned()),
            (Ok(decoded), Some(right)) => {
                let right = read(right).unwrap().film;
                let off = (decoded.film.pixels().iter().zip(right.pixels()))
                    .map(|(ours, right)| f64::from(ours.abs_diff(*right)));
                let mean = off.sum::<f64>() / right.pixels().len() as f64;
                // Lossy streams and sigmoids are rounded differently by different readers.
                let most = if case.tolerance > 1e-5 { 600.0 } else { 0.0 };
                let same_size = decoded.film.width() == right.width();
                (mean > most || !same_size).then(|| format!("is off by {mean} in the mean"))
            }
            (Err(error), _) => {
                let sentence = error.to_string().to_lowercase();
                let words = [&case.refused[..], &case.or_refused].concat();
                let named = words
                    .iter()
                    .any(|word| sentence.contains(&word.to_lowercase()));
                (!named).then(|| format!("was refused: {error}"))
            }
        };
        wrong.extend(fault.map(|fault| format!("{name} {fault}")));
    }
    assert!(
        wrong.is_empty(),
        "of {} cases:\n{}",
        cases.len(),
        wrong.join("\n")
    );
}
