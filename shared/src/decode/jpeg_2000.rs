//! JPEG 2000 codestreams (ITU-T T.800) of one component.

use alloc::string::ToString;
use alloc::vec::Vec;

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

use super::error::DecodeError;
use super::samples::Samples;
use crate::film::Film;

/// The SOC and SIZ markers that start every codestream (T.800, A.4.1 and A.5.1).
const START: &[u8] = &[0xff, 0x4f, 0xff, 0x51];

/// Decodes one component at its full depth.
pub(super) fn decode(bytes: &[u8]) -> Result<Samples, DecodeError> {
    let (size, bytes) = Size::of_codestream(bytes)?;
    if size.components != 1 {
        return Err(DecodeError::Colour);
    }
    let image = Image::new(bytes, &SETTINGS).map_err(damaged)?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(damaged)?;
    let [component] = decoded.components() else {
        return Err(DecodeError::Colour);
    };
    // The library shifts signed samples up as if they were not.
    let (low, high, shift) = match size.signed {
        true => (
            -(1 << (size.bits - 1)),
            (1 << (size.bits - 1)) - 1,
            1 << (size.bits - 1),
        ),
        false => (0, (1 << size.bits) - 1, 0),
    };
    let value = |sample: &f32| (nearest(*sample) - shift).clamp(low, high) as u16;
    Ok(Samples {
        width: image.width(),
        height: image.height(),
        bits: size.bits,
        signed: size.signed,
        values: component.samples().iter().map(value).collect(),
    })
}

/// Colours of 8 bits a channel, row-major.
pub(super) struct Colours {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The three components.
    pub colours: Vec<[u16; 3]>,
    /// True if the stream itself says that they were luminance and chrominance (T.800, A.6.1): they
    /// are red, green and blue now.
    pub transformed: bool,
}

/// Decodes three components of 8 bits.
pub(super) fn decode_colours(bytes: &[u8]) -> Result<Colours, DecodeError> {
    let (size, bytes) = Size::of_codestream(bytes)?;
    if (size.components, size.bits, size.signed) != (3, 8, false) {
        return Err(DecodeError::Colour);
    }
    let image = Image::new(bytes, &SETTINGS).map_err(damaged)?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(damaged)?;
    let [red, green, blue] = decoded.components() else {
        return Err(DecodeError::Colour);
    };
    let channels = red
        .samples()
        .iter()
        .zip(green.samples())
        .zip(blue.samples());
    let value = |sample: &f32| nearest(*sample).clamp(0, 255) as u16;
    Ok(Colours {
        width: image.width(),
        height: image.height(),
        transformed: is_transformed(bytes),
        colours: channels
            .map(|((r, g), b)| [value(r), value(g), value(b)])
            .collect(),
    })
}

const SETTINGS: DecodeSettings = DecodeSettings {
    strict: true,
    resolve_palette_indices: true,
    target_resolution: None,
};

/// Returns true if the coding style (T.800, A.6.1) of a codestream has a transform of its components.
fn is_transformed(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        if marker == 0x52 {
            return bytes.get(at + 8) == Some(&1);
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
    false
}

/// Returns the whole number nearest to a sample, halves away from 0; numbers that no sample can have
/// are clamped. Unlike a call of the library's rounding, this is vectorised.
fn nearest(sample: f32) -> i32 {
    let sample = sample.clamp(-131_072.0, 131_072.0);
    let whole = sample as i32;
    let rest = sample - whole as f32;
    whole + i32::from(rest >= 0.5) - i32::from(rest <= -0.5)
}

/// The size of T.800, A.5.1.
struct Size {
    width: u32,
    height: u32,
    components: u16,
    bits: u8,
    signed: bool,
}

impl Size {
    /// Returns the size of a codestream, within limits, and the codestream.
    fn of_codestream(bytes: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        // Some writers wrap the codestream in a JP2 file, which DICOM does not allow.
        let start = bytes.windows(START.len()).position(|found| found == START);
        let bytes = &bytes[start.ok_or_else(|| damaged("it does not start"))?..];
        let size = Self::of(bytes).ok_or_else(|| damaged("its header is cut off"))?;
        Film::check_size(size.width, size.height)?;
        if size.bits > 16 {
            return Err(DecodeError::Unsupported {
                format: "JPEG 2000 stream",
                what: alloc::format!("{} bits", size.bits),
                remedy: "export it with 8 to 16 bits a pixel",
            });
        }
        Ok((size, bytes))
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let long = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        let depth = *bytes.get(42)?;
        Some(Self {
            width: long(8)?.checked_sub(long(16)?)?,
            height: long(12)?.checked_sub(long(20)?)?,
            components: u16::from_be_bytes(*bytes.get(40..)?.first_chunk()?),
            bits: (depth & 0x7f) + 1,
            signed: depth & 0x80 != 0,
        })
    }
}

fn damaged(reason: impl ToString) -> DecodeError {
    DecodeError::Damaged {
        format: "JPEG 2000 stream",
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_go_to_the_nearest_whole_number() {
        for eighths in -600_000..600_000 {
            let sample = eighths as f32 / 8.0;
            assert_eq!(nearest(sample), libm::roundf(sample) as i32, "{sample}");
        }
        let below_a_half = 0.5_f32.next_down();
        assert_eq!([nearest(below_a_half), nearest(-below_a_half)], [0, 0]);
        assert_eq!(nearest(f32::NAN), 0);
        assert_eq!(nearest(f32::INFINITY), 131_072);
        assert_eq!(nearest(f32::MIN), -131_072);
    }
}
