//! DICOM films: single grey frames (PS3.3 C.7.6.3), uncompressed or in any of the still image
//! transfer syntaxes (PS3.5, annex A.4) but JPEG XL and HTJ2K.

mod characters;
mod colour;
mod dataset;
mod elements;
mod error;
mod file;
mod film;
mod frame;
mod header;
mod pixels;
mod rle;
mod transform;

use self::dataset::Dataset;
use self::file::File;
use super::error::DecodeError;
use super::file::Decoded;

pub use characters::Characters;
pub(super) use file::is_dicom;
pub use header::Header;

/// Reads the header of the DICOM file in `bytes`, the whole file.
pub(super) fn header(bytes: &[u8]) -> Result<Header, DecodeError> {
    if !is_dicom(bytes) {
        return Err(DecodeError::NotDicom);
    }
    let file = File::open(bytes)?;
    Ok(Header::of(&file.dataset()?))
}

/// Reads the header and the film of the DICOM file in `bytes`.
pub(super) fn header_and_film(bytes: &[u8]) -> (Option<Header>, Result<Decoded, DecodeError>) {
    with_header(bytes, film::film)
}

/// Reads the header of the DICOM file in `bytes`, and checks that its pixels are all there.
pub(super) fn inspect(bytes: &[u8]) -> (Option<Header>, Result<(), DecodeError>) {
    with_header(bytes, |_, dataset| pixels::require_whole(dataset))
}

/// Reads the header of the DICOM file in `bytes`, and what `read` reads of it.
fn with_header<T>(
    bytes: &[u8],
    read: impl FnOnce(&File, &Dataset) -> Result<T, DecodeError>,
) -> (Option<Header>, Result<T, DecodeError>) {
    let file = match File::open(bytes) {
        Ok(file) => file,
        Err(error) => return (None, Err(error)),
    };
    match file.dataset() {
        Ok(dataset) => (Some(Header::of(&dataset)), read(&file, &dataset)),
        Err(error) => (None, Err(error)),
    }
}
