//! RLE Lossless (PS3.5, annex G): one segment for each byte of a sample, the highest first, each
//! packed as runs.

use alloc::vec::Vec;

use super::damaged;
use crate::decode::DecodeError;

/// The segments' header: their number and 15 offsets.
const HEADER: usize = 64;

/// Unpacks `pixels` samples of `width` bytes, 1 or 2.
pub(super) fn decode(bytes: &[u8], pixels: usize, width: usize) -> Result<Vec<u16>, DecodeError> {
    let header = bytes.get(..HEADER).map(|header| header.as_chunks().0);
    let Some([count, offsets @ ..]) = header else {
        return Err(damaged("its RLE header is cut off"));
    };
    if u32::from_le_bytes(*count) as usize != width {
        return Err(damaged(
            "it has not one RLE segment for each byte of a pixel",
        ));
    }
    let mut codes = alloc::vec![0u16; pixels];
    for segment in 0..width {
        let start = u32::from_le_bytes(offsets[segment]) as usize;
        let end = match segment + 1 < width {
            true => u32::from_le_bytes(offsets[segment + 1]) as usize,
            false => bytes.len(),
        };
        let packed = bytes
            .get(start..end)
            .ok_or_else(|| damaged("an RLE segment lies outside of it"))?;
        let filled = unpack(packed, &mut codes);
        if filled < pixels {
            return Err(damaged("an RLE segment ends early"));
        }
    }
    Ok(codes)
}

/// Shifts the bytes of one segment into `codes` from below; returns how many there were.
fn unpack(mut packed: &[u8], codes: &mut [u16]) -> usize {
    let mut at = 0;
    while at < codes.len() {
        let run = match *packed {
            [length @ 0..=127, ref rest @ ..] => {
                let literal = &rest[..rest.len().min(usize::from(length) + 1)];
                for (code, byte) in codes[at..].iter_mut().zip(literal) {
                    *code = *code << 8 | u16::from(*byte);
                }
                packed = &rest[literal.len()..];
                literal.len()
            }
            [128, ref rest @ ..] => {
                packed = rest;
                0
            }
            [length, byte, ref rest @ ..] => {
                packed = rest;
                let run = 257 - usize::from(length);
                for code in codes[at..].iter_mut().take(run) {
                    *code = *code << 8 | u16::from(byte);
                }
                run
            }
            _ => break,
        };
        at += run;
    }
    at.min(codes.len())
}
