//! Pixel data to stored values, by transfer syntax.
//!
//! # Streams with more bits than are stored
//!
//! A compressed stream says itself how many bits its samples have: its precision. That should be
//! Bits Stored, but scanners also write streams whose precision is Bits Allocated. So a stream of
//! higher precision than Bits Stored is read in three cases:
//!
//! 1. All of its values fit into Bits Stored.
//! 2. Its precision is Bits Allocated, so its samples are the words of PS3.5, 8.1.1, and High Bit
//!    says that the stored bits are not the lowest ones: the bits below them are dropped.
//! 3. Its precision is Bits Allocated, High Bit says that the stored bits are the lowest ones, and
//!    the bits above them, which PS3.5, 8.1.1 allows, are no part of the picture: an overlay, or
//!    never set. Where a picture crosses a multiple of 2^Bits Stored, the bits above change in one
//!    direction and the stored ones in the other (with 12 bits stored, 4095 is 0 and 4095, and 4096
//!    is 1 and 0). Bits that have nothing to do with the picture change in either direction. So they
//!    are part of the picture if more than three quarters of their changes along the lines are
//!    opposite to those of the stored bits.
//!
//! In every other case Bits Stored is wrong. Reading only the stored bits would then give a film
//! that looks real and is not, so it is refused.

use alloc::vec::Vec;

use dicom_dictionary_std::uids;

use super::dataset::{Dataset, Pixels};
use super::error::{damaged, unsupported};
use super::frame::Frame;
use super::rle;
use crate::decode::error::DecodeError;
use crate::decode::samples::Samples;
use crate::decode::{jpeg, jpeg_2000};
use crate::grey::Stored;

/// Returns the stored values of the frame, in the low bits of each word.
pub(super) fn stored_values(
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
    fitted(frame, samples)
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

/// Returns a stream's samples as stored values, by the rules at the top of this file.
fn fitted(frame: &Frame, samples: Samples) -> Result<Vec<u16>, DecodeError> {
    let bits = frame.stored.bits;
    if samples.bits <= bits || fits(frame, &samples) {
        return Ok(samples.values);
    }
    if u16::from(samples.bits) == frame.bits_allocated {
        if frame.shift > 0 {
            return Ok(shifted(frame, samples.values));
        }
        if !continues_above(frame, &samples) {
            return Ok(samples.values);
        }
    }
    Err(damaged(alloc::format!(
        "its compressed pixels have {} bits, and its Bits Stored is {bits}",
        samples.bits
    )))
}

/// Returns the number that a sample of the stream stands for.
fn number(frame: &Frame, samples: &Samples, sample: u16) -> i32 {
    let stream = Stored {
        bits: samples.bits,
        signed: frame.stored.signed,
    };
    stream.value(sample)
}

/// Returns true if all samples fit into Bits Stored, signed ones with or without their sign in the
/// bits above.
fn fits(frame: &Frame, samples: &Samples) -> bool {
    let bits = frame.stored.bits;
    let signed = |sample| matches!(number(frame, samples, sample) >> (bits - 1), 0 | -1);
    (samples.values.iter())
        .all(|sample| sample >> bits == 0 || (frame.stored.signed && signed(*sample)))
}

/// Returns true if the bits above the stored ones are part of the picture.
fn continues_above(frame: &Frame, samples: &Samples) -> bool {
    let bits = frame.stored.bits;
    let (mut changes, mut opposite) = (0u64, 0u64);
    for line in samples.values.chunks(samples.width as usize) {
        for pair in line.windows(2) {
            let [one, next] = [pair[0], pair[1]].map(|sample| number(frame, samples, sample));
            let above = (next >> bits) - (one >> bits);
            let low = (next - one) - (above << bits);
            changes += u64::from(above != 0);
            opposite += u64::from(above.signum() * low.signum() < 0);
        }
    }
    4 * opposite > 3 * changes
}

fn native(dataset: &Dataset, frame: &Frame, bytes: &[u8]) -> Result<Vec<u16>, DecodeError> {
    let length = frame.pixels() * usize::from(frame.bits_allocated / 8);
    let Some(bytes) = bytes.get(..length) else {
        return Err(damaged(alloc::format!(
            "it holds {} bytes of pixels where {length} are announced",
            bytes.len()
        )));
    };
    let stored = match frame.bits_allocated {
        8 => bytes.iter().map(|byte| u16::from(*byte)).collect(),
        _ => dataset.to_words(bytes),
    };
    Ok(shifted(frame, stored))
}

/// Moves values that do not start at the lowest bit there.
fn shifted(frame: &Frame, mut stored: Vec<u16>) -> Vec<u16> {
    if frame.shift > 0 {
        stored.iter_mut().for_each(|value| *value >>= frame.shift);
    }
    stored
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;
    use crate::grey::GreyscaleTransform;

    /// A frame of 64 x 1 pixels with 16 bits allocated.
    fn frame(bits: u8, shift: u16, signed: bool) -> Frame {
        Frame {
            width: 64,
            height: 1,
            bits_allocated: 16,
            shift,
            stored: Stored { bits, signed },
            inverted: false,
        }
    }

    fn samples(bits: u8, values: &[u16]) -> Samples {
        Samples {
            width: 64,
            height: 1,
            bits,
            values: values.to_vec(),
        }
    }

    /// A ramp of 64 values up to `last`.
    fn ramp(last: u32) -> Vec<u16> {
        (0..64).map(|at| (at * last / 63) as u16).collect()
    }

    #[test]
    fn streams_of_higher_precision_whose_values_fit_are_read() {
        let values = ramp(4095);
        for bits in [12, 14, 16] {
            let read = fitted(&frame(12, 0, false), samples(bits, &values));
            assert_eq!(read.unwrap(), values, "{bits} bits");
        }
        // -2048 to 2047, with and without the sign in the bits above.
        let bare: Vec<u16> = values.iter().map(|value| value ^ 0x800).collect();
        let extended: Vec<u16> = values
            .iter()
            .map(|value| value.wrapping_sub(2048) & 0x3fff)
            .collect();
        for values in [bare, extended] {
            let read = fitted(&frame(12, 0, true), samples(14, &values));
            assert_eq!(read.unwrap(), values);
        }
    }

    #[test]
    fn wider_pictures_are_refused_with_both_numbers() {
        for (bits, last) in [(16, 65_535), (16, 4096), (14, 16_383)] {
            let error = fitted(&frame(12, 0, false), samples(bits, &ramp(last))).unwrap_err();
            let sentence = alloc::format!("have {bits} bits, and its Bits Stored is 12");
            assert!(error.to_string().contains(&sentence), "{error}");
        }
        let error = fitted(&frame(12, 0, true), samples(16, &ramp(30_000))).unwrap_err();
        assert!(error.to_string().contains("Bits Stored is 12"), "{error}");
    }

    #[test]
    fn words_keep_the_bits_that_high_bit_names() {
        let words: Vec<u16> = ramp(4095).iter().map(|value| value << 4 | 7).collect();
        let read = fitted(&frame(12, 4, false), samples(16, &words));
        assert_eq!(read.unwrap(), ramp(4095));
    }

    #[test]
    fn bits_above_the_stored_ones_that_are_no_picture_are_ignored() {
        // All set, and an overlay in the highest bit.
        let all = ramp(4095).iter().map(|value| value | 0xf000).collect();
        let overlay = (ramp(4095).iter().enumerate())
            .map(|(at, value)| value | u16::from(at % 20 < 3) << 15)
            .collect();
        for words in [all, overlay] {
            let words: Vec<u16> = words;
            let read = fitted(&frame(12, 0, false), samples(16, &words)).unwrap();
            assert_eq!(read, words);
            // The transform ignores them.
            let transform = GreyscaleTransform::of_picture(12);
            let plain = transform.film(64, 1, ramp(4095)).unwrap();
            assert_eq!(transform.film(64, 1, read).unwrap(), plain);
        }
        // Such bits have no place in a stream whose precision is not Bits Allocated.
        let words = vec![0x2001; 64];
        assert!(fitted(&frame(12, 0, false), samples(14, &words)).is_err());
    }
}
