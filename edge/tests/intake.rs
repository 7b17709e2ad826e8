//! Films and what is none, through the child process and out of folders.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use plumbline_edge::intake::{IntakeError, WAIT, decode_with};
use plumbline_shared::decode::decode;
use plumbline_shared::film::Film;
use plumbline_wire::decoder::RefusalCode;

const PROGRAM: &str = env!("CARGO_BIN_EXE_plumbline-edge");

fn read(path: &Path) -> Result<Film, IntakeError> {
    decode_with(Path::new(PROGRAM), path, WAIT).map(|file| file.film)
}

/// The error for a film where `text`, a shell script, stands for the child.
fn read_by_script(text: &str, wait: Duration) -> IntakeError {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("child");
    fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    decode_with(&program, Path::new("film"), wait).unwrap_err()
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
        let film = decode(&fs::read(&path).unwrap()).unwrap().film;
        let start = Instant::now();
        assert_eq!(read(&path).unwrap(), film);
        println!("{name}: {:?} in a child", start.elapsed());
    }
}

#[test]
fn a_header_comes_with_the_film_and_with_a_refusal() {
    let of = |name: &str| decode_with(Path::new(PROGRAM), &films().join(name), WAIT);
    let file = of("explicit_16.dcm").unwrap();
    assert_eq!(file.notes, ["window 32767.5/65535 (linear exact)"]);
    let bytes = fs::read(films().join("explicit_16.dcm")).unwrap();
    assert_eq!(
        file.header,
        Some(plumbline_shared::decode::header(&bytes).unwrap())
    );
    assert_eq!(of("grey_16.png").unwrap().header, None);
    let codes = [
        ("refused_colour.dcm", RefusalCode::Colour),
        ("refused_frames.dcm", RefusalCode::Unsupported),
        ("refused_huge.dcm", RefusalCode::Size),
        ("refused_no_pixels.dcm", RefusalCode::NoPixels),
        ("refused_not_square.dcm", RefusalCode::NotSquare),
        ("refused_cut_off.dcm", RefusalCode::Damaged),
    ];
    for (name, expected) in codes {
        match of(name) {
            Err(IntakeError::Refused { code, header, .. }) => {
                assert_eq!(code, expected, "{name}");
                let patient = header.and_then(|header| header.patient_name);
                assert_eq!(patient.as_deref(), Some("Phantom^Film"), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
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
        (folder.path().to_path_buf(), "not a file"),
        (PathBuf::from("/dev/zero"), "not a file"),
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
    let error = decode_with(Path::new("/bin/false"), &path, WAIT).unwrap_err();
    assert!(matches!(error, IntakeError::Fatal { .. }), "{error}");
    let error = decode_with(Path::new("/nowhere/plumbline-edge"), &path, WAIT).unwrap_err();
    assert!(matches!(error, IntakeError::NoProcess { .. }), "{error}");
    for text in [
        "kill -SEGV $$",
        "exit 0",
        "echo this is no answer",
        // Films of 2^32 - 1 x 2^32 - 1, of 0 x 1, and of 2 x 2 with half their pixels.
        r"printf '\14\0\0\0\0\0\377\377\377\377\17\377\377\377\377\17'",
        r"printf '\4\0\0\0\0\0\0\1'",
        r"printf '\4\0\0\0\0\0\2\2abcd'",
        // A message of 2^32 - 1 bytes.
        r"printf '\377\377\377\377abcd'",
    ] {
        let error = read_by_script(text, WAIT);
        assert!(
            matches!(error, IntakeError::Fatal { .. }),
            "{text}: {error}"
        );
    }
    let error = read_by_script("kill -XCPU $$", WAIT);
    assert!(matches!(error, IntakeError::TooSlow { .. }), "{error}");
    let error = read_by_script(r"printf '\12\0\0\0\0\1\4\6a\33[2Jb'", WAIT);
    assert_eq!(error.to_string(), "film: a [2Jb");
}

#[test]
fn a_child_that_hangs_or_dawdles_is_ended_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let noted = folder.path().join("pid");
    let note = format!("echo $$ > {}", noted.display());
    for text in [
        "exec sleep 100",
        // A film of 1 x 4096 pixels, a byte now and then.
        r"printf '\6\0\0\0\0\0\1\200\40\0'; while printf x; do sleep 0.05; done",
    ] {
        let start = Instant::now();
        let error = read_by_script(&format!("{note}; {text}"), Duration::from_secs(1));
        assert!(matches!(error, IntakeError::TooSlow { .. }), "{error}");
        assert!(start.elapsed() < Duration::from_secs(10));
        let pid = fs::read_to_string(&noted).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists());
    }
}

#[test]
fn the_child_is_limited_and_dies_with_its_parent() {
    // A film that fits no pipe: with its limits set, the child waits for a reader.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.png");
    let picture = image::GrayImage::from_fn(400, 400, |x, y| image::Luma([(x ^ y) as u8]));
    picture.save(&path).unwrap();
    // The shell stands for a station.
    let command = format!(
        "'{PROGRAM}' decode '{}' & echo $! >&2; wait",
        path.display()
    );
    let mut shell = Command::new("sh")
        .args(["-c", &command])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pid = String::new();
    let mut errors = BufReader::new(shell.stderr.take().unwrap());
    errors.read_line(&mut pid).unwrap();
    let process = Path::new("/proc").join(pid.trim());
    shell.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let limits = fs::read_to_string(process.join("limits")).unwrap();
    for (name, limit) in [
        ("Max address space", (2u64 << 30).to_string()),
        ("Max cpu time", 20.to_string()),
        ("Max file size", 0.to_string()),
    ] {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        assert_eq!(line[name.len()..].split_whitespace().next(), Some(&*limit));
    }
    shell.kill().unwrap();
    shell.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    // A dead process stays in the table until its new parent has looked at it.
    while fs::read_to_string(process.join("stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < deadline, "the child outlived its parent");
        thread::sleep(Duration::from_millis(10));
    }
}
