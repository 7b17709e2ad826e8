//! The gate's network from a cohort of spoilt films to a bundle, and what bundles say of the films
//! that they know.

mod common;

use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use common::reference;
use plumbline_host::cohort::phantom::{Format, Frame, PhantomOptions, generate};
use plumbline_host::cohort::spoil::{SpoilOptions, spoil};
use plumbline_host::cohort::{Cohort, Split};
use plumbline_host::export::{
    About, ExportOptions, StoragePrecision, Weight, Weights, export_gate, onnx, statistics,
    with_statistics, write_bundle,
};
use plumbline_host::train::{PreparedFilms, Recipe, Record, Run, train};
use plumbline_nets::{Mode, Variant};
use plumbline_reader::{Bundle, BundleError, Gate, Judgement};
use plumbline_shared::architecture::Architecture;
use plumbline_shared::clinical::Refusal;
use plumbline_shared::manifest::RefusalLimit;
use plumbline_shared::preprocess::{FINGERPRINT, prepare};
use serde::Deserialize;

/// The output of `host/nets/tests/references/gate.py`, as far as it is needed here.
#[derive(Deserialize)]
struct Expected {
    tensors: Vec<(String, Vec<usize>)>,
    answers: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    input: String,
    logits: Vec<f64>,
}

fn logits(judgement: &Judgement) -> Vec<f64> {
    let scores = judgement.scores.iter();
    scores
        .map(|score| (score.probability / (1.0 - score.probability)).ln())
        .collect()
}

#[test]
fn an_exported_gate_judges_like_pytorch() {
    let expected: Expected =
        serde_json::from_str(include_str!("../nets/tests/references/gate.json")).unwrap();
    let tensors = expected.tensors.iter();
    let weights: Weights = tensors
        .map(|(name, shape)| {
            let data = reference::tensor(name, shape);
            let shape = shape.clone();
            (name.clone(), Weight { shape, data })
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    // int8 rounds each weight by up to 0.4 %.
    for (precision, tolerance) in [(StoragePrecision::F32, 1e-4), (StoragePrecision::Int8, 0.1)] {
        let model = onnx(Architecture::Gate, Variant::default(), &weights, precision).unwrap();
        let about = About {
            model: "gate",
            model_version: "1.0.0",
            architecture: Architecture::Gate,
            threshold: 0.5,
            refusals: &Refusal::ALL.map(|refusal| RefusalLimit {
                refusal,
                threshold: 0.5,
            }),
            statistics: None,
            card: "# Reference\n",
        };
        let target = folder.path().join("gate");
        write_bundle(&target, &about, &model).unwrap();
        let gate = Gate::open(&target).unwrap();
        for answer in &expected.answers {
            let judgement = gate.judge(&reference::picture(&answer.input)).unwrap();
            for (got, expected) in logits(&judgement).iter().zip(&answer.logits) {
                assert!((got - expected).abs() < tolerance, "{got} {expected}");
            }
        }
        // It is no network that reads films.
        let refused = Bundle::open(&target).unwrap_err();
        assert!(matches!(refused, BundleError::Task { .. }), "{refused}");
    }
    let chexnet = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/chexnet");
    assert!(matches!(
        Gate::open(&chexnet),
        Err(BundleError::Task { .. })
    ));
}

/// A cohort of phantoms, and one of spoilt ones made of it.
fn cohorts(folder: &Path) -> (Cohort, Cohort) {
    let out = folder.join("phantoms");
    let drawn = PhantomOptions {
        films: 60,
        refused: 10,
        prevalence: 0.5,
        seed: 11,
        out: out.clone(),
        format: Format::Png,
        side: 96,
        frame: Frame::SquareChest,
    };
    generate(&drawn, |_| {}).unwrap();
    let phantoms = Cohort::open(&out).unwrap();
    let options = SpoilOptions {
        films: 240,
        good: 0.4,
        seed: 1,
        whole: false,
        out: folder.join("spoilt"),
    };
    spoil(std::slice::from_ref(&phantoms), &options, || {}).unwrap();
    (phantoms, Cohort::open(&options.out).unwrap())
}

#[test]
fn a_gate_is_trained_and_exported_as_it_was_trained() {
    let folder = tempfile::tempdir().unwrap();
    let (_, cohort) = cohorts(folder.path());
    let packed = Arc::new(cohort.pack(|| {}).unwrap().packed);
    let recipe: Recipe = toml::from_str(
        "architecture = \"gate\"\nseed = 1\n[[round]]\ntrain = \"all\"\noptimiser = \"adam\"\n\
         learning_rate = 0.003\nsampling = \"shuffled\"\nside = 64\nbatch = 16\nepochs = 2",
    )
    .unwrap();
    let films = |split| {
        let entries = cohort.entries().iter().filter(|e| e.split == split);
        PreparedFilms::of_refusals(Arc::clone(&packed), entries.collect()).unwrap()
    };
    let record = Record {
        variant: Variant::default(),
        cohort: cohort.fingerprint().to_owned(),
        left_out: 0,
        preprocessing: FINGERPRINT.to_owned(),
        initial_weights: None,
        plumbline: "test".into(),
        revision: None,
    };
    let run = Run::begin(&folder.path().join("run"), recipe, record, false).unwrap();
    let (training, validation) = (films(Split::Train), films(Split::Val));
    assert_eq!(training.outputs().len(), Refusal::ALL.len());
    train(&run, &training, &validation, None, &[Device::Cpu], |_| {}).unwrap();
    let losses: Vec<f64> = run.epochs().unwrap().iter().map(|e| e.loss).collect();
    assert!(losses[1] < losses[0], "{losses:?}");

    let options = ExportOptions {
        name: "gate".into(),
        model_version: "1.0.0".into(),
        precision: StoragePrecision::F32,
        sensitivity: None,
        remarks: "A remark.".into(),
    };
    let out = folder.path().join("bundle");
    let exported = export_gate(&run, &cohort, &packed, &options, &out, |_| {}).unwrap();
    let gate = Gate::open(&out).unwrap();
    let (network, _) = run.network().unwrap();
    let entry = &cohort.entries()[0];
    let grey = packed.grey(packed.place(&entry.film).unwrap());
    let film = plumbline_shared::film::Film::new(256, 256, grey.to_vec()).unwrap();
    let tensor = prepare(&film).tensor();
    let judgement = gate.judge(&tensor).unwrap();
    let x = Tensor::from_vec(tensor, (1, 3, 256, 256), &Device::Cpu).unwrap();
    let output = network.forward(&x, &mut Mode::Evaluation).unwrap();
    let trained: Vec<f32> = output
        .logits
        .value()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();
    for (got, trained) in logits(&judgement).iter().zip(trained) {
        assert!((got - f64::from(trained)).abs() < 1e-3, "{got} {trained}");
    }
    assert!(judgement.unlikeness.is_some());
    let counted: usize = exported.measures.faults.iter().map(|(_, c)| c[0]).sum();
    let test = cohort.entries().iter().filter(|e| e.split == Split::Test);
    assert_eq!(counted + exported.measures.good, test.count());
    let card = std::fs::read_to_string(out.join("MODEL_CARD.md")).unwrap();
    assert!(card.contains("A remark.") && card.contains("upside-down"));
}

#[test]
fn statistics_are_added_to_a_bundle_and_change_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (phantoms, spoilt) = cohorts(folder.path());
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/efficientnet");
    let bundle = Bundle::open(&shipped).unwrap();
    let packed = phantoms.pack(|| {}).unwrap().packed;
    let known = statistics(&bundle, &phantoms, &packed, None, |_| {}).unwrap();
    let out = folder.path().join("knowing");
    with_statistics(&shipped, &known, &out).unwrap();
    let knowing = Bundle::open(&out).unwrap();
    // Twice is once.
    with_statistics(&out, &known, &out).unwrap();
    let (a, b) = (bundle.manifest(), knowing.manifest());
    assert_eq!(
        (&a.model_version, a.threshold),
        (&b.model_version, b.threshold)
    );
    assert_eq!(Some(&a.files["model.onnx"]), b.files.get("model.onnx"));
    let read = |film: &Path| {
        let prepared = plumbline_host::cohort::prepare_file(film).unwrap();
        let tensor = prepared.tensor();
        let reading = knowing.read(&tensor).unwrap();
        assert_eq!(reading.decision, bundle.read(&tensor).unwrap().decision);
        reading.unlikeness.unwrap()
    };
    let good = phantoms.entries().iter().filter(|e| e.refusal.is_none());
    let strange = good.filter(|entry| read(&entry.film).is_beyond());
    assert!(strange.count() <= 6);
    let blank = spoilt.entries().iter();
    let blank = blank.filter(|entry| entry.refusal == Some(Refusal::Blank));
    for entry in blank.take(3) {
        let prepared = plumbline_host::cohort::prepare_file(&entry.film).unwrap();
        let features = bundle.pooled_features(&prepared.tensor()).unwrap();
        let (said, is) = (read(&entry.film), known.unlikeness(&features));
        assert!((said.distance / is.distance - 1.0).abs() < 1e-4);
        assert!((said.limit / is.limit - 1.0).abs() < 1e-9);
    }
    std::fs::write(out.join("features.json"), b"{}").unwrap();
    let damaged = Bundle::open(&out).unwrap_err().to_string();
    assert!(damaged.contains("features.json is damaged"), "{damaged}");
}
