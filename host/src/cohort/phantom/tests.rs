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
        square: false,
        refused: 0,
    }
}

fn phantom(seed: u64, index: u64, degrees: f64, side: usize) -> Phantom {
    Phantom::draw(&Order {
        seed,
        index,
        degrees,
        refusal: None,
        side,
        square: true,
    })
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
        let phantom = phantom(5, index, degrees, 64);
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
        let phantom = phantom(6, index, 45.0, 64);
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
        let straight = phantom(7, index, 2.0, 64);
        let curved = phantom(7, index, 35.0, 64);
        assert_eq!(straight.surroundings(), curved.surroundings());
        // All that is drawn later is alike, too, as far as chance goes.
        let [straight, curved] = [straight, curved].map(|mut phantom| {
            phantom.expose();
            phantom.next_number()
        });
        assert_eq!(straight.to_bits(), curved.to_bits());
    }
}

#[test]
fn the_mask_follows_the_tilt() {
    let side = 512;
    for (index, degrees) in [(0, 0.0), (1, 10.0), (2, 25.0), (3, 40.0), (4, 60.0)] {
        let mut phantom = phantom(8, index, degrees, side);
        let (_, mask) = phantom.expose();
        let mask = mask.unwrap();
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
                [i - 1, i + 1].map(|k| phantom.place_of(vertebrae[k].centre)[1].round() as usize);
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
    let shown = |code: u16| if inverted { white - code } else { code } << (16 - bits);
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
        let film = plumbline_shared::decode::decode(&fs::read(&entry.film).unwrap()).unwrap();
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
    for reason in Refusal::ALL {
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
            plumbline_shared::decode::decode(&fs::read(&entry.film).unwrap()).unwrap();
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
fn over_exposure_and_inversion_are_to_be_seen() {
    let grey = |refusal| {
        let mut phantom = Phantom::draw(&Order {
            seed: 15,
            index: 2,
            degrees: 3.0,
            refusal,
            side: 128,
            square: true,
        });
        phantom.expose().0.greys()
    };
    let middle = |pixels: &[u16]| {
        let mut sorted = pixels.to_vec();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    };
    let good = grey(None);
    let dark = grey(Some(Refusal::OverExposed));
    assert!(middle(&dark) < middle(&good) / 2);
    let inverted = grey(Some(Refusal::Inverted));
    let sums: Vec<u32> = good
        .iter()
        .zip(&inverted)
        .map(|(a, b)| u32::from(*a) + u32::from(*b))
        .collect();
    assert!(sums.iter().all(|sum| *sum == sums[0]));
}

#[test]
fn every_curve_is_told_and_neighbours_bend_to_opposite_sides() {
    for index in 0..60 {
        let phantom = phantom(16, index, 30.0, 64);
        let curves = phantom.curves();
        let major = phantom.cobb();
        assert!(curves.contains(&major));
        assert!(
            curves
                .iter()
                .all(|c| c.degrees >= 5.0 && c.degrees <= major.degrees)
        );
        for pair in curves.windows(2) {
            assert_eq!(pair[0].lower, pair[1].upper);
            assert_ne!(pair[0].convexity, pair[1].convexity);
        }
    }
    let texts: Vec<String> = phantom(16, 0, 30.0, 64)
        .curves()
        .iter()
        .map(Cobb::to_string)
        .collect();
    assert!(
        texts.iter().any(|text| text.ends_with(" 30.00")),
        "{texts:?}"
    );
}

#[test]
fn the_mask_tells_the_vertebrae_apart() {
    for index in 0..8 {
        let mut phantom = phantom(17, index, 25.0, 384);
        let width = phantom.size().width;
        let mask = phantom.expose().1.unwrap();
        for (k, vertebra) in phantom.spine().vertebrae().iter().enumerate() {
            let [column, row] = phantom.place_of(vertebra.centre);
            if [column, row].iter().all(|at| (0.0..384.0).contains(at)) {
                let value = mask[row as usize * width + column as usize];
                assert_eq!(usize::from(value), 10 * (k + 1));
            }
        }
    }
}

#[test]
fn diseases_are_as_common_in_both_classes() {
    let mut counts = BTreeMap::<&str, usize>::new();
    let films = 2000;
    for index in 0..films {
        let (straight, curved) = (phantom(18, index, 2.0, 64), phantom(18, index, 40.0, 64));
        assert_eq!(straight.findings(), curved.findings());
        for name in straight.findings() {
            *counts.entry(name).or_default() += 1;
        }
    }
    assert_eq!(counts.len(), 14);
    assert!(
        counts.values().all(|count| *count > films as usize / 100),
        "{counts:?}"
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

    // As an interruption leaves it: the note, some films, no manifest.
    fs::remove_file(folder.path().join(MANIFEST)).unwrap();
    fs::remove_file(folder.path().join("films/000002.png")).unwrap();
    fs::write(folder.path().join("films/000001.png"), "").unwrap();
    let note = note_of(&wanted).unwrap();
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
