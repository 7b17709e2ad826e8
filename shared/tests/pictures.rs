//! PNG, JPEG and TIFF pictures that are made here: grey, grey kept as colour, and what is refused.

#![cfg(feature = "decode")]

use std::io::Cursor;

use image::{ColorType, ImageEncoder, codecs};
use plumbline_shared::decode::decode;

fn png(pixels: &[u8], width: u32, height: u32, kind: ColorType) -> Vec<u8> {
    let mut bytes = vec![];
    codecs::png::PngEncoder::new(&mut bytes)
        .write_image(pixels, width, height, kind.into())
        .unwrap();
    bytes
}

fn message(bytes: &[u8]) -> String {
    decode(bytes).unwrap_err().to_string()
}

#[test]
fn grey_and_grey_as_colour_are_one_film() {
    let grey: Vec<u8> = (0..200).collect();
    let film = decode(&png(&grey, 20, 10, ColorType::L8)).unwrap().film;
    assert_eq!((film.width(), film.height()), (20, 10));
    // Ranks 1 and 198 of 200.
    let stretched = |grey: u64| ((grey.clamp(1, 198) - 1) * 65535 + 98) / 197;
    for (pixel, grey) in film.pixels().iter().zip(&grey) {
        assert_eq!(u64::from(*pixel), stretched((*grey).into()));
    }
    let colour: Vec<u8> = grey.iter().flat_map(|g| [*g, *g, *g]).collect();
    assert_eq!(
        decode(&png(&colour, 20, 10, ColorType::Rgb8)).unwrap().film,
        film
    );
    let opaque: Vec<u8> = grey.iter().flat_map(|g| [*g, *g, *g, 7]).collect();
    assert_eq!(
        decode(&png(&opaque, 20, 10, ColorType::Rgba8))
            .unwrap()
            .film,
        film
    );
    let deep: Vec<u8> = (grey.iter())
        .flat_map(|g| (u16::from(*g) * 257).to_ne_bytes())
        .collect();
    assert_eq!(
        decode(&png(&deep, 20, 10, ColorType::L16)).unwrap().film,
        film
    );
    let mut tiff = Cursor::new(vec![]);
    codecs::tiff::TiffEncoder::new(&mut tiff)
        .write_image(&deep, 20, 10, ColorType::L16.into())
        .unwrap();
    assert_eq!(decode(tiff.get_ref()).unwrap().film, film);
}

#[test]
fn grey_jpegs_in_colour_are_read() {
    let colour: Vec<u8> = (0..64 * 64).flat_map(|i| [(i % 64 * 4) as u8; 3]).collect();
    let mut bytes = vec![];
    codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 80)
        .write_image(&colour, 64, 64, ColorType::Rgb8.into())
        .unwrap();
    assert!(decode(&bytes).is_ok());
    for length in 3..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "{length}");
    }
}

#[test]
fn what_is_no_film_is_refused_in_a_sentence() {
    assert!(message(b"").contains("empty"));
    assert!(message(b"0123456789").contains("starts like none of"));
    let hues: Vec<u8> = (0..100)
        .flat_map(|i| [2 * i, 200 - 2 * i, i % 10 * 20])
        .collect();
    let colour = png(&hues, 10, 10, ColorType::Rgb8);
    assert!(message(&colour).contains("in colour"));
    let mut huge = png(&[0], 1, 1, ColorType::L8);
    huge[16..24].copy_from_slice(&[0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20]);
    huge.splice(29..33, crc(&huge[12..29]).to_be_bytes());
    assert!(
        message(&huge).contains("20000 x 20000"),
        "{}",
        message(&huge)
    );
    let whole = png(&[0; 100], 10, 10, ColorType::L8);
    for length in 8..whole.len() - 12 {
        assert!(message(&whole[..length]).contains("PNG"), "{length}");
    }
    assert!(message(&png(&[5; 4096], 64, 64, ColorType::L8)).contains("blank"));
    assert!(decode(&png(&[5], 1, 1, ColorType::L8)).is_ok());
}

/// PNG's checksum (ISO 3309), bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let byte = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    };
    !bytes.iter().fold(u32::MAX, byte)
}
