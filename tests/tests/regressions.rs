//! The files of `regressions`, each with one fault or rarity that real files have: what becomes of
//! each, its grey, its notes, or the code and the sentence of its refusal.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use plumbline_shared::decode::{Decoded, decode};

/// What must become of a file: either a grey or a refusal.
#[derive(serde::Deserialize)]
struct Expected {
    /// The picture of the right grey.
    #[serde(default)]
    grey: String,
    /// Greatest difference of a grey.
    #[serde(default)]
    tolerance: u16,
    #[serde(default)]
    notes: Vec<String>,
    /// The refusal's code.
    refused: Option<String>,
    /// A part of its sentence.
    #[serde(default)]
    sentence: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions")
}

impl Expected {
    /// Says what is wrong with a film that was read.
    fn fault_of(&self, decoded: &Decoded) -> Option<String> {
        if self.refused.is_some() {
            return Some("was read".to_owned());
        }
        let right = image::open(folder().join(&self.grey))
            .unwrap()
            .into_luma16();
        let film = &decoded.film;
        if (film.width(), film.height()) != right.dimensions() {
            return Some(format!("has {} x {} pixels", film.width(), film.height()));
        }
        let differences = film.pixels().iter().zip(right.as_raw());
        let off = differences.map(|(ours, right)| ours.abs_diff(*right)).max();
        if off > Some(self.tolerance) {
            return Some(format!("is off by {off:?}"));
        }
        let notes: Vec<String> = decoded.notes.iter().map(ToString::to_string).collect();
        (notes != self.notes).then(|| format!("has the notes {notes:?}, not {:?}", self.notes))
    }
}

#[test]
fn faults_of_real_files_are_read_right_or_refused_by_name() {
    let text = fs::read(folder().join("expected.json")).unwrap();
    let expected: BTreeMap<String, Expected> = serde_json::from_slice(&text).unwrap();
    assert!(expected.len() > 150);
    let mut wrong = Vec::new();
    for (name, expected) in &expected {
        let fault = match decode(&fs::read(folder().join(name)).unwrap()) {
            Ok(decoded) => expected.fault_of(&decoded),
            Err(error) => {
                let code = format!("{:?}", error.kind());
                let sentence = error.to_string();
                let named = expected.refused.as_ref() == Some(&code)
                    && sentence.contains(&expected.sentence);
                (!named).then(|| format!("was refused as {code}: {sentence}"))
            }
        };
        wrong.extend(fault.map(|fault| format!("{name} {fault}")));
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
