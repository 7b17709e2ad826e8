use std::collections::BTreeMap;
use std::path::Path;

use super::film::Phantom;
use super::*;
use crate::cohort::{Cohort, Split};

fn options(out: &Path, films: u64, seed: u64) -> PhantomOptions {
    PhantomOptions {
        films,
        prevalence: 0.3,
        seed,
        out: out.to_owned(),
        format: Format::Png,
        side: 96,
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
    let positives = angles(&many).iter().filter(|&&a| a >= 10.0).count();
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
fn the_cobb_angle_is_that_of_the_drawn_endplates() {
    for index in 0..120 {
        let degrees = 0.6 * index as f64;
        let phantom = Phantom::draw(5, index, degrees, 64);
        let mut largest = 0.0f64;
        let vertebrae = phantom.spine().vertebrae();
        for (i, upper) in vertebrae.iter().enumerate() {
            for lower in &vertebrae[i + 1..] {
                // Angle between the directions in which the endplates run.
                let (a, b) = (upper.superior, lower.inferior);
                let dot = a.cos() * b.cos() + a.sin() * b.sin();
                let cross = a.cos() * b.sin() - a.sin() * b.cos();
                largest = largest.max(cross.atan2(dot).abs().to_degrees());
            }
        }
        assert!((largest - degrees).abs() < 1e-9, "{largest} for {degrees}");
        assert!((phantom.cobb().degrees - degrees).abs() < 1e-9);
    }
}

#[test]
fn the_apex_is_farthest_to_the_convex_side() {
    for index in 0..60 {
        let phantom = Phantom::draw(6, index, 45.0, 64);
        let cobb = phantom.cobb();
        let vertebrae = phantom.spine().vertebrae();
        let x = |i: usize| vertebrae[i].centre[0];
        let (upper, lower) = (x(cobb.upper), x(cobb.lower));
        let along = (cobb.apex - cobb.upper) as f64 / (cobb.lower - cobb.upper) as f64;
        let bulge = x(cobb.apex) - (upper + along * (lower - upper));
        let left = cobb.convexity == Convexity::Left;
        assert!(
            bulge.abs() > 3.0 && (bulge > 0.0) == left,
            "{index}: {bulge}"
        );
    }
}

#[test]
fn only_the_curve_tells_the_classes_apart() {
    for index in 0..20 {
        let straight = Phantom::draw(7, index, 2.0, 64);
        let curved = Phantom::draw(7, index, 35.0, 64);
        assert_eq!(straight.surroundings(), curved.surroundings());
    }
}

#[test]
fn the_mask_follows_the_tilt() {
    let side = 512;
    for (index, degrees) in [(0, 0.0), (1, 10.0), (2, 25.0), (3, 40.0), (4, 60.0)] {
        let mut phantom = Phantom::draw(8, index, degrees, side);
        let (_, mask) = phantom.expose();
        let centre_of_row = |row: usize| {
            let line = &mask[row * side..][..side];
            let columns: Vec<usize> = (0..side).filter(|&c| line[c] > 0).collect();
            assert!(
                columns.len() > 10,
                "row {row} of film {index} shows no spine"
            );
            columns.iter().sum::<usize>() as f64 / columns.len() as f64
        };
        let vertebrae = phantom.spine().vertebrae();
        let mut worst = 0.0f64;
        for i in 2..12 {
            // Slope of the mask's middle line over three vertebrae, the film turned upright.
            let [above, below] =
                [i - 1, i + 1].map(|k| phantom.row_of(vertebrae[k].centre).round() as usize);
            let run = centre_of_row(below) - centre_of_row(above);
            let seen = run.atan2((below - above) as f64) + phantom.in_plane_rotation();
            let tilts = [i - 1, i, i + 1].map(|k| vertebrae[k].superior + vertebrae[k].inferior);
            let drawn = (tilts[0] + 2.0 * tilts[1] + tilts[2]) / 8.0;
            worst = worst.max((seen - drawn).to_degrees().abs());
        }
        assert!(worst < 3.0, "film {index}: {worst} degrees off");
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
    assert_eq!(pixels, picture.into_raw());
    assert_eq!(text("PatientID"), "phantom-9-000001");
    assert_eq!(text("PhotometricInterpretation"), "MONOCHROME2");
    assert_eq!(text("Rows"), "96");
    assert!(text("SOPInstanceUID").starts_with("2.25."));
    assert_ne!(text("SOPInstanceUID"), text("StudyInstanceUID"));
}

#[test]
fn an_interrupted_cohort_is_finished_and_others_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = options(folder.path(), 4, 10);
    generate(&wanted, |_| {}).unwrap();
    let whole = contents(folder.path());
    let refused = generate(&wanted, |_| {}).unwrap_err().to_string();
    assert!(refused.contains("not empty"), "{refused}");

    // As an interruption leaves it: the note, some films, no manifest.
    fs::remove_file(folder.path().join(MANIFEST)).unwrap();
    fs::remove_file(folder.path().join("films/000002.png")).unwrap();
    let note = serde_json::to_vec_pretty(&wanted).unwrap();
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
