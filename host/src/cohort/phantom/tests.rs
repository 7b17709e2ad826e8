use std::collections::BTreeMap;
use std::path::Path;

use plumbline_phantom::{Frame, REFUSALS};
use plumbline_shared::clinical::Refusal;
use plumbline_shared::decode::{ErrorKind, decode};

use super::*;
use crate::cohort::{Cohort, Split};

pub(in crate::cohort) fn options(out: &Path, films: u64, seed: u64) -> PhantomOptions {
    PhantomOptions {
        films,
        prevalence: 0.3,
        seed,
        out: out.to_owned(),
        format: Format::Png,
        side: 96,
        frame: Frame::Chest,
        refused: 0,
    }
}

/// Every file of a folder by its relative path.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for part in ["", "films", "masks"] {
        for entry in fs::read_dir(folder.join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

fn drawn(threads: usize, seed: u64, format: Format) -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let options = PhantomOptions {
        format,
        ..options(folder.path(), 6, seed)
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
        .install(|| generate(&options, |_| {}))
        .unwrap();
    contents(folder.path())
}

#[test]
fn a_seed_fixes_every_byte() {
    for format in [Format::Png, Format::Dicom] {
        let one = drawn(1, 11, format);
        assert_eq!(one.len(), 13);
        assert!(one == drawn(2, 11, format));
        let other = drawn(2, 12, format);
        assert!(
            one.iter()
                .all(|(name, bytes)| other.get(name) != Some(bytes))
        );
    }
}

#[test]
fn quotas_are_exact_and_splits_stratified() {
    let folder = tempfile::tempdir().unwrap();
    let many = PhantomOptions {
        films: 82_997,
        prevalence: 0.01576,
        ..options(folder.path(), 1, 4)
    };
    let positives = plan::angles(&many).iter().filter(|&&a| a >= 10.0).count();
    assert_eq!(positives, 1308);

    let some = PhantomOptions {
        side: 64,
        ..options(folder.path(), 100, 4)
    };
    generate(&some, |_| {}).unwrap();
    let cohort = Cohort::open(folder.path()).unwrap();
    let count = |split, label| {
        let (_, labels) = cohort.labelled(Some(split));
        labels.iter().filter(|l| **l == label).count()
    };
    assert_eq!(Split::ALL.map(|s| count(s, true)), [24, 3, 3]);
    assert_eq!(Split::ALL.map(|s| count(s, false)), [56, 7, 7]);
    for entry in cohort.entries() {
        assert_eq!(entry.label, Some(entry.cobb_degrees.unwrap() >= 10.0));
        assert_eq!(entry.label, Some(entry.apex.is_some()));
    }
}

#[test]
fn dicom_holds_the_same_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let (png, dcm) = (folder.path().join("png"), folder.path().join("dcm"));
    generate(&options(&png, 2, 9), |_| {}).unwrap();
    let dicom = PhantomOptions {
        format: Format::Dicom,
        ..options(&dcm, 2, 9)
    };
    generate(&dicom, |_| {}).unwrap();
    let picture = image::open(png.join("films/000001.png"))
        .unwrap()
        .into_luma16();
    let (width, height) = picture.dimensions();
    let object = dicom_object::open_file(dcm.join("films/000001.dcm")).unwrap();
    let text = |name: &str| {
        object
            .element_by_name(name)
            .unwrap()
            .to_str()
            .unwrap()
            .into_owned()
    };
    let pixels = object
        .element_by_name("PixelData")
        .unwrap()
        .to_multi_int::<u16>()
        .unwrap();
    let bits: u32 = text("BitsStored").parse().unwrap();
    let white = u16::MAX >> (16 - bits);
    let inverted = text("PhotometricInterpretation") == "MONOCHROME1";
    let shown = |value: u16| {
        let upright = if inverted { white - value } else { value };
        upright << (16 - bits)
    };
    let shown: Vec<u16> = pixels.into_iter().map(shown).collect();
    assert_eq!(shown, picture.into_raw());
    assert_eq!(text("PatientID"), "phantom-9-000001");
    assert_eq!(text("Rows"), height.to_string());
    assert_eq!(text("Columns"), width.to_string());
    assert!(text("SOPInstanceUID").starts_with("2.25."));
    assert_ne!(text("SOPInstanceUID"), text("StudyInstanceUID"));
}

#[test]
fn units_differ_in_their_headers() {
    let folder = tempfile::tempdir().unwrap();
    let dicom = PhantomOptions {
        format: Format::Dicom,
        side: 64,
        ..options(folder.path(), 24, 13)
    };
    generate(&dicom, |_| {}).unwrap();
    let mut seen = BTreeMap::<String, usize>::new();
    for entry in Cohort::open(folder.path()).unwrap().entries() {
        let object = dicom_object::open_file(&entry.film).unwrap();
        for name in [
            "PhotometricInterpretation",
            "BitsStored",
            "WindowWidth",
            "Rows",
        ] {
            let text = object.element_by_name(name).unwrap().to_str().unwrap();
            *seen.entry(format!("{name} {text}")).or_default() += 1;
        }
        let film = decode(&fs::read(&entry.film).unwrap()).unwrap().film;
        let least = film.pixels().iter().min().unwrap();
        let greatest = film.pixels().iter().max().unwrap();
        assert!(greatest - least > 30_000, "{}", entry.film.display());
    }
    let kinds = |name: &str| seen.keys().filter(|key| key.starts_with(name)).count();
    assert_eq!(kinds("PhotometricInterpretation"), 2);
    assert!(kinds("BitsStored") >= 3 && kinds("WindowWidth") >= 8 && kinds("Rows") == 2);
}

#[test]
fn refused_films_say_why_and_carry_no_label() {
    let folder = tempfile::tempdir().unwrap();
    let some = PhantomOptions {
        refused: 10,
        ..options(folder.path(), 6, 14)
    };
    generate(&some, |_| {}).unwrap();
    let cohort = Cohort::open(folder.path()).unwrap();
    assert_eq!(cohort.entries().len(), 16);
    assert_eq!(cohort.labelled(None).0.len(), 6);
    for reason in REFUSALS {
        let films: Vec<_> = cohort
            .entries()
            .iter()
            .filter(|e| e.refusal == Some(reason))
            .collect();
        assert_eq!(films.len(), 2, "{reason:?}");
        for entry in films {
            assert_eq!(
                (entry.label, &entry.mask, entry.cobb_degrees),
                (None, &None, None)
            );
            let decoded = decode(&fs::read(&entry.film).unwrap());
            // Exposed so much that nothing is left, it does not get as far as the gate.
            if let Err(error) = decoded {
                assert_eq!(error.kind(), ErrorKind::Blank, "{reason:?}");
                assert_eq!(reason, Refusal::OverExposed);
            }
        }
    }
    let plain = tempfile::tempdir().unwrap();
    generate(&options(plain.path(), 6, 14), |_| {}).unwrap();
    let film = |folder: &Path| fs::read(folder.join("films/000005.png")).unwrap();
    assert!(
        film(folder.path()) == film(plain.path()),
        "refused films change the others"
    );
}

#[test]
fn an_interrupted_cohort_is_finished_and_others_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = options(folder.path(), 4, 10);
    generate(&wanted, |_| {}).unwrap();
    let whole = contents(folder.path());
    let refused = generate(&wanted, |_| {}).unwrap_err().to_string();
    assert!(refused.contains("not empty"), "{refused}");

    // As an interruption leaves it: the note, some films, half a film, no manifest.
    fs::remove_file(folder.path().join(MANIFEST)).unwrap();
    fs::remove_file(folder.path().join("films/000002.png")).unwrap();
    let half = folder.path().join("films/.000002.png.1-2-3.unfinished");
    fs::write(&half, "half").unwrap();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let file = fs::File::options().write(true).open(&half).unwrap();
    file.set_modified(long_ago).unwrap();
    let note = text_of_note(&wanted).unwrap();
    fs::write(folder.path().join(UNFINISHED), note).unwrap();
    let other = options(folder.path(), 4, 11);
    assert!(matches!(
        generate(&other, |_| {}),
        Err(PhantomError::Occupied(_))
    ));
    generate(&wanted, |_| {}).unwrap();
    assert!(contents(folder.path()) == whole);
}

#[test]
fn half_a_note_is_no_cohort() {
    let folder = tempfile::tempdir().unwrap();
    let half = folder.path().join(".unfinished.json.1-2-3.unfinished");
    fs::write(half, "{").unwrap();
    generate(&options(folder.path(), 1, 10), |_| {}).unwrap();
    Cohort::open(folder.path()).unwrap();
}

/// After a power cut at any step the same call gives the same cohort, whether the medium kept the
/// names of the last files or not.
#[cfg(unix)]
#[test]
fn a_power_cut_leaves_a_cohort_that_the_same_call_finishes() {
    use crate::cohort::power_cut::PowerCut;

    let wanted = |out: &Path| PhantomOptions {
        refused: 1,
        side: 64,
        ..options(out, 2, 15)
    };
    let folder = tempfile::tempdir().unwrap();
    generate(&wanted(folder.path()), |_| {}).unwrap();
    let visible = |folder: &Path| {
        let mut files = contents(folder);
        // Files that were being written when the power failed are cleared away a minute later.
        files.retain(|name, _| !name.ends_with(".unfinished"));
        files
    };
    let whole = visible(folder.path());
    for lose_names in [false, true] {
        let mut steps = 0;
        loop {
            let folder = tempfile::tempdir().unwrap();
            let out = folder.path().join("cohort");
            let medium = PowerCut::after(steps);
            let result = generate_on(&medium, &wanted(&out), |_| {});
            medium.lose_unsynced(lose_names);
            if result.is_ok() {
                assert!(visible(&out) == whole, "done after {steps} steps");
                break;
            }
            generate(&wanted(&out), |_| {}).unwrap();
            assert!(visible(&out) == whole, "cut after {steps} steps");
            steps += 1;
        }
        assert!(steps > 25, "{steps} steps");
    }
}

#[test]
fn impossible_options_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new");
    for wrong in [
        options(&out, 0, 1),
        PhantomOptions {
            prevalence: f64::NAN,
            ..options(&out, 5, 1)
        },
        PhantomOptions {
            prevalence: 1.5,
            ..options(&out, 5, 1)
        },
        PhantomOptions {
            side: 5,
            ..options(&out, 5, 1)
        },
    ] {
        assert!(matches!(
            generate(&wrong, |_| {}),
            Err(PhantomError::Options(_))
        ));
    }
    assert!(!out.exists());
}
