//! Film files to films. The format is found by content, never by name.

mod dicom;
mod jpeg;
mod jpeg_2000;
mod listing;
mod raster;

use alloc::string::String;
use alloc::vec::Vec;
use std::panic::catch_unwind;

use crate::film::{Film, FilmError};

pub use dicom::Header;
pub use listing::{Listing, ListingError};

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
    /// A decoder gave up.
    #[error("the file is damaged in a way that its decoder does not survive; export it again")]
    Collapsed,
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
    // Decoders that others wrote may panic on what nobody foresaw.
    catch_unwind(|| {
        // DICOM first: its preamble may make it look like a TIFF file as well (PS3.10, 7.1).
        if dicom::is_dicom(bytes) {
            return dicom::decode(bytes);
        }
        let format = raster::Format::of(bytes).ok_or(DecodeError::Unknown)?;
        raster::decode(format, bytes)
    })
    .unwrap_or(Err(DecodeError::Collapsed))
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
        .unwrap_or(Err(DecodeError::Collapsed))
        .map_err(DecodeError::on_one_line)
}

/// One component of a compressed stream.
struct Samples {
    width: u32,
    height: u32,
    /// Row-major, in the low bits; signed ones in two's complement.
    codes: Vec<u16>,
}
