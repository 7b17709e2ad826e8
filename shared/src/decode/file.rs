//! A film's file: reading it within limits, and decoding it by its format.

use alloc::vec::Vec;
use std::panic::catch_unwind;
use std::path::Path;

use super::dicom::{self, Header};
use super::error::DecodeError;
use super::limit::MAX_BYTES;
use super::raster;
use crate::bounded::{self, BoundedError};
use crate::film::Film;

/// Returns true if a file that starts with `bytes`, 132 of them or all, claims to be a DICOM, PNG,
/// JPEG or TIFF file.
pub fn is_known(bytes: &[u8]) -> bool {
    raster::Format::of(bytes).is_some() || dicom::is_dicom(bytes)
}

/// Reads the film's file `path`, which must be a plain file of at most [`MAX_BYTES`].
///
/// # Errors
/// If it is something else, or longer, or the system does not give it.
pub fn read_file(path: &Path) -> Result<Vec<u8>, DecodeError> {
    bounded::read(path, MAX_BYTES).map_err(|error| match error {
        BoundedError::Unreadable(error) => DecodeError::Unreadable(error),
        BoundedError::NotAFile => DecodeError::NotAFile,
        BoundedError::TooLong(length) => DecodeError::TooLong(length),
    })
}

/// Reads the film in `bytes`, a whole DICOM, PNG, JPEG or TIFF file.
///
/// # Errors
/// If the file is none of these, is damaged, is in colour, or has no film's size.
pub fn decode(bytes: &[u8]) -> Result<Film, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    if bytes.len() > MAX_BYTES {
        return Err(DecodeError::TooLong(bytes.len()));
    }
    // A decoder from a library may panic on a damaged file. The panic's message still goes to
    // standard error, and a program built with `panic = "abort"` ends here.
    catch_unwind(|| {
        // DICOM first: its preamble may make it look like a TIFF file as well (PS3.10, 7.1).
        if dicom::is_dicom(bytes) {
            return dicom::decode(bytes);
        }
        let format = raster::Format::of(bytes).ok_or(DecodeError::Unknown)?;
        raster::decode(format, bytes)
    })
    .unwrap_or(Err(DecodeError::Crashed))
    .map_err(DecodeError::on_one_line)
}

/// Reads the patient, examination and view from the DICOM file in `bytes`, the whole file. Its
/// pixels are not decoded.
///
/// # Errors
/// If the file is not DICOM, or is damaged before its pixels.
pub fn header(bytes: &[u8]) -> Result<Header, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    if bytes.len() > MAX_BYTES {
        return Err(DecodeError::TooLong(bytes.len()));
    }
    catch_unwind(|| dicom::header(bytes))
        .unwrap_or(Err(DecodeError::Crashed))
        .map_err(DecodeError::on_one_line)
}
