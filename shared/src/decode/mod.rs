//! Film files to films. The format is found by content, never by name.

mod raster;

use alloc::string::String;

use crate::film::{Film, FilmError};

/// The longest file that is read: 64 million pixels of 16 bits in DICOM with room for the rest.
pub const MAX_BYTES: usize = 256 << 20;

/// Why a file gives no film.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
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
    /// The size is no film's.
    #[error("the file is not a film: {0}")]
    Size(#[from] FilmError),
    /// Channels differ.
    #[error("the picture is in colour; give the grey film")]
    Colour,
    /// The format is read, but not this kind of it.
    #[error("the {format} picture is of a kind that is not read ({what}); {remedy}")]
    Unsupported {
        /// The file's format.
        format: &'static str,
        /// What it has.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The file contradicts its format.
    #[error("the {format} file is damaged ({reason}); export or copy it again")]
    Damaged {
        /// The file's format.
        format: &'static str,
        /// What its decoder says.
        reason: String,
    },
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
    match raster::Format::of(bytes) {
        Some(format) => raster::decode(format, bytes),
        None => Err(DecodeError::Unknown),
    }
}
