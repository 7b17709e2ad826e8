//! Pretrained weights of every known source: files with the libraries' own names, imported, must
//! answer as the libraries do (`references/weights.json`, made by `weights.py` beside it).

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use candle_core::{Device, Tensor};
use common::foreign::{self, Object};
use common::reference;
use common::refusal::refusal;
use plumbline_host::export::{About, StoragePrecision, onnx, weights, write_bundle};
use plumbline_host::weights::{Source, import};
use plumbline_nets::{Head, Mode, Network, Parameters, Variant, WeightsFile};
use plumbline_reader::Bundle;
use plumbline_shared::architecture::Architecture;
use serde::Deserialize;

const DENSENET: Architecture = Architecture::Densenet121;
const EFFICIENTNET: Architecture = Architecture::EfficientnetB0;

/// A library's answer.
#[derive(Deserialize)]
struct Answer {
    /// The film's side.
    side: usize,
    /// The number of outputs, the first of them, and the sum of all.
    count: usize,
    first: Vec<f64>,
    sum: f64,
    /// The file's names and shapes, where they are not torchvision's.
    #[serde(default)]
    tensors: Vec<(String, Vec<usize>)>,
    /// The outputs' names.
    #[serde(default)]
    classes: Vec<String>,
}

fn answers() -> BTreeMap<String, Answer> {
    serde_json::from_str(include_str!("references/weights.json")).unwrap()
}

type Names = Vec<(String, Vec<usize>)>;

/// torchvision's names with a classifier of `outputs`.
fn torchvision(architecture: Architecture, classifier: &str, outputs: usize) -> Names {
    let mut names = reference::network(architecture.name()).tensors;
    names.retain(|(name, _)| !name.starts_with("classifier"));
    let features = architecture.features();
    names.push((format!("{classifier}.weight"), vec![outputs, features]));
    names.push((format!("{classifier}.bias"), vec![outputs]));
    names
}

/// torchvision's names before 2018.
fn old(names: Names) -> Names {
    let old = |name: String| {
        let Some((before, layer)) = name.split_once("denselayer") else {
            return name;
        };
        let layer = layer.replace("norm", "norm.").replace("conv", "conv.");
        format!("{before}denselayer{layer}")
    };
    names
        .into_iter()
        .map(|(name, shape)| (old(name), shape))
        .collect()
}

/// Tensors with the values that follow from their names.
fn tensors(names: &Names) -> Vec<foreign::Tensor> {
    let tensor = |(name, shape): &(String, Vec<usize>)| foreign::Tensor {
        name: name.clone(),
        shape: shape.clone(),
        values: reference::tensor(name, shape),
    };
    names.iter().map(tensor).collect()
}

/// The same by Keras' names, at the paths that `path` gives for a layer and a weight.
fn keras(names: &Names, path: impl Fn(&str, &str) -> String) -> Vec<foreign::Tensor> {
    let tensor = |(name, shape): &(String, Vec<usize>)| {
        let (layer, weight) = name.rsplit_once('/').unwrap();
        foreign::Tensor {
            name: path(layer, weight),
            shape: shape.clone(),
            values: reference::keras_tensor(name, shape),
        }
    };
    names.iter().map(tensor).collect()
}

/// Imports the file `bytes` and checks what it answers to a film; gives the metadata's reading.
fn check(
    bytes: &[u8],
    architecture: Architecture,
    source: Option<Source>,
    answer: &Answer,
) -> plumbline_nets::Description {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (
        folder.path().join("file"),
        folder.path().join("w.safetensors"),
    );
    std::fs::write(&file, bytes).unwrap();
    let imported = import(&file, architecture, source).unwrap();
    imported.save(&out).unwrap();

    let weights = WeightsFile::read(&out).unwrap();
    let description = weights.description.clone();
    assert_eq!(description, imported.description);
    let mut parameters = Parameters::new(&Device::Cpu, 0);
    let (variant, head) = (description.variant, description.head);
    let network = Network::build(architecture, variant, head, &mut parameters).unwrap();
    weights.give_all(&parameters).unwrap();
    let output = network
        .forward(&film(answer.side), &mut Mode::Evaluation)
        .unwrap();
    let outputs: Vec<f32> = output
        .logits
        .value()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();

    assert_eq!(outputs.len(), answer.count);
    let scale = answer
        .first
        .iter()
        .fold(0.0, |most: f64, x| most.max(x.abs()));
    let errors = outputs.iter().zip(&answer.first);
    let error = errors.fold(0.0, |most: f64, (a, b)| most.max((f64::from(*a) - b).abs()));
    println!(
        "{}: off by {:.1e} of {scale:.3}",
        description.source,
        error / scale
    );
    assert!(
        error <= 1e-4 * scale,
        "{outputs:?} against {:?}",
        answer.first
    );
    let sum: f64 = outputs.iter().copied().map(f64::from).sum();
    let off = (sum - answer.sum).abs() / answer.count as f64;
    assert!(off <= 1e-4 * scale, "a sum of {sum} against {}", answer.sum);
    description
}

/// The upper left corner of a picture, `1 x 3 x side x side`.
fn film(side: usize) -> Tensor {
    let whole = (1, 3, reference::SIDE, reference::SIDE);
    let picture = Tensor::from_vec(reference::picture("input.0"), whole, &Device::Cpu).unwrap();
    let film = picture.narrow(2, 0, side).unwrap().narrow(3, 0, side);
    film.unwrap().contiguous().unwrap()
}

#[test]
fn torchvision_answers_as_it_does() {
    let answers = answers();
    let names = torchvision(DENSENET, "classifier", 1000);
    let file = foreign::torch_zip(&Object::StateDict, &tensors(&names));
    let new = check(&file, DENSENET, None, &answers["torchvision-densenet121"]);
    assert_eq!(new.variant, Variant::default());
    assert_eq!(new.head, Head::Linear { outputs: 1000 });

    let file = foreign::torch_legacy(&Object::StateDict, &tensors(&old(names)));
    check(
        &file,
        DENSENET,
        None,
        &answers["torchvision-densenet121-old"],
    );

    let names = torchvision(EFFICIENTNET, "classifier.1", 1000);
    let file = foreign::torch_zip(&Object::Checkpoint, &tensors(&names));
    check(
        &file,
        EFFICIENTNET,
        None,
        &answers["torchvision-efficientnet-b0"],
    );
}

#[test]
fn chexnet_answers_as_it_does() {
    let mut names = old(torchvision(DENSENET, "classifier.0", 14));
    for (name, _) in &mut names {
        *name = format!("module.densenet121.{name}");
    }
    let file = foreign::torch_legacy(&Object::Checkpoint, &tensors(&names));
    let description = check(&file, DENSENET, None, &answers()["chexnet"]);
    assert_eq!(description.source, "chexnet");
    assert_eq!(description.classes.len(), 14);
    assert_eq!(description.classes[1], "Cardiomegaly");
}

#[test]
fn torchxrayvision_answers_as_it_does() {
    let mut names = torchvision(DENSENET, "classifier", 18);
    names[0].1 = vec![64, 1, 7, 7];
    let file = foreign::torch_legacy(&Object::Module, &tensors(&names));
    let answer = &answers()["torchxrayvision"];
    let description = check(&file, DENSENET, None, answer);
    assert_eq!(description.source, "torchxrayvision");
    assert_eq!(description.classes, answer.classes);
}

#[test]
fn keras_answers_as_it_does() {
    let answers = answers();
    let mut names = answers["keras-chexnet"].tensors.clone();
    let of_2018 = |layer: &str, weight: &str| {
        let layer = layer.replace("conv1_", "conv1/");
        format!("{layer}/{layer}/{weight}:0")
    };
    let file = foreign::hdf5(&keras(&names, of_2018));
    let description = check(&file, DENSENET, None, &answers["keras-chexnet"]);
    assert_eq!(description.source, "keras-chexnet");
    assert_eq!(description.variant.epsilon, 1.001e-5);
    assert!(!description.variant.last_relu);
    assert_eq!(description.classes.len(), 14);

    for (name, shape) in &mut names {
        if name.starts_with("predictions") {
            *shape.last_mut().unwrap() = 20;
        }
    }
    let of_today = |layer: &str, weight: &str| format!("model_weights/{layer}/{layer}/{weight}");
    let file = foreign::hdf5(&keras(&names, of_today));
    let description = check(&file, DENSENET, None, &answers["keras-densenet121"]);
    assert_eq!(description.source, "keras");
}

#[test]
fn lukemelas_answers_as_it_does() {
    let answers = answers();
    let names = &answers["lukemelas"].tensors;
    let file = foreign::torch_zip(&Object::StateDict, &tensors(names));
    let description = check(&file, EFFICIENTNET, None, &answers["lukemelas"]);
    assert_eq!(description.source, "lukemelas");
    let advprop = Some(Source::LukemelasAdvprop);
    check(&file, EFFICIENTNET, advprop, &answers["lukemelas-advprop"]);
}

#[test]
fn timm_answers_as_it_does() {
    let answers = answers();
    let names = &answers["timm-efficientnet_b0"].tensors;
    let file = foreign::safetensors(&tensors(names));
    let assumed = check(&file, EFFICIENTNET, None, &answers["timm-efficientnet_b0"]);
    assert_eq!(assumed.source, "timm");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, &file).unwrap();
    let other = import(&path, EFFICIENTNET, Some(Source::Lukemelas));
    let sentence = other.err().unwrap().to_string();
    assert!(
        sentence.contains("named as timm's, not as lukemelas's"),
        "{sentence}"
    );
    let tf = &answers["timm-tf_efficientnet_b0"];
    check(&file, EFFICIENTNET, Some(Source::TimmTf), tf);
}

/// Every way of computing, as exported for stations and run by tract.
#[test]
fn variants_are_exported() {
    let architectures = [
        (DENSENET, Source::Torchxrayvision),
        (DENSENET, Source::KerasChexnet),
        (EFFICIENTNET, Source::LukemelasAdvprop),
    ];
    for (architecture, source) in architectures {
        let variant = source.variant();
        let mut parameters = Parameters::new(&Device::Cpu, 3);
        let network = Network::build(architecture, variant, Head::Study, &mut parameters).unwrap();
        let shapes = parameters.tensors();
        let values = |name: &str| {
            let shape = shapes[name].dims();
            Tensor::from_vec(reference::tensor(name, shape), shape, &Device::Cpu).ok()
        };
        parameters.restore(&mut |name| values(name)).unwrap();
        let film = film(reference::SIDE);
        let output = network.forward(&film, &mut Mode::Evaluation).unwrap();
        let expected: Vec<f32> = output
            .logits
            .value()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();

        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("bundle");
        let weights = weights(&parameters).unwrap();
        let model = onnx(architecture, variant, &weights, StoragePrecision::F32).unwrap();
        let about = About {
            model: "variant",
            model_version: "1.0.0",
            architecture,
            threshold: 0.5,
            refusals: &[],
            statistics: None,
            card: "# Variant\n",
        };
        write_bundle(&bundle, &about, &model).unwrap();
        let film: Vec<f32> = film.flatten_all().unwrap().to_vec1().unwrap();
        let reading = Bundle::open(&bundle).unwrap().read(&film).unwrap();
        for (got, expected) in reading.logits.iter().zip(&expected) {
            let error = (got - expected).abs() / expected.abs().max(1.0);
            assert!(error <= 1e-4, "{source:?}: {got} against {expected}");
        }
    }
}

/// The output of a command of the program.
fn plumbline(arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plumbline"));
    let output = command.args(arguments).output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

/// A film in NumPy's format.
fn npy(film: &[f32]) -> Vec<u8> {
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 256, 256)}";
    let mut file = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    file.extend(format!("{header:<117}\n").as_bytes());
    file.extend(film.iter().flat_map(|value| value.to_le_bytes()));
    file
}

/// One output may answer for anything: only the user's word makes it scoliosis.
#[test]
fn one_output_reads_scoliosis_only_if_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (file, film) = (at("one.pth"), at("x.npy"));
    let names = torchvision(DENSENET, "classifier", 1);
    let bytes = foreign::torch_zip(&Object::StateDict, &tensors(&names));
    std::fs::write(&file, bytes).unwrap();
    std::fs::write(&film, npy(&reference::picture("input.0"))).unwrap();
    let cases: [(&[&str], bool); 3] = [
        (&[], false),
        (&["--classes", "Pneumonia"], false),
        (&["--classes", "scoliosis"], true),
    ];
    for (classes, is_scoliosis) in cases {
        let weights = at("w.safetensors");
        let import = ["weights", "import", &file, "--arch", "densenet121"];
        let said = plumbline(&[&import[..], classes, &["--out", &weights]].concat()).unwrap();
        assert_eq!(said.contains("reads scoliosis"), is_scoliosis, "{said}");
        let description = WeightsFile::read(Path::new(&weights)).unwrap().description;
        assert_eq!(description.reads_scoliosis(), is_scoliosis, "{classes:?}");
        let predict = [
            "predict",
            "--json",
            "--tensor",
            &film,
            "--weights",
            &weights,
        ];
        let answer = plumbline(&[&predict[..], &["--arch", "densenet121"]].concat()).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer.get("positive").is_some(), is_scoliosis, "{answer}");
        assert_eq!(answer.get("outputs").is_none(), is_scoliosis, "{answer}");
    }
    let import = ["weights", "import", &file, "--arch", "densenet121"];
    let many = ["--classes", "scoliosis,Mass", "--out", &at("many")];
    let refused = plumbline(&[&import[..], &many].concat()).unwrap_err();
    assert!(refused.contains("a name for each output"), "{refused}");
}

/// From a file of torchxrayvision's to a bundle: its outputs, a run that begins with it, and what
/// stations get of that run.
#[test]
fn a_run_computes_as_its_initial_weights_did() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let write = |name: &str, bytes: &[u8]| std::fs::write(at(name), bytes).unwrap();
    let mut names = torchvision(DENSENET, "classifier", 18);
    names[0].1 = vec![64, 1, 7, 7];
    write(
        "xrv.pt",
        &foreign::torch_zip(&Object::Module, &tensors(&names)),
    );
    write("x.npy", &npy(&reference::picture("input.0")));
    let recipe = "architecture = \"densenet121\"\nseed = 5\n[[round]]\ntrain = \"last-layer\"\n\
                  optimiser = \"adam\"\nlearning_rate = 1e-6\nbatch = 4\nepochs = 1\nside = 64\n";
    write("recipe.toml", recipe.as_bytes());

    let (weights, run, bundle) = (at("w.safetensors"), at("run"), at("bundle"));
    let arch = ["--arch", "densenet121"];
    let [name, value] = arch;
    let import = [
        "weights",
        "import",
        &at("xrv.pt"),
        name,
        value,
        "--out",
        &weights,
    ];
    let said = plumbline(&import).unwrap();
    assert!(
        said.contains("densenet121 of torchxrayvision: 18 outputs"),
        "{said}"
    );
    let ask = |model: &[&str]| -> Result<serde_json::Value, String> {
        let tensor = at("x.npy");
        let command = [&["predict", "--json", "--tensor", &tensor], model].concat();
        Ok(serde_json::from_str(&plumbline(&command)?).unwrap())
    };
    let outputs = ask(&["--weights", &weights, name, value]).unwrap();
    let outputs = outputs["outputs"].as_array().unwrap();
    assert_eq!(
        (outputs.len(), &outputs[17]["class"]),
        (18, &"Enlarged Cardiomediastinum".into())
    );
    assert!(outputs[0]["logit"].is_number() && outputs[0]["probability"].is_number());
    let other = ask(&["--weights", &weights, name, "efficientnet-b0"]).unwrap_err();
    assert!(
        other.contains("are of densenet121; give weights of efficientnet-b0"),
        "{other}"
    );

    let cohort = at("cohort");
    let phantoms = [
        "--films",
        "12",
        "--prevalence",
        "0.5",
        "--seed",
        "3",
        "--side",
        "256",
    ];
    plumbline(&[&["cohort", "phantom", "--out", &cohort], &phantoms[..]].concat()).unwrap();
    let train = |init: &str, run: &str| {
        let recipe = at("recipe.toml");
        plumbline(&[
            "train", &recipe, "--cohort", &cohort, "--init", init, "--out", run,
        ])
        .unwrap()
    };
    let said = train(&weights, &run);
    assert!(said.contains("its head is not the recipe's"), "{said}");
    let logit = |model: &[&str]| ask(model).unwrap()["logit"].as_f64().unwrap();
    let best = format!("{run}/best.safetensors");
    let of_run = logit(&["--run", &run]);
    assert_eq!(logit(&["--weights", &best, name, value]), of_run);
    let export = [
        "export",
        "--precision",
        "f32",
        "--run",
        &run,
        "--calibrate",
        &cohort,
    ];
    plumbline(&[&export[..], &["--out", &bundle]].concat()).unwrap();
    let card = std::fs::read_to_string(format!("{bundle}/MODEL_CARD.md")).unwrap();
    assert!(card.contains("one channel from -1024 to 1024"), "{card}");
    let of_bundle = logit(&["--bundle", &bundle]);
    let error = (of_bundle - of_run).abs() / of_run.abs().max(1.0);
    assert!(error <= 1e-4, "{of_bundle} against {of_run}");

    // What begins with the run computes as the run does, and takes its head.
    let said = train(&best, &at("next"));
    assert!(!said.contains("the head is drawn"), "{said}");
    let record = std::fs::read_to_string(at("next/run.json")).unwrap();
    assert!(record.contains("one-channel-1024"), "{record}");
}

#[test]
fn tensors_that_do_not_fit_are_listed() {
    let names = torchvision(DENSENET, "classifier", 1000);
    let empty = |names: &Names| {
        let tensor = |(name, shape): &(String, Vec<usize>)| foreign::Tensor {
            name: name.clone(),
            shape: shape.clone(),
            values: vec![0.0; shape.iter().product()],
        };
        foreign::torch_zip(
            &Object::StateDict,
            &names.iter().map(tensor).collect::<Vec<_>>(),
        )
    };
    let mut changed = names.clone();
    changed.retain(|(name, _)| !name.starts_with("features.denseblock4.denselayer16."));
    changed.push(("features.attention.weight".into(), vec![3, 3]));
    changed[1].1 = vec![65];
    assert_eq!(
        refusal(&empty(&changed), DENSENET),
        "as weights of torchvision it does not fit densenet121: missing: \
         features.denseblock4.denselayer16.conv1.weight, \
         features.denseblock4.denselayer16.conv2.weight, \
         features.denseblock4.denselayer16.norm1.bias, \
         features.denseblock4.denselayer16.norm1.running_mean, \
         features.denseblock4.denselayer16.norm1.running_var, \
         features.denseblock4.denselayer16.norm1.weight, \
         features.denseblock4.denselayer16.norm2.bias, \
         features.denseblock4.denselayer16.norm2.running_mean, \
         features.denseblock4.denselayer16.norm2.running_var, \
         features.denseblock4.denselayer16.norm2.weight; extra: features.attention.weight; of \
         another shape: features.norm0.weight is [65] instead of [64]"
    );
    let other = refusal(&empty(&names), EFFICIENTNET);
    let start = "it has no names of efficientnet-b0 that any known source gives; it has \
                 classifier.bias, classifier.weight, ";
    assert!(other.starts_with(start), "{other}");
    assert!(other.contains(" and 596 more; give the weights"), "{other}");

    let mut tensors = tensors(&names);
    tensors[5].values[3] = f32::NAN;
    let astray = refusal(&foreign::safetensors(&tensors), DENSENET);
    assert!(
        astray.contains("values that are not finite numbers"),
        "{astray}"
    );
}
