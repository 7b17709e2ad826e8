//! Film files to films. The format is found by content, never by name.

mod dicom;
mod error;
mod file;
mod jpeg;
mod jpeg_2000;
mod limit;
mod listing;
mod raster;
mod samples;

pub use dicom::Header;
pub use error::{DecodeError, ErrorKind};
pub use file::{decode, header, is_known, read_file};
pub use limit::MAX_BYTES;
pub use listing::{Listing, ListingError};
