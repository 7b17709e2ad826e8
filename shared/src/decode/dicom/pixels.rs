//! Pixel data to stored values, by transfer syntax.

use alloc::vec::Vec;

use dicom_dictionary_std::uids;

use super::dataset::{Dataset, Pixels};
use super::{Frame, damaged, rle, unsupported};
use crate::decode::{DecodeError, Samples, jpeg, jpeg_2000};

/// The stored values of the frame, in the low bits of each word.
pub(super) fn codes(
    dataset: &Dataset,
    frame: &Frame,
    pixels: &Pixels,
    syntax: &str,
) -> Result<Vec<u16>, DecodeError> {
    let fragments = match pixels {
        Pixels::Native(bytes) => return native(dataset, frame, bytes),
        Pixels::Encapsulated(fragments) => fragments,
    };
    let stream = fragments.concat();
    let samples = match syntax {
        uids::RLE_LOSSLESS => {
            let width = usize::from(frame.bits_allocated / 8);
            return Ok(shifted(frame, rle::decode(&stream, frame.pixels(), width)?));
        }
        uids::JPEG_BASELINE8_BIT
        | uids::JPEG_EXTENDED12_BIT
        | uids::JPEG_LOSSLESS
        | uids::JPEG_LOSSLESS_SV1
        | uids::JPEGLS_LOSSLESS
        | uids::JPEGLS_NEAR_LOSSLESS => jpeg::decode(&stream)?,
        uids::JPEG2000_LOSSLESS | uids::JPEG2000 => jpeg_2000::decode(&stream)?,
        _ => {
            return Err(unsupported(
                alloc::format!("transfer syntax {syntax}"),
                "export it uncompressed",
            ));
        }
    };
    require_size(frame, &samples)?;
    Ok(samples.codes)
}

/// Refuses a stream of another size than the data set's.
fn require_size(frame: &Frame, samples: &Samples) -> Result<(), DecodeError> {
    let claimed = (u32::from(frame.width), u32::from(frame.height));
    if (samples.width, samples.height) == claimed {
        return Ok(());
    }
    Err(damaged(alloc::format!(
        "it announces {} x {} pixels and holds {} x {}",
        claimed.0,
        claimed.1,
        samples.width,
        samples.height
    )))
}

fn native(dataset: &Dataset, frame: &Frame, bytes: &[u8]) -> Result<Vec<u16>, DecodeError> {
    let length = frame.pixels() * usize::from(frame.bits_allocated / 8);
    let Some(bytes) = bytes.get(..length) else {
        return Err(damaged(alloc::format!(
            "it holds {} bytes of pixels where {length} are announced",
            bytes.len()
        )));
    };
    let codes = match frame.bits_allocated {
        8 => bytes.iter().map(|byte| u16::from(*byte)).collect(),
        _ => dataset.to_words(bytes),
    };
    Ok(shifted(frame, codes))
}

/// Values that do not start at the lowest bit, moved there.
fn shifted(frame: &Frame, mut codes: Vec<u16>) -> Vec<u16> {
    if frame.shift > 0 {
        codes.iter_mut().for_each(|code| *code >>= frame.shift);
    }
    codes
}
