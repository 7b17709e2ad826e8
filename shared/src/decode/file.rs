//! A film's file: reading it within limits, and decoding it by its format.

use alloc::vec::Vec;
use std::fs::{self, File};
use std::io::Read;
use std::panic::catch_unwind;
use std::path::Path;

use super::dicom::{self, Header};
use super::error::DecodeError;
use super::limit::MAX_BYTES;
use super::raster;
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
    // Opening a pipe would wait for somebody who writes to it.
    let metadata = fs::metadata(path).map_err(DecodeError::Unreadable)?;
    if !metadata.is_file() {
        return Err(DecodeError::NotAFile);
    }
    let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if length > MAX_BYTES {
        return Err(DecodeError::TooLong(length));
    }
    let mut bytes = Vec::with_capacity(length);
    // The file may grow while it is read.
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(DecodeError::Unreadable)?;
    if bytes.len() > MAX_BYTES {
        return Err(DecodeError::TooLong(bytes.len()));
    }
    Ok(bytes)
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
