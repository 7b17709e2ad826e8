//! DICOM films: single grey frames (PS3.3 C.7.6.3), uncompressed or in any of the still image
//! transfer syntaxes (PS3.5, annex A.4) but JPEG XL and HTJ2K.

mod dataset;
mod header;
mod pixels;
mod rle;

use alloc::string::ToString;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use dataset::Dataset;
pub(super) use dataset::is_dicom;
pub use header::Header;
pub(super) use header::header;

use super::{DecodeError, MAX_BYTES};
use crate::film::Film;
use crate::grey::{Fixed, Grey, Lut, Modality, Shape, Stored, Voi};

/// How far from square a pixel may be: 1 %, which turns an angle of 45 degrees by 0.3.
const ASPECT_TOLERANCE: f64 = 0.01;

/// Reads a DICOM film.
pub(super) fn decode(bytes: &[u8]) -> Result<Film, DecodeError> {
    let (syntax, bytes) = dataset::open(bytes)?;
    let dataset = Dataset::read(&bytes, &syntax)?;
    let stored = dataset.pixels()?;
    let frame = Frame::of(&dataset)?;
    require_square(&dataset)?;
    let grey = grey(&dataset, &frame)?;
    let codes = pixels::codes(&dataset, &frame, stored, &syntax)?;
    Ok(grey.film(frame.width.into(), frame.height.into(), codes)?)
}

/// What the Image Pixel module (PS3.3 C.7.6.3) says of the frame.
struct Frame {
    width: u16,
    height: u16,
    bits_allocated: u16,
    /// Bits above the stored ones that are no part of it, and below it.
    shift: u16,
    stored: Stored,
    inverted: bool,
}

impl Frame {
    fn of(dataset: &Dataset) -> Result<Self, DecodeError> {
        let photometric = dataset.text(tags::PHOTOMETRIC_INTERPRETATION);
        // Presentation LUT Shape (PS3.3, C.11.6.1.2) says the same of MONOCHROME1, and is the only
        // one to say it of an inverted MONOCHROME2.
        let shape = dataset.text(tags::PRESENTATION_LUT_SHAPE);
        let inverted = match photometric.as_deref() {
            Some("MONOCHROME1") => true,
            Some("MONOCHROME2") => shape.as_deref() == Some("INVERSE"),
            Some(_) => return Err(DecodeError::Colour),
            None => return Err(damaged("it has no Photometric Interpretation")),
        };
        if dataset.words(None, tags::SAMPLES_PER_PIXEL).first() > Some(&1) {
            return Err(DecodeError::Colour);
        }
        let frames = dataset.decimals(tags::NUMBER_OF_FRAMES).first().copied();
        if let Some(frames) = frames.filter(|frames| *frames > 1.0) {
            return Err(unsupported(
                alloc::format!("{frames} frames"),
                "give a single film",
            ));
        }
        let width = dataset.word(tags::COLUMNS, "Columns")?;
        let height = dataset.word(tags::ROWS, "Rows")?;
        Film::check_size(width.into(), height.into())?;
        let bits_allocated = dataset.word(tags::BITS_ALLOCATED, "Bits Allocated")?;
        let bits = dataset.word(tags::BITS_STORED, "Bits Stored")?;
        let high_bit = (dataset.words(None, tags::HIGH_BIT).first())
            .map_or(bits, |high| high.saturating_add(1));
        if !matches!(bits_allocated, 8 | 16)
            || bits == 0
            || bits > high_bit
            || high_bit > bits_allocated
        {
            return Err(unsupported(
                alloc::format!("{bits} bits stored in {bits_allocated}"),
                "export it with 8 to 16 bits a pixel",
            ));
        }
        Ok(Self {
            width,
            height,
            bits_allocated,
            shift: high_bit - bits,
            stored: Stored {
                bits: bits as u8,
                signed: dataset.words(None, tags::PIXEL_REPRESENTATION).first() == Some(&1),
            },
            inverted,
        })
    }

    fn pixels(&self) -> usize {
        usize::from(self.width) * usize::from(self.height)
    }
}

/// Refuses pixels that are not square: angles are the signal.
fn require_square(dataset: &Dataset) -> Result<(), DecodeError> {
    // The distances of rows and of columns, from the patient's to the detector's to a bare ratio.
    let spacings = [
        tags::PIXEL_SPACING,
        tags::IMAGER_PIXEL_SPACING,
        tags::PIXEL_ASPECT_RATIO,
    ];
    let spacing = spacings.map(|tag| dataset.decimals(tag));
    let Some([rows, columns]) = spacing.iter().find_map(|s| s.first_chunk::<2>()) else {
        return Ok(());
    };
    let ratio = rows / columns;
    if *rows > 0.0 && *columns > 0.0 && (ratio.max(1.0 / ratio) - 1.0) > ASPECT_TOLERANCE {
        return Err(DecodeError::NotSquare {
            rows: *rows,
            columns: *columns,
        });
    }
    Ok(())
}

/// The way from stored values to grey that the file asks for.
fn grey(dataset: &Dataset, frame: &Frame) -> Result<Grey, DecodeError> {
    let signed = frame.stored.signed;
    Ok(Grey {
        stored: frame.stored,
        modality: match lut(dataset, tags::MODALITY_LUT_SEQUENCE, signed)? {
            Some(lut) => Modality::Lut(lut),
            None => rescale(dataset)?,
        },
        voi: match lut(dataset, tags::VOILUT_SEQUENCE, signed)? {
            Some(lut) => Voi::Lut(lut),
            None => window(dataset).unwrap_or(Voi::Percentiles),
        },
        inverted: frame.inverted,
        padding: padding(dataset, signed),
    })
}

/// Rescale Slope and Rescale Intercept; no change if they are missing.
fn rescale(dataset: &Dataset) -> Result<Modality, DecodeError> {
    let number = |tag, name, missing| match dataset.decimals(tag).first() {
        None => Ok(missing),
        Some(value) => {
            Fixed::from_f64(*value).ok_or_else(|| damaged(alloc::format!("its {name} is {value}")))
        }
    };
    let slope = number(tags::RESCALE_SLOPE, "Rescale Slope", Fixed::ONE)?;
    if slope == Fixed::ZERO {
        return Err(damaged("its Rescale Slope is 0"));
    }
    let intercept = number(tags::RESCALE_INTERCEPT, "Rescale Intercept", Fixed::ZERO)?;
    Ok(Modality::Rescale { slope, intercept })
}

/// The first window; none if there is none, or none with a width that its function allows.
fn window(dataset: &Dataset) -> Option<Voi> {
    let first = |tag| Fixed::from_f64(*dataset.decimals(tag).first()?);
    let (centre, width) = (first(tags::WINDOW_CENTER)?, first(tags::WINDOW_WIDTH)?);
    let shape = match dataset.text(tags::VOILUT_FUNCTION).as_deref() {
        Some("LINEAR_EXACT") => Shape::LinearExact,
        Some("SIGMOID") => Shape::Sigmoid,
        _ => Shape::Linear,
    };
    let allowed = match shape {
        Shape::Linear => width >= Fixed::ONE,
        Shape::LinearExact | Shape::Sigmoid => width > Fixed::ZERO,
    };
    allowed.then_some(Voi::Window {
        centre,
        width,
        shape,
    })
}

/// The lookup table in the first item of `sequence`, if there is one.
fn lut(dataset: &Dataset, sequence: Tag, signed: bool) -> Result<Option<Lut>, DecodeError> {
    let descriptor = dataset.words(Some(sequence), tags::LUT_DESCRIPTOR);
    let [count, first, bits] = descriptor[..] else {
        return Ok(None);
    };
    let count = match count {
        0 => 1 << 16,
        count => usize::from(count),
    };
    let data = dataset.bytes(Some(sequence), tags::LUT_DATA);
    let mut entries: Vec<u16> = if data.len() >= 2 * count {
        dataset.to_words(data)
    } else {
        data.iter().map(|byte| u16::from(*byte)).collect()
    };
    if entries.len() < count || !(1..=16).contains(&bits) {
        return Err(damaged(alloc::format!(
            "its lookup table has {} entries of {bits} bits where {count} are announced",
            entries.len()
        )));
    }
    entries.truncate(count);
    Ok(Some(Lut {
        first: word_value(
            first,
            dataset.signed(Some(sequence), tags::LUT_DESCRIPTOR, signed),
        ),
        bits: bits as u8,
        entries,
    }))
}

/// Pixel Padding Value, to Pixel Padding Range Limit if there is one.
fn padding(dataset: &Dataset, signed: bool) -> Option<RangeInclusive<i32>> {
    let value = |tag| {
        let word = *dataset.words(None, tag).first()?;
        Some(word_value(word, dataset.signed(None, tag, signed)))
    };
    let one = value(tags::PIXEL_PADDING_VALUE)?;
    let other = value(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(one);
    Some(one.min(other)..=one.max(other))
}

fn word_value(word: u16, signed: bool) -> i32 {
    match signed {
        true => i32::from(word as i16),
        false => i32::from(word),
    }
}

fn damaged(reason: impl ToString) -> DecodeError {
    DecodeError::Damaged {
        format: "DICOM file",
        reason: reason.to_string(),
    }
}

fn unsupported(what: impl ToString, remedy: &'static str) -> DecodeError {
    DecodeError::Unsupported {
        format: "DICOM file",
        what: what.to_string(),
        remedy,
    }
}
