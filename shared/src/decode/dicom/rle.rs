//! RLE Lossless (PS3.5, annex G): one segment for each byte of a sample, the highest first, each
//! packed as runs.

use alloc::vec::Vec;

use super::error::damaged;
use crate::decode::error::DecodeError;

/// Length of the segments' header: their number and 15 offsets.
const HEADER: usize = 64;

/// Unpacks `count` planes of `pixels` bytes: the bytes of a sample, the highest first, or samples of
/// a byte each.
pub(super) fn planes(
    bytes: &[u8],
    pixels: usize,
    count: usize,
) -> Result<Vec<Vec<u8>>, DecodeError> {
    let header = bytes.get(..HEADER).map(|header| header.as_chunks().0);
    let Some([segments, offsets @ ..]) = header else {
        return Err(damaged("its RLE header is cut off"));
    };
    if u32::from_le_bytes(*segments) as usize != count || count > offsets.len() {
        return Err(damaged(
            "it has not one RLE segment for each byte of a pixel",
        ));
    }
    let mut planes = Vec::with_capacity(count);
    for segment in 0..count {
        let start = u32::from_le_bytes(offsets[segment]) as usize;
        let end = match segment + 1 < count {
            true => u32::from_le_bytes(offsets[segment + 1]) as usize,
            false => bytes.len(),
        };
        let packed = bytes
            .get(start..end)
            .ok_or_else(|| damaged("an RLE segment lies outside of it"))?;
        let plane = unpack(packed, pixels);
        if plane.len() < pixels {
            return Err(damaged("an RLE segment ends early"));
        }
        planes.push(plane);
    }
    Ok(planes)
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
