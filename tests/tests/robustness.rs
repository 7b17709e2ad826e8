//! Things that go wrong around a command: films that cannot be used, readers that go away, files
//! of any size.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use plumbline_tests::{objects, program, succeed};

fn plumbline(arguments: &[&str]) -> Command {
    let mut command = program("plumbline");
    command.args(arguments);
    command
}

/// A cohort of 25 small phantoms.
fn cohort(folder: &Path) -> String {
    let cohort = folder.join("cohort").to_str().unwrap().to_owned();
    let drawing = "cohort phantom --films 25 --prevalence 0.4 --seed 8 --side 64 --square --out";
    let mut drawing: Vec<&str> = drawing.split(' ').collect();
    drawing.push(&cohort);
    succeed(&mut plumbline(&drawing));
    cohort
}

const BUNDLE: &str = "models/efficientnet";

#[test]
fn a_bad_film_is_left_out_and_too_many_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(folder.path());
    let out = folder.path().join("measured");
    let out = out.to_str().unwrap();
    let evaluate = || {
        plumbline(&[
            "evaluate", "--bundle", BUNDLE, "--cohort", &cohort, "--split", "all", "--out", out,
            "--json",
        ])
    };
    fs::write(format!("{cohort}/films/000003.png"), "no film").unwrap();
    let measures = &objects(&mut evaluate())[0];
    assert_eq!(measures["n"], 24);
    assert_eq!(measures["left_out"], 1);
    let told = evaluate().output().unwrap().stderr;
    let told = String::from_utf8(told).unwrap();
    assert!(told.contains("000003.png"), "{told}");
    let table = fs::read_to_string(format!("{out}/predictions.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 24);

    fs::write(format!("{cohort}/films/000004.png"), "").unwrap();
    let refused = evaluate().output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(
        told.contains("2 of 25 films cannot be used, more than the 5 %"),
        "{told}"
    );
}

/// A short training on the cohort of `cohort(folder)`, and its run.
fn training(folder: &Path) -> (Command, PathBuf) {
    let recipe = folder.join("recipe.toml");
    let text = "architecture = \"efficientnet-b0\"\nseed = 5\n[[round]]\ntrain = \"all\"\n\
                optimiser = \"adam\"\nlearning_rate = 0.001\nbatch = 4\nepochs = 2\nfilms = 4\n\
                side = 64\n";
    fs::write(&recipe, text).unwrap();
    let run = folder.join("run");
    let mut train = plumbline(&["train"]);
    train.arg(recipe).arg("--cohort").arg(folder.join("cohort"));
    train.arg("--out").arg(&run);
    (train, run)
}

#[test]
fn a_training_leaves_bad_films_out_and_records_how_many() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(folder.path());
    let table = fs::read_to_string(format!("{cohort}/cohort.csv")).unwrap();
    let row = table.lines().find(|line| line.contains(",train,")).unwrap();
    let film = row.split(',').next().unwrap();
    fs::write(format!("{cohort}/{film}"), "no film").unwrap();
    let (mut train, run) = training(folder.path());
    succeed(&mut train);
    let record = fs::read_to_string(run.join("run.json")).unwrap();
    assert!(record.contains("\"left_out\": 1"), "{record}");
}

/// `COMMAND | head -0`: the reader is gone before the first line.
fn with_nobody_listening(mut command: Command) -> (Option<i32>, String) {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), errors)
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(folder.path());
    let films = format!("{cohort}/films");
    let out = folder.path().join("measured");
    let out = out.to_str().unwrap();
    let mut edge = program("plumbline-edge");
    edge.args([
        "screen",
        "--json",
        "--read-refused",
        "--bundle",
        BUNDLE,
        &films,
    ]);
    let commands = [
        plumbline(&["predict", "--bundle", BUNDLE, "--json", &films]),
        plumbline(&[
            "evaluate", "--bundle", BUNDLE, "--cohort", &cohort, "--out", out,
        ]),
        plumbline(&["verify", BUNDLE]),
        plumbline(&["cohort", "show", &cohort]),
        edge,
    ];
    for command in commands {
        let shown = format!("{command:?}");
        let (code, errors) = with_nobody_listening(command);
        assert_eq!(code, Some(0), "{shown}: {errors}");
        assert!(
            !errors.contains("panicked") && !errors.contains("Broken pipe"),
            "{errors}"
        );
    }
}

#[test]
fn a_training_that_nobody_listens_to_goes_on_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    cohort(folder.path());
    let (train, run) = training(folder.path());
    let (code, errors) = with_nobody_listening(train);
    assert_eq!(code, Some(0), "{errors}");
    let epochs = fs::read_to_string(run.join("epochs.csv")).unwrap();
    assert_eq!(epochs.lines().count(), 1 + 2);
}

#[test]
fn endless_files_are_refused_at_once_and_names_cannot_steer_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("a\u{1b}[2J.png");
    fs::write(&odd, "no film").unwrap();
    let odd = odd.to_str().unwrap();
    let refused = plumbline(&["predict", "--bundle", BUNDLE, "/dev/zero", odd]);
    let refused = { refused }.output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(
        told.contains("not a file") && told.contains("a\u{fffd}[2J.png"),
        "{told}"
    );
    assert!(!told.contains('\u{1b}'), "{told:?}");
    let weights = plumbline(&[
        "predict",
        "--weights",
        "/dev/zero",
        "--arch",
        "densenet121",
        "--tensor",
        "none.npy",
    ])
    .output()
    .unwrap();
    let told = String::from_utf8(weights.stderr).unwrap();
    assert!(told.contains("no plain file"), "{told}");
}
