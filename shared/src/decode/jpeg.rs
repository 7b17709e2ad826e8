//! JPEG streams (ITU-T T.81) as DICOM holds them: one component, baseline or lossless.

use alloc::string::ToString;

use jpeg_decoder::{Decoder, PixelFormat};

use super::{DecodeError, Samples};
use crate::film::{Film, MAX_PIXELS};

/// Decodes one component.
pub(super) fn decode(bytes: &[u8]) -> Result<Samples, DecodeError> {
    if !is_whole(bytes) {
        return Err(damaged("it ends before its last line"));
    }
    let mut decoder = Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(MAX_PIXELS as usize * 2);
    decoder.read_info().map_err(damaged)?;
    let info = decoder.info().ok_or_else(|| damaged("it has no frame"))?;
    let (width, height) = (info.width.into(), info.height.into());
    Film::check_size(width, height)?;
    let pixels = match info.pixel_format {
        PixelFormat::L8 | PixelFormat::L16 => decoder.decode().map_err(damaged)?,
        _ => return Err(DecodeError::Colour),
    };
    let codes = match info.pixel_format {
        PixelFormat::L8 if pixels.len() as u64 == u64::from(width) * u64::from(height) => {
            pixels.iter().map(|sample| u16::from(*sample)).collect()
        }
        _ => (pixels.as_chunks().0.iter())
            .map(|sample| u16::from_ne_bytes(*sample))
            .collect(),
    };
    Ok(Samples {
        width,
        height,
        codes,
    })
}

/// Whether the markers of a JPEG stream (T.81, B.1.1) lead to the end of its image.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    const END_OF_IMAGE: u8 = 0xd9;
    let mut at = 2;
    loop {
        // To the next marker: past fill bytes, and in a scan past stuffed zeros and restarts.
        let Some(&[0xff, marker]) = bytes.get(at..at + 2) else {
            return false;
        };
        at += 2;
        match marker {
            END_OF_IMAGE => return true,
            0xff => at -= 1,
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            _ => {
                let Some(&[high, low]) = bytes.get(at..at + 2) else {
                    return false;
                };
                at += usize::from(u16::from_be_bytes([high, low]));
            }
        }
        if matches!(marker, START_OF_SCAN | 0x00 | 0xd0..=0xd7) {
            let Some(skipped) = (bytes.get(at..)).and_then(|s| s.iter().position(|b| *b == 0xff))
            else {
                return false;
            };
            at += skipped;
        }
    }
}

fn damaged(reason: impl ToString) -> DecodeError {
    DecodeError::Damaged {
        format: "JPEG stream",
        reason: reason.to_string(),
    }
}
