//! A whole DICOM file to its film.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::dataset::{self, Dataset};
use super::frame::Frame;
use super::{pixels, transform};
use crate::decode::error::DecodeError;
use crate::film::Film;

/// Most by which a pixel's sides may differ: 1 %, which turns an angle of 45 degrees by 0.3.
const ASPECT_TOLERANCE: f64 = 0.01;

/// The attributes that give the distances of rows and of columns, in order of preference: at the
/// patient, at the detector, and as a bare ratio.
const SPACINGS: [Tag; 3] = [
    tags::PIXEL_SPACING,
    tags::IMAGER_PIXEL_SPACING,
    tags::PIXEL_ASPECT_RATIO,
];

/// Reads a DICOM film.
pub(in crate::decode) fn decode(bytes: &[u8]) -> Result<Film, DecodeError> {
    let (syntax, bytes) = dataset::open(bytes)?;
    let dataset = Dataset::read(&bytes, &syntax)?;
    let encoded = dataset.pixels()?;
    let frame = Frame::of(&dataset)?;
    require_square(&dataset)?;
    let transform = transform::of(&dataset, &frame)?;
    let stored = pixels::stored_values(&dataset, &frame, encoded, &syntax)?;
    Ok(transform.film(frame.width.into(), frame.height.into(), stored)?)
}

/// Refuses pixels that are not square: angles are the signal.
fn require_square(dataset: &Dataset) -> Result<(), DecodeError> {
    for tag in SPACINGS {
        let (rows, columns) = (dataset.decimal(tag, 0)?, dataset.decimal(tag, 1)?);
        let (Some(rows), Some(columns)) = (rows, columns) else {
            continue;
        };
        let ratio = rows / columns;
        let unequal = ratio.max(1.0 / ratio) - 1.0 > ASPECT_TOLERANCE;
        return match rows > 0.0 && columns > 0.0 && unequal {
            true => Err(DecodeError::NotSquare { rows, columns }),
            false => Ok(()),
        };
    }
    Ok(())
}
