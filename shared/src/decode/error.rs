//! Errors of reading a film's file.

use alloc::string::String;

use super::limit::MAX_BYTES;
use crate::film::FilmError;

/// The kind of a [`DecodeError`], for callers that must choose by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The system cannot open or read the file.
    Unreadable,
    /// The file has no bytes, or too many.
    Length,
    /// The format is unknown, or not the one that is needed.
    Format,
    /// The format is known, but not this kind of it.
    Unsupported,
    /// The file contradicts its format.
    Damaged,
    /// The picture is in colour.
    Colour,
    /// The DICOM file has no pixels.
    NoPixels,
    /// The picture has no pixels, or too many.
    Size,
    /// The pixels are not square.
    NotSquare,
    /// The film shows nothing.
    Blank,
    /// The film's window shows nothing of it.
    NothingShown,
    /// The values are not yet processed for display.
    ForProcessing,
    /// The decoder crashed.
    Crashed,
}

/// An error of reading a film's file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The system cannot open or read the file.
    #[error("the file cannot be read ({0}); check its name and its permissions")]
    Unreadable(std::io::Error),
    /// The path names a folder, a pipe or a device.
    #[error("it is a folder or a device, not a file; give the film's file")]
    NotAFile,
    /// The file has no bytes.
    #[error("the file is empty; give the film itself")]
    Empty,
    /// The file has more than [`MAX_BYTES`] bytes.
    #[error(
        "the file has {0} bytes, more than the {mib} MiB that are read; give a single film",
        mib = MAX_BYTES >> 20
    )]
    TooLong(usize),
    /// The format is unknown.
    #[error(
        "the file is not a film: it starts like none of DICOM, PNG, JPEG, TIFF, BMP or WebP; give one \
         of these"
    )]
    Unknown,
    /// The format is known, and is no film's.
    #[error("the file is {0}, not a film; {1}")]
    Other(&'static str, &'static str),
    /// The file is not DICOM, where DICOM is needed.
    #[error("the file is not a DICOM file; give one, or a table that says what the film is")]
    NotDicom,
    /// The picture has no pixels, or too many.
    #[error("the file is not a film: {0}")]
    Size(#[from] FilmError),
    /// The picture is in colour.
    #[error("the picture is in colour; give the grey film")]
    Colour,
    /// The DICOM file holds no pixels.
    #[error("the DICOM file has no pixel data; give the film itself")]
    NoPixels,
    /// The pixels are not square.
    #[error(
        "the film's rows and columns are {rows} and {columns} apart, so its pixels are not square \
         and angles measured on it would be wrong; export it with square pixels"
    )]
    NotSquare {
        /// The distance between rows, or its share of the ratio.
        rows: f64,
        /// The distance between columns, or its share of the ratio.
        columns: f64,
    },
    /// The film shows nothing.
    #[error(
        "the film is blank: {percent:.1} % of its pixels have no more than three greys, so there is \
         nothing to read; take it again",
        percent = share * 100.0
    )]
    Blank {
        /// The share of the pixels that have one of the few greys.
        share: f64,
    },
    /// The film's window shows nothing of it.
    #[error(
        "the film's window shows nothing of it: {percent:.1} % of its pixels have no more than three \
         greys; export it with the window with which it is read",
        percent = share * 100.0
    )]
    NothingShown {
        /// The share of the pixels that have one of the few greys.
        share: f64,
    },
    /// The values are not yet processed for display.
    #[error(
        "the film holds the detector's raw values (FOR PROCESSING); give the one that is made of them \
         FOR PRESENTATION"
    )]
    ForProcessing,
    /// The decoder panicked.
    #[error("the decoder crashed on this file; export it again")]
    Crashed,
    /// The format is known, but not this kind of it.
    #[error("this kind of {format} cannot be read ({what}); {remedy}")]
    Unsupported {
        /// The file's format.
        format: &'static str,
        /// The unsupported property.
        what: String,
        /// The remedy for the user.
        remedy: &'static str,
    },
    /// The file contradicts its format.
    #[error("the {format} is damaged ({reason}); export or copy it again")]
    Damaged {
        /// The file's format.
        format: &'static str,
        /// The decoder's reason.
        reason: String,
    },
}

impl DecodeError {
    /// The kind of error, for callers that must choose by it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreadable(_) | Self::NotAFile => ErrorKind::Unreadable,
            Self::Empty | Self::TooLong(_) => ErrorKind::Length,
            Self::Unknown | Self::Other(..) | Self::NotDicom => ErrorKind::Format,
            Self::Size(_) => ErrorKind::Size,
            Self::Colour => ErrorKind::Colour,
            Self::NoPixels => ErrorKind::NoPixels,
            Self::NotSquare { .. } => ErrorKind::NotSquare,
            Self::Blank { .. } => ErrorKind::Blank,
            Self::NothingShown { .. } => ErrorKind::NothingShown,
            Self::ForProcessing => ErrorKind::ForProcessing,
            Self::Crashed => ErrorKind::Crashed,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Damaged { .. } => ErrorKind::Damaged,
        }
    }

    /// The error without the control characters that text from a damaged file may hold.
    pub(super) fn on_one_line(mut self) -> Self {
        if let Self::Unsupported { what: text, .. } | Self::Damaged { reason: text, .. } = &mut self
        {
            *text = text.replace(|c: char| c.is_control(), "\u{fffd}");
        }
        self
    }
}
