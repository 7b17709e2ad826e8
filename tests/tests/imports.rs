//! `cohort import` as its users run it, on the sample films.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use plumbline_tests::{program, root};

/// The exit code of a command, and its text on both outputs.
fn said(command: &mut Command) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = String::from_utf8([stdout, stderr].concat()).unwrap();
    (status.code(), text)
}

fn cohort(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = program("plumbline");
    said(command.current_dir(folder).arg("cohort").args(arguments))
}

/// Copies a sample film to a path in the folder.
fn film(folder: &Path, sample: &str, to: &str) {
    let to = folder.join(to);
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(root().join("tests/films").join(sample), to).unwrap();
}

#[test]
fn a_folder_of_classes_becomes_a_cohort_that_other_commands_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    film(folder, "phantom-1.png", "films/scoliosis/a.png");
    film(folder, "phantom-2.png", "films/normal/b.png");
    film(folder, "phantom-3.png", "films/normal/c.png");
    fs::write(folder.join("films/normal/d.png"), "no film").unwrap();
    let arguments = [
        "import", "folder", "films", "--out", "cohort", "--val", "0.5",
    ];
    let (code, text) = cohort(folder, &arguments);
    assert_eq!(code, Some(0), "{text}");
    for words in [
        "3 films of 3 patients in cohort: 1 positive, 2 negative",
        "rejected: 1 (cannot be read as a film 1); cohort/rejects.csv says why",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    let rejects = fs::read_to_string(folder.join("cohort/rejects.csv")).unwrap();
    let rows: Vec<&str> = rejects.lines().collect();
    assert_eq!(rows[0], "source,line,film,reason");
    assert!(
        rows[1].starts_with("films,,normal/d.png,") && rows.len() == 2,
        "{rejects}"
    );
    let (code, text) = cohort(folder, &["show", "cohort"]);
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(code, Some(0), "{text}");
    for row in [
        ["negative", "1", "1", "0", "2"],
        ["positive", "0", "1", "0", "1"],
    ] {
        assert!(rows.contains(&row.to_vec()), "{row:?} in {text}");
    }
    // Every film was decoded, and what came of it is kept.
    let (code, text) = cohort(folder, &["pack", "cohort"]);
    assert!(
        code == Some(0) && text.contains("holds all films already"),
        "{text}"
    );
    // What is there is not touched.
    let (code, text) = cohort(folder, &arguments);
    assert_eq!(code, Some(1));
    assert!(text.contains("cohort is not an empty folder"), "{text}");
    assert_eq!(
        fs::read_to_string(folder.join("cohort/rejects.csv")).unwrap(),
        rejects
    );
}

#[test]
fn copies_of_dicom_films_stand_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (sample, to) in [
        ("phantom-4.dcm", "tree/a"),
        ("phantom-5.dcm", "tree/deep/b.dcm"),
    ] {
        film(folder, sample, to);
    }
    fs::write(
        folder.join("labels.csv"),
        "Path,Label\na,1\ndeep/b.dcm,0\nc,1\n",
    )
    .unwrap();
    let (code, text) = cohort(
        folder,
        &[
            "import",
            "dicom",
            "tree",
            "--labels",
            "labels.csv",
            "--out",
            "x/cohort",
            "--copy",
        ],
    );
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("2 films of 2 patients"), "{text}");
    assert!(text.contains("rejected: 1 (file absent 1)"), "{text}");
    fs::remove_dir_all(folder.join("tree")).unwrap();
    let (code, text) = cohort(folder, &["show", "x/cohort"]);
    assert_eq!(code, Some(0), "{text}");
    let manifest = fs::read_to_string(folder.join("x/cohort/cohort.csv")).unwrap();
    assert!(manifest.contains("films/000000,phantom-"), "{manifest}");
    assert!(manifest.contains("films/000001.dcm,phantom-"), "{manifest}");
}

#[test]
fn a_failure_is_one_sentence_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    film(folder, "phantom-1.png", "source/a.png");
    fs::write(
        folder.join("source/labels.csv"),
        b"path,label\na.png,1\n\xe9.png,0\n",
    )
    .unwrap();
    for (format, source, words) in [
        (
            "folder",
            "source/labels.csv",
            "line 3 of source/labels.csv is not UTF-8",
        ),
        ("folder", "source", "no folder called scoliosis"),
        ("padchest", "source", "PADCHEST"),
        ("openi", "source", "no XML report"),
        ("nih", "source", "Data_Entry_2017"),
        ("nih", "absent", "cannot read absent"),
    ] {
        let (code, text) = cohort(folder, &["import", format, source, "--out", "deep/cohort"]);
        assert_eq!(code, Some(1), "{text}");
        assert!(
            text.starts_with("plumbline: ") && text.lines().count() == 1,
            "{text}"
        );
        assert!(text.contains(words), "{text}");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1, "{text}");
    }
    let (code, _) = cohort(folder, &["import", "dicom", "source", "--out", "cohort"]);
    assert_eq!(code, Some(2), "labels are needed");
}

#[test]
fn films_are_bent_and_joined_with_others() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    film(folder, "phantom-1.png", "films/scoliosis/a.png");
    film(folder, "phantom-2.png", "films/normal/b.png");
    let done = |arguments: &[&str]| {
        let (code, text) = cohort(folder, arguments);
        assert_eq!(code, Some(0), "{text}");
        text
    };
    done(&["import", "folder", "films", "--out", "films-cohort"]);
    done(&["bend", "films-cohort", "--films", "6", "--out", "bent"]);
    done(&["join", "films-cohort", "bent", "--out", "all"]);
    let text = done(&["show", "all"]);
    assert!(text.contains("8 films of 2 patients"), "{text}");
    // The one that shows scoliosis is not bent.
    let table = fs::read_to_string(folder.join("bent/cohort.csv")).unwrap();
    assert!(!table.contains("a.png"), "{table}");
    assert_eq!(fs::read_dir(folder.join("all/masks")).unwrap().count(), 6);
    let (code, text) = cohort(folder, &["bend", "bent", "--out", "bent"]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("bent is not empty; give a new folder"),
        "{text}"
    );
    fs::remove_dir_all(folder.join("films/normal")).unwrap();
    film(folder, "phantom-1.png", "films/other/x.png");
    done(&[
        "import",
        "folder",
        "films",
        "--positive",
        "other",
        "--out",
        "swapped",
    ]);
    fs::write(
        folder.join("swapped/cohort.csv"),
        fs::read_to_string(folder.join("swapped/cohort.csv"))
            .unwrap()
            .replace(",0,", ",1,"),
    )
    .unwrap();
    let (code, text) = cohort(folder, &["bend", "swapped", "--out", "none"]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("swapped has no films to make others of"),
        "{text}"
    );
}
