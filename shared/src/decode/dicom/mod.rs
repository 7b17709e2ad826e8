//! DICOM films: single grey frames (PS3.3 C.7.6.3), uncompressed or in any of the still image
//! transfer syntaxes (PS3.5, annex A.4) but JPEG XL and HTJ2K.

mod dataset;
mod error;
mod film;
mod frame;
mod header;
mod pixels;
mod rle;
mod transform;

pub(super) use dataset::is_dicom;
pub(super) use film::decode;
pub use header::Header;
pub(super) use header::header;
