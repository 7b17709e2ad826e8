//! A film's file: reading it within limits, and decoding it by its format.

use alloc::vec::Vec;
use std::panic::catch_unwind;
use std::path::Path;

use super::dicom::{self, Header};
use super::error::DecodeError;
use super::limit::MAX_BYTES;
use super::note::Note;
use super::orientation::Turn;
use super::raster;
use crate::bounded::{self, BoundedError};
use crate::film::{Film, FilmError};

/// A film, and what was done to make it of its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The film, head up.
    pub film: Film,
    /// What was done.
    pub notes: Vec<Note>,
}

impl Decoded {
    /// Turns the film and notes it.
    pub(super) fn turned(mut self, turn: Turn) -> Result<Self, FilmError> {
        if !turn.is_none() {
            self.notes.push(Note::Turned(turn));
            self.film = turn.apply(self.film)?;
        }
        Ok(self)
    }
}

/// Returns true if a file that starts with `bytes`, 132 of them or all, claims to be a DICOM file or
/// a picture that is read.
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

/// Reads the film in `bytes`, a whole DICOM, PNG, JPEG, TIFF, BMP or WebP file.
///
/// # Errors
/// If the file is none of these, is damaged, is in colour, shows nothing, or has no film's size.
pub fn decode(bytes: &[u8]) -> Result<Decoded, DecodeError> {
    header_and_film(bytes).1
}

/// Reads the film in `bytes` as [`decode`] does, and with it the patient, examination and view if
/// the file is DICOM and not damaged before its pixels.
pub fn header_and_film(bytes: &[u8]) -> (Option<Header>, Result<Decoded, DecodeError>) {
    if let Err(error) = require_length(bytes) {
        return (None, Err(error));
    }
    // A decoder from a library may panic on a damaged file. The panic's message still goes to
    // standard error, and a program built with `panic = "abort"` ends here.
    if !dicom::is_dicom(bytes) {
        let decoded = catch_unwind(|| raster::decode(bytes)).unwrap_or(Err(DecodeError::Crashed));
        return (None, decoded.map_err(DecodeError::on_one_line));
    }
    // Before other formats: its preamble may make it look like a TIFF file as well (PS3.10, 7.1).
    let crashed = (None, Err(DecodeError::Crashed));
    let (header, film) = catch_unwind(|| dicom::header_and_film(bytes)).unwrap_or(crashed);
    (header, film.map_err(DecodeError::on_one_line))
}

/// Checks that the file in `bytes` is whole, as far as that can be told without refusing a film that
/// could be read: elements and items that reach past the end, and too few bytes of pixels, are found
/// in DICOM files without decoding their pixels; pictures of other formats are decoded. The header
/// is there as with [`header_and_film`].
pub fn inspect(bytes: &[u8]) -> (Option<Header>, Result<(), DecodeError>) {
    if !dicom::is_dicom(bytes) {
        return (None, decode(bytes).map(|_| ()));
    }
    if let Err(error) = require_length(bytes) {
        return (None, Err(error));
    }
    let crashed = (None, Err(DecodeError::Crashed));
    let (header, whole) = catch_unwind(|| dicom::inspect(bytes)).unwrap_or(crashed);
    (header, whole.map_err(DecodeError::on_one_line))
}

/// Reads the patient, examination and view from the DICOM file in `bytes`, the whole file. Its
/// pixels are not decoded.
///
/// # Errors
/// If the file is not DICOM, or is damaged before its pixels.
pub fn header(bytes: &[u8]) -> Result<Header, DecodeError> {
    require_length(bytes)?;
    catch_unwind(|| dicom::header(bytes))
        .unwrap_or(Err(DecodeError::Crashed))
        .map_err(DecodeError::on_one_line)
}

fn require_length(bytes: &[u8]) -> Result<(), DecodeError> {
    match bytes.len() {
        0 => Err(DecodeError::Empty),
        length if length > MAX_BYTES => Err(DecodeError::TooLong(length)),
        _ => Ok(()),
    }
}
