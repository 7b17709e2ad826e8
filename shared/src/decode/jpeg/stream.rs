//! A whole JPEG stream to its samples.

use super::error::damaged;
use super::header::read_header;
use super::{dct, lossless, ls, markers};
use crate::decode::error::DecodeError;
use crate::decode::samples::Samples;
use crate::film::Film;

/// Decodes a stream of one component.
pub(in crate::decode) fn decode(bytes: &[u8]) -> Result<Samples, DecodeError> {
    // Its end may be missing, but not its data: each process refuses a scan that ends early.
    let (header, scan) = read_header(bytes)?;
    let frame = (header.frame.as_ref()).ok_or_else(|| damaged("it has no frame header"))?;
    Film::check_size(frame.width.into(), frame.height.into())?;
    let values = match frame.marker {
        markers::LOSSLESS => lossless::decode(&header, frame, &scan)?,
        markers::LS => ls::decode(&header, frame, &scan)?,
        _ => dct::decode(&header, frame, &scan)?,
    };
    Ok(Samples {
        width: frame.width.into(),
        height: frame.height.into(),
        bits: frame.precision,
        signed: false,
        values,
    })
}
