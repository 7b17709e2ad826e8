//! The steps of screening as another program takes them: the library, with the station's program as
//! its decoder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plumbline_edge::intake::IntakeError;
use plumbline_edge::pipeline::{PipelineError, Received};
use plumbline_edge::quality::{Code, IntendedUse, QualityGate};
use plumbline_reader::{Bundle, Gate};
use plumbline_shared::decode::decode;
use plumbline_shared::preprocess::prepare;
use plumbline_wire::decoder::RefusalCode;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The station's gate.
fn gate() -> QualityGate {
    let network = Gate::open(&root().join("models/gate")).unwrap();
    QualityGate::new(IntendedUse::default(), Some(network))
}

fn received(path: &Path) -> Received<'_> {
    Received::new(path).decoded_by(Path::new(env!("CARGO_BIN_EXE_plumbline-edge")))
}

#[test]
fn a_film_goes_through_all_steps() {
    let bundle = Bundle::open(&root().join("models/chexnet")).unwrap();
    let path = root().join("tests/films/phantom-4.dcm");
    let read = received(&path).decode().unwrap().gate(&gate()).unwrap();
    let read = read.read(&bundle).unwrap();

    // Each step's result is that of the functions that it stands for.
    let bytes = fs::read(&path).unwrap();
    let film = decode(&bytes).unwrap().film;
    assert_eq!(read.path, path);
    assert_eq!(read.film, film);
    let header = plumbline_shared::decode::header(&bytes).unwrap();
    assert!(header.sop_instance_uid.is_some());
    assert_eq!(read.header, Some(header));
    let prepared = prepare(&film);
    assert_eq!(read.content, prepared.content());
    assert_eq!(read.reading, bundle.read(&prepared.tensor()).unwrap());
    let times = read.times;
    for time in [times.decode, times.prepare, times.gate, times.read] {
        assert!(time > Duration::ZERO, "{times:?}");
    }

    let picture = read.draw(&bundle);
    assert!(picture.width() > picture.height() && picture.height() > 1024);
    let coloured = |pixel: &&image::Rgb<u8>| pixel.0[0] > pixel.0[2].saturating_add(40);
    assert!(picture.pixels().filter(coloured).count() > 1000);
}

/// A sample film upside down, as a PNG.
fn upside_down(folder: &Path) -> PathBuf {
    let bytes = fs::read(root().join("tests/films/phantom-4.dcm")).unwrap();
    let film = decode(&bytes).unwrap().film;
    let turned: Vec<u16> = film.pixels().iter().rev().copied().collect();
    let picture: image::ImageBuffer<image::Luma<u16>, _> =
        image::ImageBuffer::from_raw(film.width(), film.height(), turned).unwrap();
    let path = folder.join("turned.png");
    picture.save(&path).unwrap();
    path
}

#[test]
fn a_refused_film_can_be_read_anyway_and_keeps_its_findings() {
    let bundle = Bundle::open(&root().join("models/chexnet")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = upside_down(folder.path());
    let examined = || received(&path).decode().unwrap().examine(&gate()).unwrap();
    let findings = examined().findings().to_vec();
    let codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::UpsideDown]);
    let refused = examined().accept().unwrap_err().to_string();
    assert!(
        refused.contains("is upside down; turn the film"),
        "{refused}"
    );
    let read = examined().read_anyway().read(&bundle).unwrap();
    assert!(read.findings.starts_with(&findings));
    assert!(read.reading.decision.probability.is_finite());
}

#[test]
fn each_step_refuses_for_its_own_reason_and_names_the_film() {
    let folder = tempfile::tempdir().unwrap();
    let message = |error: PipelineError, path: &Path| {
        let message = error.to_string();
        assert!(message.starts_with(path.to_str().unwrap()), "{message}");
        message
    };

    let path = folder.path().join("text.png");
    fs::write(&path, b"no picture").unwrap();
    let error = received(&path).decode().unwrap_err();
    assert!(matches!(
        &error,
        PipelineError::Intake(IntakeError::Refused { code, .. }) if *code == RefusalCode::Format
    ));
    message(error, &path);

    let path = folder.path().join("icon.png");
    let icon = image::GrayImage::from_fn(32, 500, |x, y| image::Luma([(x + y) as u8]));
    icon.save(&path).unwrap();
    let examined = received(&path).decode().unwrap().examine(&gate()).unwrap();
    let error = examined.accept().unwrap_err();
    let PipelineError::Quality { findings, .. } = &error else {
        panic!("{error}");
    };
    let codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::TooSmall]);
    assert!(message(error, &path).contains("32 x 500"));

    let received = Received::new(&path).decoded_by(Path::new("/nowhere/decoder"));
    let error = received.decode().unwrap_err();
    assert!(matches!(
        error,
        PipelineError::Intake(IntakeError::NoProcess { .. })
    ));
}
