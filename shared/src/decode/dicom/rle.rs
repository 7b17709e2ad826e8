//! RLE Lossless (PS3.5, annex G): one segment for each byte of a sample, the highest first, each
//! packed as runs.

use alloc::vec::Vec;

use super::error::damaged;
use crate::decode::error::DecodeError;

/// Length of the segments' header: their number and 15 offsets.
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
    let mut planes = [Vec::new(), Vec::new()];
    for (segment, plane) in planes.iter_mut().take(width).enumerate() {
        let start = u32::from_le_bytes(offsets[segment]) as usize;
        let end = match segment + 1 < width {
            true => u32::from_le_bytes(offsets[segment + 1]) as usize,
            false => bytes.len(),
        };
        let packed = bytes
            .get(start..end)
            .ok_or_else(|| damaged("an RLE segment lies outside of it"))?;
        *plane = unpack(packed, pixels);
        if plane.len() < pixels {
            return Err(damaged("an RLE segment ends early"));
        }
    }
    let [first, second] = &planes;
    Ok(match width {
        1 => first.iter().map(|byte| u16::from(*byte)).collect(),
        _ => (first.iter().zip(second))
            .map(|(high, low)| u16::from_be_bytes([*high, *low]))
            .collect(),
    })
}

/// Unpacks the first `length` bytes of one segment, or all if it has fewer.
fn unpack(mut packed: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 128);
    while bytes.len() < length {
        match *packed {
            [run @ 0..=127, ref rest @ ..] => {
                let (literal, rest) = rest.split_at(rest.len().min(usize::from(run) + 1));
                bytes.extend_from_slice(literal);
                packed = rest;
            }
            [128, ref rest @ ..] => packed = rest,
            [run, byte, ref rest @ ..] => {
                bytes.resize(bytes.len() + 257 - usize::from(run), byte);
                packed = rest;
            }
            _ => break,
        }
    }
    bytes.truncate(length);
    bytes
}
