//! Film files to films. The format is found by content, never by name.

mod blank;
mod colour;
mod dicom;
mod error;
mod file;
mod jpeg;
mod jpeg_2000;
mod limit;
mod listing;
mod note;
mod orientation;
mod raster;
mod samples;
mod square;
mod tiff;

pub use dicom::{Characters, Header};
pub use error::{DecodeError, ErrorKind};
pub use file::{Decoded, decode, header, header_and_film, inspect, is_known, read_file};
pub use limit::MAX_BYTES;
pub use listing::{Listing, ListingError};
pub use note::Note;
pub use orientation::Turn;
