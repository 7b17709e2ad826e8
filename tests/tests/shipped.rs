//! The shipped files: the bundles, the sample films, and the README's first command.

use std::fs;

use plumbline_tests::{objects, program, root, succeed};
use serde_json::Value;

/// The readings of the sample films with one bundle.
fn readings(bundle: &str) -> Vec<Value> {
    let mut edge = program("plumbline-edge");
    objects(edge.args(["screen", "--bundle", bundle, "--json", "tests/films"]))
}

/// Every processor must give the readings that were committed with the bundle
/// (`plumbline-edge screen --bundle models/NAME --json tests/films`, probabilities alone).
#[test]
fn sample_films_read_as_they_did_when_the_bundles_were_made() {
    let text = fs::read_to_string(root().join("tests/films/readings.json")).unwrap();
    let committed: Value = serde_json::from_str(&text).unwrap();
    for name in ["chexnet", "efficientnet"] {
        let readings = readings(&format!("models/{name}"));
        assert_eq!(readings.len(), 6);
        for reading in readings {
            let film = reading["film"].as_str().unwrap();
            let expected = committed[name][film].as_f64().unwrap();
            let probability = reading["probability"].as_f64().unwrap();
            assert!(
                (probability - expected).abs() < 1e-3,
                "{name} gives {film} {probability}, not {expected}"
            );
        }
    }
}

#[test]
fn the_default_bundle_is_the_shipped_chexnet_and_draws_every_film() {
    let out = tempfile::tempdir().unwrap();
    let mut edge = program("plumbline-edge");
    let table = succeed(
        edge.args(["screen", "tests/films", "--out"])
            .arg(out.path()),
    );
    assert!(table.starts_with("chexnet "), "{table}");
    let films = fs::read_dir(root().join("tests/films")).unwrap();
    let films = films.map(|film| film.unwrap().path());
    let mut drawn = 0;
    for film in films.filter(|film| film.extension().is_some_and(|e| e == "png" || e == "dcm")) {
        let picture = out
            .path()
            .join(film.file_stem().unwrap())
            .with_extension("png");
        assert!(picture.exists(), "{} was not drawn", picture.display());
        drawn += 1;
    }
    assert_eq!(drawn, 6);
}

#[test]
fn shipped_bundles_are_whole_and_small() {
    let most = [
        ("chexnet", 9_000_000),
        ("efficientnet", 9_000_000),
        ("gate", 500_000),
    ];
    for (name, most) in most {
        let bundle = format!("models/{name}");
        let mut plumbline = program("plumbline");
        assert!(succeed(plumbline.args(["verify", &bundle])).contains("is whole"));
        let size = fs::metadata(root().join(&bundle).join("model.onnx"))
            .unwrap()
            .len();
        assert!(size < most, "{name} has {size} bytes");
    }
}
