//! One chain from phantoms to a screened film, in small: every command of the host and the
//! station's own, on a network that has learnt nothing worth knowing.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use plumbline_tests::{objects, program, succeed};
use serde_json::Value;

fn plumbline(arguments: &[&str]) -> Command {
    let mut command = program("plumbline");
    command.args(arguments);
    command
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

fn recipe(architecture: &str, batch: usize) -> String {
    format!(
        "architecture = \"{architecture}\"\nseed = 5\n[augmentation]\nrotation_degrees = 5.0\n\
         contrast = 0.1\nnoise = 0.02\n\
         [[round]]\ntrain = \"last-layer\"\noptimiser = \"adagrad\"\nlearning_rate = 0.01\n\
         batch = {batch}\nepochs = 1\nside = 64\nplacements = 2\n\
         [[round]]\ntrain = \"all\"\noptimiser = \"adam\"\nlearning_rate = 0.001\n\
         batch = {batch}\nepochs = 2\nside = 64\naverage = 0.6\nweight_decay = 0.01\n\
         patience = 2\nsampling = \"shuffled\"\nloss = {{ positive_weight = 2.0 }}\n"
    )
}

/// `epochs.csv` without its last two columns, the times.
fn metrics(run: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(run).join("epochs.csv")).unwrap();
    let lines = text
        .lines()
        .map(|line| line.rsplitn(3, ',').last().unwrap().to_owned());
    lines.collect()
}

fn number(object: &Value, key: &str) -> f64 {
    object[key]
        .as_f64()
        .unwrap_or_else(|| panic!("{key} of {object}"))
}

fn cam(object: &Value) -> Vec<f64> {
    let rows = object["cam"].as_array().unwrap();
    assert_eq!(rows.len(), 8);
    let values = rows.iter().flat_map(|row| row.as_array().unwrap());
    values.map(|value| value.as_f64().unwrap()).collect()
}

/// The largest difference of logits, and of Grad-CAM values, between two readings of each film.
fn differences(a: &[Value], b: &[Value]) -> (f64, f64) {
    assert_eq!(a.len(), b.len());
    let (mut logit, mut map) = (0f64, 0f64);
    for (a, b) in a.iter().zip(b) {
        assert_eq!(a["film"], b["film"]);
        logit = logit.max((number(a, "logit") - number(b, "logit")).abs());
        let maps = cam(a).into_iter().zip(cam(b));
        map = maps.map(|(a, b)| (a - b).abs()).fold(map, f64::max);
    }
    (logit, map)
}

fn from_phantoms_to_a_screened_film(architecture: &str) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| path(folder.path(), name);
    let (cohort, run) = (at("cohort"), at("run"));
    succeed(&mut plumbline(&[
        "cohort",
        "phantom",
        "--films",
        "20",
        "--prevalence",
        "0.5",
        "--seed",
        "3",
        "--side",
        "256",
        "--out",
        &cohort,
    ]));
    fs::write(at("recipe.toml"), recipe(architecture, 4)).unwrap();
    let train = |run: &str, more: &[&str]| {
        let recipe = at("recipe.toml");
        let mut arguments = vec!["train", &recipe, "--cohort", &cohort, "--out", run];
        arguments.extend(more);
        succeed(&mut plumbline(&arguments));
    };
    train(&run, &[]);
    assert_eq!(metrics(&run).len(), 1 + 3);

    // The same again gives the same, although it is killed after an epoch and resumed.
    let again = at("again");
    let mut killed = plumbline(&[
        "train",
        &at("recipe.toml"),
        "--cohort",
        &cohort,
        "--out",
        &again,
    ])
    .spawn()
    .unwrap();
    let checkpoint = Path::new(&again).join("checkpoint.safetensors");
    while !checkpoint.exists() && killed.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = killed.kill();
    killed.wait().unwrap();
    train(&again, &["--resume"]);
    assert_eq!(metrics(&run), metrics(&again));

    // The station reads the f32 bundle as the host reads the run, and int8 nearly so.
    let films = format!("{cohort}/films");
    let host = objects(&mut plumbline(&[
        "predict", "--run", &run, &films, "--json",
    ]));
    assert_eq!(host.len(), 20);
    let export = |precision: &str| {
        let bundle = at(precision);
        succeed(&mut plumbline(&[
            "export",
            "--run",
            &run,
            "--calibrate",
            &cohort,
            "--out",
            &bundle,
            "--precision",
            precision,
        ]));
        assert!(succeed(&mut plumbline(&["verify", &bundle])).contains("is whole"));
        bundle
    };
    let screen = |bundle: &str| {
        let mut edge = program("plumbline-edge");
        // Phantoms of 64 pixels are no films that a gate was made for.
        objects(edge.args([
            "screen",
            "--bundle",
            bundle,
            "--json",
            "--read-refused",
            &films,
        ]))
    };
    let (logit, map) = differences(&host, &screen(&export("f32")));
    assert!(logit <= 1e-4, "f32 logits differ by {logit}");
    assert!(map <= 1e-4, "f32 maps differ by {map}");
    // Rounding to int8 moves a network that has learnt next to nothing by up to a tenth.
    let int8 = export("int8");
    let (logit, _) = differences(&host, &screen(&int8));
    assert!(logit <= 0.3, "int8 logits differ by {logit}");

    // A bundle is measured as the study measures.
    let measured = &objects(&mut plumbline(&[
        "evaluate",
        "--bundle",
        &int8,
        "--cohort",
        &cohort,
        "--split",
        "all",
        "--out",
        &at("measured"),
        "--json",
    ]))[0];
    assert_eq!(number(measured, "n"), 20.0);
    assert_eq!(number(measured, "positives"), 10.0);
    let counted: f64 = ["tp", "fp", "fn", "tn"]
        .iter()
        .map(|k| number(measured, k))
        .sum();
    assert_eq!(counted, 20.0);
    assert!((0.0..=1.0).contains(&number(measured, "roc_auc")));
    assert!(measured["roc_auc_95"]["low"].is_number());

    // A tensor is read as it is, past all preprocessing.
    let tensor = at("x.npy");
    fs::write(&tensor, npy(2)).unwrap();
    let read = objects(&mut plumbline(&[
        "predict", "--run", &run, "--tensor", &tensor, "--json",
    ]));
    assert_eq!(read.len(), 2);
    assert_eq!(number(&read[0], "logit"), number(&read[1], "logit"));
}

/// `films` equal films of zeros in NumPy's format.
fn npy(films: usize) -> Vec<u8> {
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({films}, 3, 256, 256), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(vec![0; films * 3 * 256 * 256 * 4]);
    file
}

#[test]
fn densenet121_goes_all_the_way() {
    from_phantoms_to_a_screened_film("densenet121");
}

#[test]
fn efficientnet_b0_goes_all_the_way() {
    from_phantoms_to_a_screened_film("efficientnet-b0");
}

/// Pretraining on the phantoms' findings, whose weights then begin a training on scoliosis.
#[test]
fn findings_are_learnt_first() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| path(folder.path(), name);
    let cohort = at("cohort");
    let drawing = "cohort phantom --films 80 --prevalence 0.5 --seed 4 --side 64 --out";
    let mut drawing: Vec<&str> = drawing.split(' ').collect();
    drawing.push(&cohort);
    succeed(&mut plumbline(&drawing));
    let round = "[[round]]\ntrain = \"all\"\noptimiser = \"adam\"\nlearning_rate = 0.001\n\
                 batch = 8\nepochs = 1\nside = 64\nsampling = \"shuffled\"\n";
    let head = "architecture = \"efficientnet-b0\"\nseed = 5\n";
    let findings = "findings = [\"Effusion\", \"Mass\", \"Nodule\", \"Edema\"]\n";
    fs::write(at("findings.toml"), format!("{head}{findings}{round}")).unwrap();
    fs::write(at("scoliosis.toml"), format!("{head}{round}")).unwrap();
    let train = |recipe: &str, run: &str, more: &[&str]| {
        let mut arguments = vec!["train", recipe, "--cohort", &cohort, "--out", run];
        arguments.extend(more);
        succeed(&mut plumbline(&arguments))
    };
    let (first, second) = (at("first"), at("second"));
    train(&at("findings.toml"), &first, &[]);
    let film = format!("{cohort}/films/000000.png");
    let told = objects(&mut plumbline(&[
        "predict", "--run", &first, &film, "--json",
    ]));
    let outputs = told[0]["outputs"].as_array().unwrap();
    let names: Vec<&str> = outputs
        .iter()
        .map(|o| o["class"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Effusion", "Mass", "Nodule", "Edema"]);

    let begin = format!("{first}/best.safetensors");
    let said = train(&at("scoliosis.toml"), &second, &["--init", &begin]);
    assert!(said.contains("the head is drawn"), "{said}");
    let told = objects(&mut plumbline(&[
        "predict", "--run", &second, &film, "--json",
    ]));
    assert!((0.0..=1.0).contains(&number(&told[0], "probability")));
    let mut measured = plumbline(&["evaluate", "--run", &first, "--cohort", &cohort]);
    let measured = measured.args(["--out", &at("measured")]).output().unwrap();
    assert_eq!(measured.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&measured.stderr).contains("other classes than scoliosis"));
}

#[test]
fn host_and_station_do_not_build_each_other() {
    let cargo = |package: &str| {
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(plumbline_tests::root());
        command.args([
            "tree",
            "--offline",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
        ]);
        succeed(command.args(["--package", package]))
    };
    let has = |tree: &str, name: &str| {
        tree.lines()
            .any(|line| line.starts_with(&format!("{name} ")))
    };
    let edge = cargo("plumbline-edge");
    assert!(
        has(&edge, "tract-onnx") && !has(&edge, "candle-core") && !has(&edge, "plumbline-host")
    );
    let host = cargo("plumbline-host");
    assert!(has(&host, "candle-core") && !has(&host, "plumbline-edge"));
}
