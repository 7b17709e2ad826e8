//! Film files to films. The format is found by content, never by name.

mod dicom;
mod jpeg;
mod jpeg_2000;
mod listing;
mod raster;

use alloc::string::String;
use alloc::vec::Vec;
use std::fs::{self, File};
use std::io::Read;
use std::panic::catch_unwind;
use std::path::Path;

use crate::film::{Film, FilmError};

pub use dicom::Header;
pub use listing::{Listing, ListingError};

/// The longest file that is read: 64 million pixels of 16 bits in DICOM with room for the rest.
pub const MAX_BYTES: usize = 256 << 20;

/// The reason of a [`DecodeError`], for callers that must choose by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The system does not give the file.
    Unreadable,
    /// No bytes, or too many.
    Length,
    /// No known format, or not the one that is needed.
    Format,
    /// The format is known, but not this kind of it.
    Unsupported,
    /// The file contradicts its format.
    Damaged,
    /// A colour picture.
    Colour,
    /// A DICOM file without pixels.
    NoPixels,
    /// No film's size.
    Size,
    /// Pixels that are not square.
    NotSquare,
    /// The decoder crashed.
    Crashed,
}

/// Why a file gives no film.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The system does not give the file.
    #[error("the file cannot be read ({0}); check its name and its permissions")]
    Unreadable(std::io::Error),
    /// A folder, a pipe or a device.
    #[error("it is a folder or a device, not a file; give the film's file")]
    NotAFile,
    /// No bytes.
    #[error("the file is empty; give the film itself")]
    Empty,
    /// More than [`MAX_BYTES`].
    #[error(
        "the file has {0} bytes, more than the {mib} MiB that are read; give a single film",
        mib = MAX_BYTES >> 20
    )]
    TooLong(usize),
    /// No known format.
    #[error(
        "the file is not a film: it starts like none of DICOM, PNG, JPEG or TIFF; give one of these"
    )]
    Unknown,
    /// Not DICOM, where DICOM is needed.
    #[error("the file is not a DICOM file; give one, or a table that says what the film is")]
    NotDicom,
    /// The size is no film's.
    #[error("the file is not a film: {0}")]
    Size(#[from] FilmError),
    /// Channels differ.
    #[error("the picture is in colour; give the grey film")]
    Colour,
    /// A DICOM file of something else than pictures.
    #[error("the DICOM file has no pixel data; give the film itself")]
    NoPixels,
    /// Pixels that are not square.
    #[error(
        "the film's rows and columns are {rows} and {columns} apart, so its pixels are not square \
         and its angles not true; export it with square pixels"
    )]
    NotSquare {
        /// The distance of rows.
        rows: f64,
        /// The distance of columns.
        columns: f64,
    },
    /// A decoder panicked.
    #[error("the decoder crashed on this file; export it again")]
    Crashed,
    /// The format is read, but not this kind of it.
    #[error("the {format} is of a kind that is not read ({what}); {remedy}")]
    Unsupported {
        /// The file's format.
        format: &'static str,
        /// What it has.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The file contradicts its format.
    #[error("the {format} is damaged ({reason}); export or copy it again")]
    Damaged {
        /// The file's format.
        format: &'static str,
        /// What its decoder says.
        reason: String,
    },
}

impl DecodeError {
    /// The reason, for callers that must choose by it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreadable(_) | Self::NotAFile => ErrorKind::Unreadable,
            Self::Empty | Self::TooLong(_) => ErrorKind::Length,
            Self::Unknown | Self::NotDicom => ErrorKind::Format,
            Self::Size(_) => ErrorKind::Size,
            Self::Colour => ErrorKind::Colour,
            Self::NoPixels => ErrorKind::NoPixels,
            Self::NotSquare { .. } => ErrorKind::NotSquare,
            Self::Crashed => ErrorKind::Crashed,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Damaged { .. } => ErrorKind::Damaged,
        }
    }

    /// Without the control characters that text from a damaged file may hold.
    fn on_one_line(mut self) -> Self {
        if let Self::Unsupported { what: text, .. } | Self::Damaged { reason: text, .. } = &mut self
        {
            *text = text.replace(|c: char| c.is_control(), "\u{fffd}");
        }
        self
    }
}

/// Whether a file that starts with `bytes`, 132 of them or all, claims to be a DICOM, PNG, JPEG or
/// TIFF file.
pub fn is_known(bytes: &[u8]) -> bool {
    raster::Format::of(bytes).is_some() || dicom::is_dicom(bytes)
}

/// The bytes of the film's file `path`, which is a plain file of at most [`MAX_BYTES`].
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
    // A growing file has no length to trust.
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
    // Decoders that others wrote may panic on what nobody foresaw. The panic's message still goes to
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

/// Reads what the DICOM file in `bytes`, the whole file, says of the patient, the examination and
/// the view. Its pixels are not looked at.
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

/// One component of a compressed stream.
struct Samples {
    width: u32,
    height: u32,
    /// Row-major, in the low bits; signed ones in two's complement.
    codes: Vec<u16>,
}
