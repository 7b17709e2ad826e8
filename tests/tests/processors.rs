//! Greys and readings that every processor must give alike. `processors/expected.json` was written
//! on x86-64; `.ci/aarch64` runs this file on an emulated 64-bit ARM processor too.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use plumbline_reader::Bundle;
use plumbline_shared::decode::{Decoded, decode};
use plumbline_shared::manifest::sha256;
use plumbline_shared::preprocess::prepare;
use plumbline_tests::root;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The largest difference between the logits of two processors: sums are rounded in another order.
const LOGIT_TOLERANCE: f32 = 1e-4;

/// The values of `processors/expected.json`.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Expected {
    /// By path, what each film file gives.
    films: BTreeMap<String, Outcome>,
    /// By bundle and path, the logits of each sample film.
    logits: BTreeMap<String, BTreeMap<String, Vec<f32>>>,
}

/// The result of decoding and preparing one film file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// SHA-256 of the film's greys and of the 256 x 256 prepared ones, both as little-endian bytes.
    Greys { film: String, prepared: String },
    /// The sentence of the refusal.
    Refused(String),
}

fn expected_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/processors/expected.json")
}

fn expected() -> Expected {
    serde_json::from_slice(&fs::read(expected_file()).unwrap()).unwrap()
}

/// The film files of a folder of the repository, by their paths in it.
fn films(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut films: Vec<String> = paths
        .filter(|path| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            ["dcm", "png", "jpg", "tiff"].contains(&extension.unwrap_or_default())
        })
        .map(|path| format!("{folder}/{}", path.file_name().unwrap().to_string_lossy()))
        .collect();
    films.sort();
    films
}

fn hash_of(greys: &[u16]) -> String {
    let bytes: Vec<u8> = greys.iter().flat_map(|grey| grey.to_le_bytes()).collect();
    sha256(&bytes)
}

fn outcome(film: &str) -> Outcome {
    match decode(&fs::read(root().join(film)).unwrap()) {
        Ok(Decoded { film, .. }) => Outcome::Greys {
            film: hash_of(film.pixels()),
            prepared: hash_of(prepare(&film).grey()),
        },
        Err(error) => Outcome::Refused(error.to_string()),
    }
}

fn open(bundle: &str) -> Bundle {
    Bundle::open(&root().join("models").join(bundle)).unwrap()
}

fn logits(bundle: &Bundle, film: &str) -> Vec<f32> {
    let film = decode(&fs::read(root().join(film)).unwrap()).unwrap().film;
    bundle.read(&prepare(&film).tensor()).unwrap().logits
}

/// Compares one film's reading with the expected logits, and with the probability that the sample
/// films' own `readings.json` gives to five decimals.
fn compare_reading(bundle: &Bundle, name: &str, film: &str) {
    let expected = expected().logits[name][film].clone();
    let logits = logits(bundle, film);
    let difference = (logits.iter().zip(&expected))
        .map(|(ours, expected)| (ours - expected).abs())
        .fold(0.0, f32::max);
    println!("{name} {film}: logits {logits:?}, off by {difference:e}");
    assert_eq!(logits.len(), expected.len(), "{name} {film}");
    assert!(
        difference <= LOGIT_TOLERANCE,
        "{name} gives {film} {logits:?}, not {expected:?}"
    );
    let text = fs::read(root().join("tests/films/readings.json")).unwrap();
    let readings: Value = serde_json::from_slice(&text).unwrap();
    let committed = readings[name][film].as_f64().unwrap();
    let logit = match logits[..] {
        [logit] => logit,
        [negative, positive] => positive - negative,
        _ => panic!("{name} has {} outputs", logits.len()),
    };
    let probability = 1.0 / (1.0 + f64::from(-logit).exp());
    assert!(
        (probability - committed).abs() < 1e-4,
        "{name} gives {film} {probability}, not {committed}"
    );
}

#[test]
fn films_give_the_same_greys_on_every_processor() {
    let expected = expected().films;
    let mut films = films("shared/tests/films");
    films.extend(self::films("tests/films"));
    assert!(films.len() > 60, "{films:?}");
    assert!(films.iter().eq(expected.keys()), "the list is another");
    let different: Vec<String> = films
        .iter()
        .filter(|film| outcome(film) != expected[*film])
        .map(|film| format!("{film}: {:?}", outcome(film)))
        .collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn a_film_reads_the_same_on_every_processor() {
    compare_reading(
        &open("efficientnet"),
        "efficientnet",
        "tests/films/phantom-1.png",
    );
}

#[test]
#[ignore = "takes minutes under an emulator; .ci/full runs it there"]
fn all_films_read_the_same_on_every_processor() {
    for name in ["chexnet", "efficientnet"] {
        let bundle = open(name);
        for film in films("tests/films") {
            compare_reading(&bundle, name, &film);
        }
    }
}

#[test]
#[ignore = "writes expected.json anew; run it by name after a change that is meant to change it"]
fn record() {
    let mut recorded = Expected::default();
    for folder in ["shared/tests/films", "tests/films"] {
        for film in films(folder) {
            let outcome = outcome(&film);
            recorded.films.insert(film, outcome);
        }
    }
    for name in ["chexnet", "efficientnet"] {
        let bundle = open(name);
        let readings = films("tests/films").into_iter();
        let readings = readings.map(|film| (film.clone(), logits(&bundle, &film)));
        recorded.logits.insert(name.to_owned(), readings.collect());
    }
    let mut text = serde_json::to_string_pretty(&recorded).unwrap();
    text.push('\n');
    fs::write(expected_file(), text).unwrap();
}
