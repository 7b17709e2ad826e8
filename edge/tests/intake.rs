//! Films and what is none, through the child process and out of folders.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use plumbline_edge::intake::{IntakeError, decode_with};
use plumbline_shared::decode::decode;
use plumbline_shared::film::Film;

fn read(path: &Path) -> Result<Film, IntakeError> {
    decode_with(Path::new(env!("CARGO_BIN_EXE_plumbline-edge")), path)
}

fn films() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/tests/films")
}

#[test]
fn a_child_reads_what_its_parent_would() {
    for name in [
        "jpeg_2000_16.dcm",
        "jpeg_ls_12.dcm",
        "rle_8.dcm",
        "grey_16.png",
    ] {
        let path = films().join(name);
        let film = decode(&fs::read(&path).unwrap()).unwrap();
        let start = Instant::now();
        assert_eq!(read(&path).unwrap(), film);
        println!("{name}: {:?} in a child", start.elapsed());
    }
}

#[test]
fn each_refusal_is_one_sentence_with_the_files_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let whole = fs::read(films().join("explicit_16.dcm")).unwrap();
    let cases = [
        (file("empty.dcm", b""), "is empty"),
        (file("ten.png", b"0123456789"), "starts like none of"),
        (file("cut.dcm", &whole[..whole.len() / 2]), "damaged"),
        (films().join("refused_colour.png"), "in colour"),
        (films().join("refused_huge.dcm"), "20000 x 20000"),
        (films().join("refused_no_pixels.dcm"), "no pixel data"),
        (folder.path().join("missing.dcm"), "cannot be read"),
        (folder.path().to_path_buf(), "cannot be read"),
    ];
    for (path, part) in cases {
        let message = read(&path).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
        assert!(message.starts_with(path.to_str().unwrap()), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_film_that_asks_for_too_much_costs_itself_alone() {
    // 300 MiB of nothing: longer than any film.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.dcm");
    let file = fs::File::create(&path).unwrap();
    file.set_len(300 << 20).unwrap();
    let error = read(&path).unwrap_err();
    assert!(matches!(error, IntakeError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("256 MiB"), "{error}");
}

#[test]
fn a_child_that_dies_is_told() {
    let path = films().join("explicit_8.dcm");
    let error = decode_with(Path::new("/bin/false"), &path).unwrap_err();
    assert!(matches!(error, IntakeError::Fatal { .. }), "{error}");
    let error = decode_with(Path::new("/nowhere/plumbline-edge"), &path).unwrap_err();
    assert!(matches!(error, IntakeError::NoProcess { .. }), "{error}");
}
