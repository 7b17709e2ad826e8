//! Pixel data to stored values, by transfer syntax.
//!
//! # Streams with other bits than are stored
//!
//! A compressed stream says itself how many bits its samples have: its precision. That should be
//! Bits Stored, but scanners also write streams whose precision is Bits Allocated, and archives
//! compress films anew and leave the header as it was. A stream whose values fit into Bits Stored is
//! read by the header. A stream of higher precision whose values do not fit is read
//!
//! 1. by the header if its precision is Bits Allocated, so that its samples are the words of
//!    PS3.5, 8.1.1, and High Bit says that the stored bits are not the lowest ones: the bits below
//!    them are dropped. So are those of a stream whose values do fit, if they are all 0;
//! 2. by the header if its precision is Bits Allocated, High Bit says that the stored bits are the
//!    lowest ones, and the bits above them are no part of the picture: an overlay, or never set.
//!    Where a picture crosses a multiple of 2^Bits Stored, the bits above change in one direction
//!    and the stored ones in the other (with 12 bits stored, 4095 is 0 and 4095, and 4096 is 1 and
//!    0). Bits that have nothing to do with the picture change in either direction. So they are part
//!    of the picture if more than three quarters of their changes along the lines are opposite to
//!    those of the stored bits;
//! 3. else by its own precision, and the film carries a note of it.
//!
//! The stream's sign wins too: samples of signed pixels are in two's complement in the stream's
//! precision, and signed samples are signed pixels.

use alloc::vec::Vec;

use dicom_dictionary_std::uids;

use super::dataset::{Dataset, Pixels, to_words};
use super::error::damaged;
use super::file::{File, inflate, unknown_syntax};
use super::frame::{Frame, Photometric};
use super::rle;
use crate::decode::error::DecodeError;
use crate::decode::limit::MAX_BYTES;
use crate::decode::samples::Samples;
use crate::decode::{jpeg, jpeg_2000};
use crate::grey::Stored;

/// The stored values of a frame.
#[derive(Debug)]
pub(super) struct StoredValues {
    /// Their format, which a compressed stream may say otherwise than the header.
    pub format: Stored,
    /// The values, in the low bits of each word.
    pub values: Vec<u16>,
    /// The bits that a value has in the file: those of the format, or of a narrower stream.
    pub bits: u8,
}

/// Returns the stored values of a grey frame.
pub(super) fn stored_values(
    file: &File,
    dataset: &Dataset,
    frame: &Frame,
) -> Result<StoredValues, DecodeError> {
    // Words that are not compressed are like a stream of Bits Allocated.
    let words_of = |values| {
        let samples = Samples {
            width: frame.width.into(),
            height: frame.height.into(),
            bits: frame.bits_allocated as u8,
            signed: false,
            values,
        };
        fitted(frame, samples)
    };
    let fragments = match dataset.pixels()? {
        Pixels::Native { bytes, words } => {
            file.require_known()?;
            let samples = native(frame, bytes, *words, file.has_big_endian_pixels(dataset), 1)?;
            return Ok(words_of(samples));
        }
        Pixels::Encapsulated(fragments) => fragments,
    };
    let stream = fragments.concat();
    let samples = match Compression::of(file.syntax(), &stream)? {
        Compression::Rle => {
            let bytes = usize::from(frame.bits_allocated / 8);
            let planes = rle::planes(&stream, frame.pixels(), bytes)?;
            let samples = match &planes[..] {
                [high, low] => (high.iter().zip(low))
                    .map(|(high, low)| u16::from_be_bytes([*high, *low]))
                    .collect(),
                planes => planes
                    .iter()
                    .flatten()
                    .map(|byte| u16::from(*byte))
                    .collect(),
            };
            return Ok(words_of(samples));
        }
        Compression::Deflate => {
            let bytes = inflate(&stream, MAX_BYTES)?;
            return Ok(words_of(native(frame, &bytes, false, false, 1)?));
        }
        Compression::Jpeg => jpeg::decode(&stream)?,
        Compression::Jpeg2000 => jpeg_2000::decode(&stream)?,
    };
    require_size(frame, (samples.width, samples.height))?;
    Ok(fitted(frame, samples))
}

/// The compression of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    /// RLE Lossless.
    Rle,
    /// Deflated Image Frame Compression.
    Deflate,
    /// JPEG by DCT or lossless, and JPEG-LS.
    Jpeg,
    /// JPEG 2000.
    Jpeg2000,
}

impl Compression {
    /// Returns the compression by the first bytes of a stream, else by the transfer syntax.
    ///
    /// # Errors
    /// If it is one that is not read.
    pub(super) fn of(syntax: &str, stream: &[u8]) -> Result<Self, DecodeError> {
        const HIGH_THROUGHPUT: [&str; 3] =
            [uids::HTJ2K_LOSSLESS, uids::HTJ2K_LOSSLESS_RPCL, uids::HTJ2K];
        match (stream, syntax) {
            (_, syntax) if HIGH_THROUGHPUT.contains(&syntax) => Err(unknown_syntax(syntax)),
            ([0xff, 0xd8, 0xff, ..], _) => Ok(Self::Jpeg),
            ([0xff, 0x4f, 0xff, 0x51, ..], _) => Ok(Self::Jpeg2000),
            (_, uids::RLE_LOSSLESS) => Ok(Self::Rle),
            (_, uids::DEFLATED_IMAGE_FRAME_COMPRESSION) => Ok(Self::Deflate),
            (
                _,
                uids::JPEG_BASELINE8_BIT
                | uids::JPEG_EXTENDED12_BIT
                | uids::JPEG_LOSSLESS
                | uids::JPEG_LOSSLESS_SV1
                | uids::JPEGLS_LOSSLESS
                | uids::JPEGLS_NEAR_LOSSLESS,
            ) => Ok(Self::Jpeg),
            (_, uids::JPEG2000_LOSSLESS | uids::JPEG2000) => Ok(Self::Jpeg2000),
            (_, syntax) => Err(unknown_syntax(syntax)),
        }
    }
}

/// Refuses a stream of another size, columns and rows, than the data set's.
pub(super) fn require_size(frame: &Frame, size: (u32, u32)) -> Result<(), DecodeError> {
    let claimed = (u32::from(frame.width), u32::from(frame.height));
    if size == claimed {
        return Ok(());
    }
    Err(damaged(alloc::format!(
        "it announces {} x {} pixels and holds {} x {}",
        claimed.0,
        claimed.1,
        size.0,
        size.1
    )))
}

/// Returns a stream's samples as stored values, by the rules at the top of this file.
fn fitted(frame: &Frame, samples: Samples) -> StoredValues {
    let header = frame.stored;
    let stream = Stored {
        bits: samples.bits,
        signed: header.signed || samples.signed,
    };
    let of = |format: Stored, samples: Samples| StoredValues {
        format,
        bits: format.bits.min(samples.bits),
        values: samples.values,
    };
    if stream.signed && (stream.bits < header.bits || !header.signed) {
        return of(stream, samples);
    }
    if samples.bits <= header.bits {
        return of(header, samples);
    }
    let words = u16::from(samples.bits) == frame.bits_allocated;
    let fits = fits(frame, &samples);
    if words && frame.shift > 0 && !(fits && uses_low_bits(frame, &samples)) {
        let values = shifted(frame, samples.values);
        return of(header, Samples { values, ..samples });
    }
    match fits || (words && !continues_above(frame, &samples)) {
        true => of(header, samples),
        false => of(stream, samples),
    }
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
    let all = samples.values.iter().fold(0, |all, sample| all | sample);
    if bits >= 16 || all >> bits == 0 {
        return true;
    }
    let signed = |sample| matches!(number(frame, samples, sample) >> (bits - 1), 0 | -1);
    (samples.values.iter())
        .all(|sample| sample >> bits == 0 || (frame.stored.signed && signed(*sample)))
}

/// Returns true if a sample has bits below the stored ones.
fn uses_low_bits(frame: &Frame, samples: &Samples) -> bool {
    let low = (1 << frame.shift) - 1;
    samples.values.iter().any(|sample| sample & low != 0)
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

/// Returns the samples of native pixels, `channels` of them a pixel. `in_words`: pairs of 8-bit
/// samples are stored as words.
pub(super) fn native(
    frame: &Frame,
    bytes: &[u8],
    in_words: bool,
    big_endian: bool,
    channels: usize,
) -> Result<Vec<u16>, DecodeError> {
    let samples = frame.pixels() * channels;
    let length = samples * usize::from(frame.bits_allocated / 8);
    let Some(needed) = bytes.get(..length) else {
        return Err(cut_off(bytes.len(), length));
    };
    Ok(match frame.bits_allocated {
        8 if in_words && big_endian => {
            let (pairs, last) = bytes.as_chunks();
            let swapped = pairs.iter().flat_map(|[high, low]| [*low, *high]);
            let bytes = swapped.chain(last.iter().copied());
            bytes.take(samples).map(u16::from).collect()
        }
        8 => needed.iter().map(|byte| u16::from(*byte)).collect(),
        _ => to_words(needed, big_endian),
    })
}

/// Refuses native pixels of which bytes are missing. What cannot be told without decoding is let
/// pass: whether the film can be read is not asked here.
pub(super) fn require_whole(dataset: &Dataset) -> Result<(), DecodeError> {
    let (Ok(frame), Ok(Pixels::Native { bytes, .. })) = (Frame::of(dataset), dataset.pixels())
    else {
        return Ok(());
    };
    let samples = match frame.photometric {
        Photometric::Colour(layout) if layout.halved => 2,
        Photometric::Colour(_) => 3,
        Photometric::Monochrome { .. } | Photometric::Palette => 1,
    };
    let announced = frame.pixels() * samples * usize::from(frame.bits_allocated / 8);
    match bytes.len() < announced {
        true => Err(cut_off(bytes.len(), announced)),
        false => Ok(()),
    }
}

fn cut_off(there: usize, announced: usize) -> DecodeError {
    damaged(alloc::format!(
        "it holds {there} bytes of pixels where {announced} are announced"
    ))
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
    use alloc::vec;

    use super::super::frame::Photometric;
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
            photometric: Photometric::Monochrome { inverted: false },
        }
    }

    fn samples(bits: u8, values: &[u16]) -> Samples {
        Samples {
            width: 64,
            height: 1,
            bits,
            signed: false,
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
            assert_eq!(read.values, values, "{bits} bits");
        }
        // -2048 to 2047, with and without the sign in the bits above.
        let bare: Vec<u16> = values.iter().map(|value| value ^ 0x800).collect();
        let extended: Vec<u16> = values
            .iter()
            .map(|value| value.wrapping_sub(2048) & 0x3fff)
            .collect();
        for values in [bare, extended] {
            let read = fitted(&frame(12, 0, true), samples(14, &values));
            assert_eq!(read.values, values);
        }
    }

    #[test]
    fn wider_pictures_are_read_by_the_streams_precision() {
        for (bits, last) in [(16, 65_535), (16, 4096), (14, 16_383)] {
            let read = fitted(&frame(12, 0, false), samples(bits, &ramp(last)));
            let signed = false;
            assert_eq!(read.format, Stored { bits, signed });
            assert_eq!(read.values, ramp(last));
        }
        let read = fitted(&frame(12, 0, true), samples(16, &ramp(30_000)));
        let signed = true;
        assert_eq!(read.format, Stored { bits: 16, signed });
    }

    #[test]
    fn the_streams_sign_counts() {
        let thirteen = Stored {
            bits: 13,
            signed: true,
        };
        let values = [0x1fff; 64];
        let read = fitted(&frame(16, 0, true), samples(13, &values));
        assert_eq!((read.format, read.format.value(values[0])), (thirteen, -1));
        let signed = Samples {
            signed: true,
            ..samples(13, &values)
        };
        assert_eq!(fitted(&frame(16, 0, false), signed).format, thirteen);
    }

    #[test]
    fn words_keep_the_bits_that_high_bit_names() {
        let words: Vec<u16> = ramp(4095).iter().map(|value| value << 4 | 7).collect();
        let read = fitted(&frame(12, 4, false), samples(16, &words));
        assert_eq!(read.values, ramp(4095));
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
            let read = fitted(&frame(12, 0, false), samples(16, &words)).values;
            assert_eq!(read, words);
            // The transform ignores them.
            let transform = GreyscaleTransform::of_picture(12);
            let plain = transform.film(64, 1, ramp(4095)).unwrap();
            assert_eq!(transform.film(64, 1, read).unwrap(), plain);
        }
        // Such bits have no place in a stream whose precision is not Bits Allocated.
        let words = vec![0x2001; 64];
        assert_eq!(
            fitted(&frame(12, 0, false), samples(14, &words))
                .format
                .bits,
            14
        );
    }
}
