use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use super::*;
use crate::cohort::duplicates::Hash;
use crate::cohort::films::prepare_file;

/// Writes a PGM-like film as a 16-bit PNG: a gradient with a pattern of its own.
fn film(folder: &Path, name: &str, seed: u32) {
    let side = 300;
    let picture = image::ImageBuffer::from_fn(side, side + 7 * seed, |x, y| {
        image::Luma([(x * 150 + y * seed * 37 + (x * y * seed) % 997) as u16])
    });
    picture.save(folder.join(name)).unwrap();
}

/// A folder with three films, the second of which is none.
fn cohort() -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    film(folder.path(), "a.png", 1);
    fs::write(folder.path().join("b.png"), b"no film").unwrap();
    film(folder.path(), "c.png", 2);
    (
        folder,
        ["a.png", "b.png", "c.png"].map(PathBuf::from).to_vec(),
    )
}

fn build(folder: &Path, films: &[PathBuf]) -> Packing {
    pack(folder, films, || ()).unwrap()
}

fn reason(folder: &Path, films: &[PathBuf]) -> String {
    PackedFilms::open(folder, films).unwrap_err().to_string()
}

/// Names of all files that are not films.
fn others(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".png"))
        .collect()
}

#[test]
fn packed_films_are_the_prepared_ones() {
    let (folder, films) = cohort();
    let folder = folder.path();
    assert!(matches!(
        PackedFilms::open(folder, &films),
        Err(StaleReason::Absent)
    ));
    let done = AtomicUsize::new(0);
    let built = pack(folder, &films, || {
        done.fetch_add(1, Ordering::Relaxed);
    });
    let built = built.unwrap();
    assert_eq!(done.into_inner(), 3);
    assert!(built.unkept.is_none());
    assert_eq!(others(folder), [PACKED]);
    let [(1, failure)] = &built.failures[..] else {
        panic!("{:?}", built.failures);
    };
    let sentence = failure.to_string();
    assert!(sentence.contains("b.png") && sentence.contains("starts like none"));
    for packed in [built.packed, PackedFilms::open(folder, &films).unwrap()] {
        assert_eq!(packed.len(), 3);
        for name in ["a.png", "c.png"] {
            let path = folder.join(name);
            let expected = prepare_file(&path).unwrap();
            for film in [Path::new(name), &path] {
                let place = packed.place(film).unwrap();
                assert_eq!(packed.grey(place), expected.grey());
                assert_eq!(packed.hash(film), Some(Hash::of(expected.grey())));
            }
        }
        let error = packed.place(Path::new("b.png")).unwrap_err();
        assert_eq!(error.to_string(), sentence);
        assert_eq!(packed.hash(Path::new("b.png")), None);
    }
}

#[test]
fn packing_twice_gives_the_same_bytes() {
    let (folder, films) = cohort();
    let packed = folder.path().join(PACKED);
    build(folder.path(), &films);
    let first = fs::read(&packed).unwrap();
    // Once from the packed films and once from the films themselves.
    build(folder.path(), &films);
    assert!(fs::read(&packed).unwrap() == first);
    fs::remove_file(&packed).unwrap();
    build(folder.path(), &films);
    assert!(fs::read(&packed).unwrap() == first);
}

#[test]
fn changed_and_added_films_make_packed_ones_stale() {
    let (folder, mut films) = cohort();
    let folder = folder.path();
    build(folder, &films);
    film(folder, "d.png", 3);
    films.push("d.png".into());
    assert_eq!(reason(folder, &films), "the film d.png has been added");
    build(folder, &films);
    let packed = PackedFilms::open(folder, &films).unwrap();
    // Other pixels in a file of another time.
    film(folder, "a.png", 4);
    let a = fs::File::open(folder.join("a.png")).unwrap();
    a.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(reason(folder, &films), "the film a.png has changed");
    let again = build(folder, &films).packed;
    let place = again.place(Path::new("a.png")).unwrap();
    let expected = prepare_file(&folder.join("a.png")).unwrap();
    assert_eq!(again.grey(place), expected.grey());
    // Those who hold the old ones still have them.
    assert_ne!(packed.grey(place), expected.grey());
    fs::remove_file(folder.join("c.png")).unwrap();
    assert_eq!(reason(folder, &films), "the film c.png has changed");
    // Films that nobody asks for do not matter.
    films.remove(2);
    assert_eq!(PackedFilms::open(folder, &films).unwrap().len(), 4);
}

#[test]
fn another_preprocessing_version_or_damaged_file_is_packed_anew() {
    let (folder, films) = cohort();
    let folder = folder.path();
    let packed = folder.join(PACKED);
    build(folder, &films);
    let whole = fs::read(&packed).unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        fs::write(&packed, bytes).unwrap();
        reason(folder, &films)
    };
    assert!(with(0, b'X').contains("does not start as one"));
    assert!(with(8, 99).contains("another version"));
    assert!(with(16, b'-').contains("another preprocessing"));
    assert!(with(whole.len() - 1, 0xaa).contains("index is damaged"));
    for length in [0, 7, 100, 4096, whole.len() / 2, whole.len() - 1] {
        fs::write(&packed, &whole[..length]).unwrap();
        assert!(PackedFilms::open(folder, &films).is_err(), "{length} bytes");
    }
    build(folder, &films);
    assert!(fs::read(&packed).unwrap() == whole);
}

#[test]
fn films_that_cannot_be_read_now_are_tried_again() {
    let (folder, mut films) = cohort();
    let folder = folder.path();
    films.push("late.png".into());
    let failures = build(folder, &films).failures;
    assert_eq!(failures.len(), 2);
    assert!(failures[1].1.to_string().contains("cannot be read"));
    film(folder, "late.png", 5);
    assert_eq!(reason(folder, &films), "the film late.png has changed");
    assert_eq!(build(folder, &films).failures.len(), 1);
    PackedFilms::open(folder, &films).unwrap();
}

#[test]
fn what_a_stopped_process_left_is_removed() {
    let (folder, films) = cohort();
    let folder = folder.path();
    let left = |name: &str, age: u64| {
        let file = fs::File::create(folder.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age))
            .unwrap();
        file
    };
    left(".films.packed.1-2-3.unfinished", 3600);
    let live = left(".films.packed.1-2-4.unfinished", 3600);
    live.lock().unwrap();
    // Another process may have made it a moment ago and not have locked it yet.
    left(".films.packed.1-2-5.unfinished", 0);
    build(folder, &films);
    let mut left = others(folder);
    left.sort();
    let young = ".films.packed.1-2-5.unfinished";
    assert_eq!(left, [".films.packed.1-2-4.unfinished", young, PACKED]);
}

#[test]
fn a_folder_that_takes_no_file_still_gives_films() {
    let (folder, films) = cohort();
    // The name is taken by a folder.
    fs::create_dir(folder.path().join(PACKED)).unwrap();
    let built = build(folder.path(), &films);
    assert!(built.unkept.is_some());
    let expected = prepare_file(&folder.path().join("a.png")).unwrap();
    assert_eq!(built.packed.grey(0), expected.grey());
    // Nothing can be made here at all, not even by the system's administrator.
    if cfg!(target_os = "linux") {
        let film = folder.path().join("a.png");
        let built = build(Path::new("/proc"), std::slice::from_ref(&film));
        assert!(built.unkept.is_some());
        assert_eq!(
            built.packed.grey(built.packed.place(&film).unwrap()),
            expected.grey()
        );
    }
}
