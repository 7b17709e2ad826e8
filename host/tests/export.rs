//! Exported bundles, opened and run by tract as a station does, against torchvision.

mod common;

use std::fs;
use std::path::Path;

use common::reference::{self, Answer};
use plumbline_host::export::{
    About, ExportError, StoragePrecision, Weight, Weights, onnx, write_bundle,
};
use plumbline_nets::Variant;
use plumbline_reader::{Bundle, MANIFEST, MODEL, MODEL_CARD, Reading};
use plumbline_shared::architecture::Architecture;
use plumbline_shared::manifest::sha256;
use prost::Message;
use serde_json::Value;
use tract_onnx::pb::ModelProto;

fn weights(architecture: Architecture) -> Weights {
    let tensors = reference::network(architecture.name()).tensors.into_iter();
    tensors
        .map(|(name, shape)| {
            let data = reference::tensor(&name, &shape);
            (name, Weight { shape, data })
        })
        .collect()
}

fn write(target: &Path, architecture: Architecture, precision: StoragePrecision) {
    let about = About {
        model: "reference",
        model_version: "1.0.0",
        architecture,
        threshold: 0.5,
        refusals: &[],
        statistics: None,
        card: "# Reference\n",
    };
    let model = onnx(
        architecture,
        Variant::default(),
        &weights(architecture),
        precision,
    )
    .unwrap();
    write_bundle(target, &about, &model).unwrap();
}

/// The largest difference between a reading's logits and the reference's, and between the maps.
fn differences(reading: &Reading, answer: &Answer) -> (f64, f64) {
    let most = |a: &[f32], b: &[f64]| {
        assert_eq!(a.len(), b.len());
        let differences = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - b).abs());
        differences.fold(0.0, f64::max)
    };
    (
        most(&reading.logits, &answer.logits),
        most(&reading.cam.values, &answer.cam),
    )
}

/// Logits of the reference lie between 1 and 5, so that a difference is nearly relative.
///
/// The tolerances for int8 are what rounding does to random weights, about 0.4 % a layer; trained
/// networks suffer less. That the rounding itself is right is tested beside it.
fn reads_like_torchvision(architecture: Architecture, int8_logit: f64, int8_cam: f64) {
    let folder = tempfile::tempdir().unwrap();
    for (precision, logit_tolerance, cam_tolerance) in [
        (StoragePrecision::F32, 1e-4, 1e-4),
        (StoragePrecision::Int8, int8_logit, int8_cam),
    ] {
        let target = folder.path().join("bundle");
        write(&target, architecture, precision);
        let bundle = Bundle::open(&target).unwrap();
        for answer in reference::network(architecture.name()).answers {
            let tensor = reference::picture(&answer.input);
            let reading = bundle.read(&tensor).unwrap();
            let (logit, cam) = differences(&reading, &answer);
            assert!(
                logit <= logit_tolerance,
                "{:?} {:?}",
                reading.logits,
                answer.logits
            );
            assert!(cam <= cam_tolerance, "{:?} {:?}", reading.cam, answer.cam);
        }
    }
}

#[test]
fn densenet121_reads_like_torchvision() {
    reads_like_torchvision(Architecture::Densenet121, 0.1, 0.1);
}

#[test]
fn efficientnet_b0_reads_like_torchvision() {
    reads_like_torchvision(Architecture::EfficientnetB0, 0.2, 0.35);
}

/// Copies `bundle`, lets `change` at the copy, and gives the sentence it is refused with.
fn refusal(bundle: &Path, change: impl FnOnce(&Path)) -> String {
    let copy = tempfile::tempdir().unwrap();
    for file in [MODEL, MANIFEST, MODEL_CARD] {
        fs::copy(bundle.join(file), copy.path().join(file)).unwrap();
    }
    change(copy.path());
    let sentence = Bundle::open(copy.path()).unwrap_err().to_string();
    assert_eq!(sentence.lines().count(), 1, "{sentence}");
    sentence.replace(&*copy.path().to_string_lossy(), "BUNDLE")
}

/// Changes values of the manifest.
fn manifest(bundle: &Path, change: impl FnOnce(&mut Value)) {
    let path = bundle.join(MANIFEST);
    let mut json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    fs::write(path, json.to_string()).unwrap();
}

/// Puts another network into the bundle, with its right hash.
fn replace(bundle: &Path, model: &[u8]) {
    fs::write(bundle.join(MODEL), model).unwrap();
    manifest(bundle, |json| json["files"][MODEL] = sha256(model).into());
}

#[test]
fn bundles_that_are_not_whole_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    write(&bundle, Architecture::Densenet121, StoragePrecision::Int8);
    let changed = |change: &dyn Fn(&mut Value)| refusal(&bundle, |b| manifest(b, change));

    let missing = refusal(&bundle, |b| fs::remove_file(b.join(MODEL)).unwrap());
    assert!(
        missing.starts_with("BUNDLE/model.onnx cannot be read"),
        "{missing}"
    );
    let missing = refusal(&bundle, |b| fs::remove_file(b.join(MANIFEST)).unwrap());
    assert!(
        missing.starts_with("BUNDLE/manifest.json cannot be read"),
        "{missing}"
    );

    for file in [MODEL, MODEL_CARD] {
        let flipped = refusal(&bundle, |b| {
            let mut bytes = fs::read(b.join(file)).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(b.join(file), bytes).unwrap();
        });
        let expected = format!("bundle BUNDLE: {file} is damaged or was changed");
        assert!(flipped.starts_with(&expected), "{flipped}");
        assert!(flipped.ends_with("install the bundle again"), "{flipped}");
    }

    let other = changed(&|json| json["preprocessing"] = "0123".into());
    assert!(other.contains("another preprocessing of films"), "{other}");
    let other = changed(&|json| json["input"]["height"] = 224.into());
    assert!(other.contains("another preprocessing of films"), "{other}");
    let later = changed(&|json| json["format"] = 99.into());
    assert!(later.contains("format 99"), "{later}");
    let escape = changed(&|json| json["files"]["../x"] = sha256(b"").into());
    assert!(
        escape.contains("\"../x\", which is not a plain file name"),
        "{escape}"
    );
    let other = changed(&|json| json["architecture"] = "efficientnet-b0".into());
    assert!(
        other.contains("it has no tensor classifier.0.weight"),
        "{other}"
    );

    let garbage = refusal(&bundle, |b| replace(b, b"not a network"));
    assert!(
        garbage.starts_with("model.onnx of bundle BUNDLE cannot be used"),
        "{garbage}"
    );
    let mut model = ModelProto::decode(&*fs::read(bundle.join(MODEL)).unwrap()).unwrap();
    model.graph.as_mut().unwrap().output[1].name = "features.norm5".to_string();
    let unnamed = refusal(&bundle, |b| replace(b, &model.encode_to_vec()));
    assert!(
        unnamed.contains("its outputs are not called logits and features"),
        "{unnamed}"
    );
}

#[test]
fn weights_of_another_network_are_refused() {
    let architecture = Architecture::Densenet121;
    let whole = weights(architecture);
    let export = |change: &dyn Fn(&mut Weights)| {
        let mut weights = whole.clone();
        change(&mut weights);
        onnx(
            architecture,
            Variant::default(),
            &weights,
            StoragePrecision::F32,
        )
        .unwrap_err()
    };
    let tensor = || Weight {
        shape: vec![1],
        data: vec![f32::NAN],
    };
    let missing = export(&|w| drop(w.remove("features.norm5.bias")));
    assert!(matches!(missing, ExportError::Missing(name) if name == "features.norm5.bias"));
    let shape = export(&|w| drop(w.insert("features.conv0.weight".into(), tensor())));
    assert!(matches!(shape, ExportError::Shape { .. }), "{shape}");
    let unknown = export(&|w| drop(w.insert("features.conv1.weight".into(), tensor())));
    assert!(matches!(unknown, ExportError::Unknown(_)), "{unknown}");
    let astray = export(&|w| drop(w.insert("classifier.bias".into(), tensor())));
    assert!(matches!(astray, ExportError::NotFinite(_)), "{astray}");
}
