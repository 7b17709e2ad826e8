//! Small films in every format and transfer syntax against what other implementations read from
//! them (`references/make_films.py`), and what becomes of damaged ones.

#![cfg(feature = "decode")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use plumbline_shared::decode::{ErrorKind, Note, decode, header};
use plumbline_shared::film::Film;

/// An entry of `films.json`.
#[derive(serde::Deserialize)]
struct Expected {
    grey: String,
    tolerance: u16,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/films")
}

fn expected() -> BTreeMap<String, Expected> {
    serde_json::from_slice(&fs::read(folder().join("films.json")).unwrap()).unwrap()
}

/// The names and bytes of all films, those to be refused too.
fn films() -> impl Iterator<Item = (String, Vec<u8>)> {
    let mut paths: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && path.extension().is_some_and(|e| e != "json"))
        .collect();
    paths.sort();
    assert!(paths.len() > 50);
    paths.into_iter().map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read(path).unwrap())
    })
}

#[test]
fn films_are_read_as_others_read_them() {
    for (name, expected) in expected() {
        let film = decode(&fs::read(folder().join(&name)).unwrap());
        let film = film.unwrap_or_else(|error| panic!("{name}: {error}")).film;
        let grey = image::open(folder().join(&expected.grey)).unwrap();
        let grey = grey.into_luma16();
        assert_eq!((film.width(), film.height()), grey.dimensions(), "{name}");
        let off = (film.pixels().iter().zip(grey.as_raw()))
            .map(|(ours, theirs)| ours.abs_diff(*theirs))
            .max();
        assert!(off <= Some(expected.tolerance), "{name} is off by {off:?}");
    }
}

#[test]
fn what_is_no_film_is_told_in_a_sentence() {
    let refusals = [
        ("refused_colour.dcm", "in colour"),
        ("refused_colour.png", "in colour"),
        ("refused_cut_off.dcm", "16 bytes of pixels where 20"),
        ("refused_frames.dcm", "3 frames"),
        ("refused_huge.dcm", "20000 x 20000"),
        ("refused_no_pixels.dcm", "no pixel data"),
        ("refused_not_square.dcm", "0.2 and 0.143 apart"),
        (
            "refused_syntax.dcm",
            "transfer syntax 1.2.840.10008.1.2.4.100",
        ),
    ];
    for (name, part) in refusals {
        let error = decode(&fs::read(folder().join(name)).unwrap()).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(part), "{name}: {message}");
        assert!(!message.contains('\n') && message.len() < 200, "{message}");
    }
}

#[test]
fn dicom_files_that_are_tiff_files_too_are_read_as_dicom() {
    let mut bytes = fs::read(folder().join("explicit_16.dcm")).unwrap();
    let film = decode(&bytes).unwrap();
    bytes[..8].copy_from_slice(b"II*\0\x08\0\0\0");
    assert_eq!(decode(&bytes).unwrap(), film);
}

#[test]
fn an_inverse_presentation_inverts_monochrome2_and_not_monochrome1_again() {
    let bytes = fs::read(folder().join("explicit_16.dcm")).unwrap();
    let film = decode(&bytes).unwrap().film;
    let (before, pixel_data) = at_element(&bytes, &[0xe0, 0x7f, 0x10, 0x00]);
    let inverse = [before, b"\x50\x20\x20\x00CS\x08\x00INVERSE ", pixel_data].concat();
    let shown = decode(&inverse).unwrap().film;
    assert!(
        shown
            .pixels()
            .iter()
            .zip(film.pixels())
            .all(|(ours, theirs)| *ours == !theirs)
    );
    let photometric = b"MONOCHROME2";
    let at = inverse
        .windows(photometric.len())
        .position(|w| w == photometric)
        .unwrap();
    let mut monochrome1 = inverse;
    monochrome1[at + photometric.len() - 1] = b'1';
    assert_eq!(decode(&monochrome1).unwrap().film, shown);
}

/// `bytes` before and from the element with this tag.
fn at_element<'a>(bytes: &'a [u8], tag: &[u8; 4]) -> (&'a [u8], &'a [u8]) {
    bytes.split_at(bytes.windows(4).position(|found| found == tag).unwrap())
}

/// The file `name` with `element`, in explicit VR little endian, in place of its own.
fn with_element(name: &str, element: &[u8]) -> Vec<u8> {
    let bytes = fs::read(folder().join(name)).unwrap();
    // Of two elements with one tag the later one counts.
    let (before, pixel_data) = at_element(&bytes, &[0xe0, 0x7f, 0x10, 0x00]);
    [before, element, pixel_data].concat()
}

#[test]
fn pictures_wider_than_bits_stored_are_read_by_their_streams() {
    let bits_12 = b"\x28\x00\x01\x01US\x02\x00\x0c\x00\x28\x00\x02\x01US\x02\x00\x0b\x00";
    for name in ["jpeg_lossless_16.dcm", "jpeg_2000_16.dcm", "jpeg_ls_16.dcm"] {
        let right = decode(&fs::read(folder().join(name)).unwrap()).unwrap();
        let read = decode(&with_element(name, bits_12)).unwrap();
        assert_eq!(read.film, right.film, "{name}");
        let bits = Note::Bits {
            pixels: 16,
            said: 12,
        };
        assert!(read.notes.contains(&bits), "{name}: {:?}", read.notes);
    }
}

#[test]
fn numbers_that_cannot_be_read_are_refused_and_not_taken_as_missing() {
    let cases: [(&[u8], &str); 7] = [
        (
            b"\x28\x00\x53\x10DS\x04\x001,5 ",
            "RescaleSlope (0028,1053) is \"1,5\"",
        ),
        (
            b"\x28\x00\x52\x10DS\x04\x00NaN ",
            "RescaleIntercept (0028,1052) is \"NaN\"",
        ),
        (
            b"\x28\x00\x50\x10DS\x06\x0020 HU ",
            "WindowCenter (0028,1050) is \"20 HU\"",
        ),
        (
            b"\x28\x00\x51\x10DS\x06\x001e40\\9",
            "WindowWidth (0028,1051) is 1",
        ),
        (
            b"\x28\x00\x30\x00DS\x08\x00x.2\\0.14",
            "PixelSpacing (0028,0030) is \"x.2\"",
        ),
        (
            b"\x18\x00\x64\x11DS\x08\x000.2\\0,14",
            "ImagerPixelSpacing (0018,1164) is \"0,14\"",
        ),
        (
            b"\x28\x00\x08\x00IS\x04\x00two ",
            "NumberOfFrames (0028,0008) is \"two\"",
        ),
    ];
    for (element, part) in cases {
        let error = decode(&with_element("explicit_16.dcm", element)).unwrap_err();
        let message = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{message}");
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn empty_numbers_are_missing() {
    let film = decode(&fs::read(folder().join("percentiles.dcm")).unwrap()).unwrap();
    for element in [
        b"\x28\x00\x53\x10DS\x02\x00  ",
        b"\x28\x00\x50\x10DS\x02\x00\\ ",
        b"\x28\x00\x30\x00DS\x02\x00\0\0",
        b"\x28\x00\x08\x00IS\x02\x00  ",
    ] {
        assert_eq!(
            decode(&with_element("percentiles.dcm", element)).unwrap(),
            film
        );
    }
}

/// JPEG baseline writes no difference of more than 11 bits, and nothing of more than 15 (T.81,
/// F.1.2.1): a table with such a category is damaged.
#[test]
fn impossible_categories_of_dc_coefficients_are_refused() {
    let mut bytes = fs::read(folder().join("jpeg_baseline_8.dcm")).unwrap();
    // The table of class 0: marker, length, class, 16 counts, symbols.
    let at = bytes.windows(2).position(|w| w == b"\xff\xc4").unwrap();
    assert_eq!(bytes[at + 4], 0);
    let count: usize = bytes[at + 5..at + 21].iter().map(|n| usize::from(*n)).sum();
    for symbol in &mut bytes[at + 21..at + 21 + count] {
        *symbol += 16;
    }
    let error = decode(&bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    assert!(error.to_string().contains("more than 15"), "{error}");
}

#[test]
fn truncated_films_are_refused() {
    for (name, bytes) in films().filter(|(name, _)| !name.starts_with("refused")) {
        let whole = decode(&bytes).unwrap();
        for part in 0..64 {
            let length = bytes.len() * part / 64;
            // What is left may be whole: trailing markers and delimiters carry no pixels.
            if let Ok(film) = decode(&bytes[..length]) {
                assert_eq!(film, whole, "{name} cut to {length} bytes");
            }
        }
    }
}

#[test]
fn headers_are_read_in_every_transfer_syntax() {
    for (name, bytes) in films() {
        let expected = expected().contains_key(&name);
        match header(&bytes) {
            Ok(header) if expected => {
                assert!(name.ends_with(".dcm"), "{name}");
                assert!(header.sop_class_uid.is_some(), "{name}: {header:?}");
            }
            Ok(_) => {}
            Err(error) => assert!(!expected || !name.ends_with(".dcm"), "{name}: {error}"),
        }
    }
}

#[test]
fn damaged_films_never_end_the_program() {
    let mut random = Random(1);
    for (name, bytes) in films() {
        for _ in 0..100 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random.below(4) {
                // Headers matter more than pixels.
                let end = [bytes.len(), bytes.len().min(1000)][random.below(2)];
                damaged[random.below(end)] = random.below(256) as u8;
            }
            let errors = [decode(&damaged).err(), header(&damaged).err()];
            for error in errors.into_iter().flatten() {
                assert!(!error.to_string().contains('\n'), "{name}: {error}");
            }
        }
    }
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// Real films, which are no part of the repository.
fn real(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/real");
    let path = path.join(name);
    if !path.exists() {
        println!("skipped: there is no {}", path.display());
    }
    path.exists().then_some(path)
}

fn read(path: &Path) -> Film {
    let film = decode(&fs::read(path).unwrap());
    film.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .film
}

#[test]
fn real_films_are_read() {
    // Chest films, spines of which 31 have a tint, and near-real spines.
    for (name, expected) in [
        ("chest", 15),
        ("nih", 500),
        ("spine", 162),
        ("spinal-ai", 2600),
    ] {
        let Some(folder) = real(name) else { return };
        let paths = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let is_film = |path: &PathBuf| {
            path.extension().is_some_and(|extension| {
                ["png", "jpg", "dcm"]
                    .map(Some)
                    .contains(&extension.to_str())
            })
        };
        let films: Vec<PathBuf> = paths.filter(is_film).collect();
        let tinted = films.iter().filter(|path| {
            let decoded = decode(&fs::read(path).unwrap());
            let decoded = decoded.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            decoded.notes.contains(&Note::Tint)
        });
        println!("{name}: {} tinted", tinted.count());
        assert_eq!(films.len(), expected, "{name}");
    }
}

#[test]
fn jpeg_2000_is_read_at_full_depth() {
    let Some(path) = real("chest/cr_pa_jpeg2000.dcm") else {
        return;
    };
    let film = read(&path);
    assert_eq!((film.width(), film.height()), (1841, 1955));
    // The sum as pydicom with OpenJPEG gives it; the stream is lossy, so decoders round apart.
    let sum: i64 = film.pixels().iter().map(|grey| i64::from(*grey)).sum();
    assert!((sum - 177_754_489_782).abs() < 100_000, "{sum}");
    let mut greys = film.pixels().to_vec();
    greys.sort_unstable();
    greys.dedup();
    assert!(greys.len() > 25_000, "{} greys", greys.len());
}

#[test]
fn monochrome1_is_monochrome2_inverted() {
    let (Some(one), Some(two)) = (
        real("chest/rsna_monochrome1.dcm"),
        real("chest/rsna_monochrome2.dcm"),
    ) else {
        return;
    };
    let (one, two) = (read(&one), read(&two));
    for (one, two) in one.pixels().iter().zip(two.pixels()) {
        assert_eq!(u16::MAX - one, *two);
    }
}
