//! The fingerprint of the preprocessing, from a film's file to the network's greys.
//!
//! It must be the same on every processor. Decoders of this crate compute in integers: JPEG within
//! DICOM (sequential, lossless, JPEG-LS), RLE, and everything after the decoders but the sigmoid,
//! which uses libm's software floats. These files are decoded by libraries:
//!
//! | files | library | arithmetic |
//! |---|---|---|
//! | `*.png` | png, by image | integers |
//! | `*.tiff` | tiff | integers |
//! | `grey_8.jpg`, `rgb_8.jpg` | zune-jpeg, by image | integers, with SIMD |
//! | `deflated_12.dcm` | flate2 | integers |
//! | `jpeg_2000_*.dcm` | hayro-jpeg2000 | floats that hold whole numbers exactly |
//!
//! `jpeg_2000_lossy_12.dcm` is left out: of lossy JPEG 2000, hayro-jpeg2000 computes the ends of
//! lines with fused multiply-add on aarch64 and without on x86-64, so a pixel may be one step off.

#![cfg(feature = "decode")]

use std::fs;
use std::path::Path;

use plumbline_shared::decode::decode;
use plumbline_shared::film::Film;
use plumbline_shared::manifest::sha256;
use plumbline_shared::preprocess::{FINGERPRINT, is_compatible, prepare};

/// The files of `films` that the fingerprint covers, in the order in which they are hashed. Files
/// that are added to the folder later are not added here: that would change the fingerprint of a
/// preprocessing that has not changed.
const FILES: [&str; 47] = [
    "big_endian_14.dcm",
    "deflated_12.dcm",
    "explicit_10.dcm",
    "explicit_16.dcm",
    "explicit_8.dcm",
    "explicit_signed_12.dcm",
    "grey_16.png",
    "grey_16.tiff",
    "grey_8.jpg",
    "grey_8.png",
    "grey_8.tiff",
    "high_bit_15.dcm",
    "implicit_12.dcm",
    "implicit_signed_16.dcm",
    "jpeg_2000_12.dcm",
    "jpeg_2000_16.dcm",
    "jpeg_2000_8.dcm",
    "jpeg_2000_signed_16.dcm",
    "jpeg_baseline_8.dcm",
    "jpeg_baseline_8_restarts.dcm",
    "jpeg_extended_12.dcm",
    "jpeg_lossless_12.dcm",
    "jpeg_lossless_12_predictor_7.dcm",
    "jpeg_lossless_16.dcm",
    "jpeg_lossless_16_predictor_4.dcm",
    "jpeg_lossless_8.dcm",
    "jpeg_lossless_signed_12.dcm",
    "jpeg_ls_12.dcm",
    "jpeg_ls_16.dcm",
    "jpeg_ls_8.dcm",
    "jpeg_ls_near_16.dcm",
    "jpeg_ls_near_8.dcm",
    "modality_lut.dcm",
    "no_preamble_explicit_8.dcm",
    "no_preamble_implicit_12.dcm",
    "padding.dcm",
    "percentiles.dcm",
    "percentiles_monochrome1.dcm",
    "rgb_8.jpg",
    "rgb_8.png",
    "rle_16.dcm",
    "rle_8.dcm",
    "voi_lut.dcm",
    "voi_lut_signed.dcm",
    "window_linear.dcm",
    "window_linear_exact.dcm",
    "window_sigmoid.dcm",
];

/// The sizes of the films that are made here, which follow the files: larger and smaller than the
/// networks' input, higher and wider.
const SIZES: [(u32, u32); 9] = [
    (256, 256),
    (512, 512),
    (1024, 1024),
    (2048, 2500),
    (1955, 1841),
    (300, 257),
    (64, 64),
    (1, 700),
    (700, 1),
];

/// A gradient with deterministic noise.
fn made(width: u32, height: u32) -> Film {
    let pixels = (0..width * height)
        .map(|i| {
            let noise = i.wrapping_mul(2_654_435_761) >> 18;
            ((i % width * 40_000 / width) + noise) as u16
        })
        .collect();
    Film::new(width, height, pixels).unwrap()
}

#[test]
fn the_fingerprint_is_that_of_the_greys_of_the_golden_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/films");
    let files = FILES.iter().map(|name| {
        let film = decode(&fs::read(folder.join(name)).unwrap());
        film.unwrap_or_else(|error| panic!("{name}: {error}")).film
    });
    let made = SIZES.iter().map(|(width, height)| made(*width, *height));
    let mut greys = Vec::new();
    for film in files.chain(made) {
        let prepared = prepare(&film);
        greys.extend(prepared.grey().iter().flat_map(|grey| grey.to_le_bytes()));
    }
    assert_eq!(sha256(&greys), FINGERPRINT);
}

#[test]
fn shipped_bundles_are_compatible() {
    // The fingerprint that the bundles of `models` carry.
    let shipped = "c464a74d8f93e459935240e4903fab3e0a878429b611c77848e047bbbb23bf71";
    assert!(is_compatible(shipped) && is_compatible(FINGERPRINT));
    assert!(!is_compatible("") && !is_compatible(&shipped[1..]));
}
