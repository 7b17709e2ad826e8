//! TIFF pictures of grey (TIFF 6.0, and BigTIFF): 8 to 32 bits, signed or not, or floats.

use alloc::string::ToString;
use alloc::vec::Vec;
use std::io::Cursor;

use tiff::decoder::ifd::Value;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

use super::error::DecodeError;
use super::orientation::Turn;
use super::square::require_equal;
use crate::film::{Film, MAX_PIXELS};
use crate::grey::{GreyscaleTransform, Stored, stretched};

/// Bits of NewSubfileType: a reduced picture, and a mask.
const REDUCED: u32 = 0b001;
const MASK: u32 = 0b100;

/// SubfileType, its predecessor, of a reduced picture.
const OLD_REDUCED: u32 = 2;

/// Most pages that are looked at: more are no film.
const MOST_PAGES: usize = 64;

/// Reads the only picture of a file, and how it is to be turned. Reduced pictures and masks of it
/// are passed over. There is no film if the picture is in colour and the file's first.
pub(super) fn read(bytes: &[u8]) -> Result<(Option<Film>, Option<Turn>), DecodeError> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(refused)?;
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MAX_PIXELS as usize * 8;
    limits.intermediate_buffer_size = MAX_PIXELS as usize * 8;
    decoder = decoder.with_limits(limits);
    let page = only_page(&mut decoder)?;
    decoder.seek_to_image(page).map_err(refused)?;
    let (width, height) = decoder.dimensions().map_err(refused)?;
    Film::check_size(width, height)?;
    let mut number = |tag| decoder.find_tag(tag).map_err(refused);
    let resolution = [number(Tag::YResolution)?, number(Tag::XResolution)?];
    let orientation = number(Tag::Orientation)?.and_then(|value| value.into_u16().ok());
    if let [Some(y), Some(x)] = resolution.map(|value| value.and_then(to_f64)) {
        // Pixels a length; a pixel's sides are the other way round.
        require_equal(x, y)?;
    }
    let turn = orientation.and_then(Turn::of_exif);
    let picture = match decoder.colortype().map_err(refused)? {
        ColorType::Gray(bits) => {
            let values = decoder.read_image().map_err(refused)?;
            Some(grey(width, height, bits, values)?)
        }
        _ if page == 0 => None,
        kind => {
            return Err(unsupported(alloc::format!(
                "{kind:?} after a reduced picture"
            )));
        }
    };
    Ok((picture, turn))
}

/// Returns the number of the only page that is no reduced picture or mask.
fn only_page(decoder: &mut Decoder<Cursor<&[u8]>>) -> Result<usize, DecodeError> {
    let mut full = Vec::new();
    for page in 0.. {
        if page == MOST_PAGES {
            return Err(unsupported(alloc::format!("more than {MOST_PAGES} pages")));
        }
        let mut kind = |tag| decoder.find_tag_unsigned::<u32>(tag).map_err(refused);
        let (new, old) = (kind(Tag::NewSubfileType)?, kind(Tag::SubfileType)?);
        let passed =
            new.is_some_and(|kind| kind & (REDUCED | MASK) != 0) || old == Some(OLD_REDUCED);
        if !passed {
            full.push(page);
        }
        if !decoder.more_images() {
            break;
        }
        decoder.next_image().map_err(refused)?;
    }
    match full[..] {
        [page] => Ok(page),
        [] => Err(unsupported("only reduced pictures")),
        _ => Err(unsupported(alloc::format!("{} pages", full.len()))),
    }
}

/// Returns a resolution; none if it is none.
fn to_f64(value: Value) -> Option<f64> {
    match value {
        Value::Rational(dividend, divisor) => Some(f64::from(dividend) / f64::from(divisor)),
        _ => None,
    }
}

/// Returns the film of grey values, stretched by robust percentiles.
fn grey(width: u32, height: u32, bits: u8, values: DecodingResult) -> Result<Film, DecodeError> {
    use DecodingResult as Values;
    let of_words = |bits: u8, signed: bool, words: Vec<u16>| {
        let transform = GreyscaleTransform {
            stored: Stored { bits, signed },
            ..GreyscaleTransform::of_picture(bits)
        };
        transform.film(width, height, words)
    };
    let of_numbers = |values: Vec<f64>| Film::new(width, height, stretched(&values));
    let film = match values {
        Values::U8(values) if bits == 8 => {
            of_words(8, false, values.into_iter().map(u16::from).collect())
        }
        Values::U16(values) => of_words(16, false, values),
        Values::I8(values) => of_words(
            16,
            true,
            values.iter().map(|v| i16::from(*v) as u16).collect(),
        ),
        Values::I16(values) => of_words(16, true, values.iter().map(|v| *v as u16).collect()),
        Values::U32(values) => of_numbers(values.into_iter().map(f64::from).collect()),
        Values::I32(values) => of_numbers(values.into_iter().map(f64::from).collect()),
        Values::F16(values) => of_numbers(values.into_iter().map(f64::from).collect()),
        Values::F32(values) => of_numbers(values.into_iter().map(f64::from).collect()),
        Values::F64(values) => of_numbers(values),
        _ => return Err(unsupported(alloc::format!("{bits} bits"))),
    };
    Ok(film?)
}

fn refused(error: TiffError) -> DecodeError {
    match error {
        TiffError::UnsupportedError(error) => unsupported(error),
        error => DecodeError::Damaged {
            format: "TIFF file",
            reason: error.to_string(),
        },
    }
}

fn unsupported(what: impl ToString) -> DecodeError {
    DecodeError::Unsupported {
        format: "TIFF file",
        what: what.to_string(),
        remedy: "give one film as 8 or 16-bit grey",
    }
}
