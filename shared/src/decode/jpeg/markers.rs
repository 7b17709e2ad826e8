//! Markers of JPEG streams (T.81, table B.1; T.87, table C.1), without their 0xff.

pub(super) const BASELINE: u8 = 0xc0;
pub(super) const EXTENDED: u8 = 0xc1;
pub(super) const LOSSLESS: u8 = 0xc3;
pub(super) const HUFFMAN_TABLES: u8 = 0xc4;
pub(super) const START_OF_IMAGE: u8 = 0xd8;
pub(super) const END_OF_IMAGE: u8 = 0xd9;
pub(super) const START_OF_SCAN: u8 = 0xda;
pub(super) const QUANTISATION_TABLES: u8 = 0xdb;
pub(super) const RESTART_INTERVAL: u8 = 0xdd;
pub(super) const LS: u8 = 0xf7;
pub(super) const LS_PARAMETERS: u8 = 0xf8;

/// A marker segment of a JPEG stream (T.81, B.1.1.4), or its end.
pub(super) struct Segment<'a> {
    pub marker: u8,
    /// The segment's content after its length.
    pub content: &'a [u8],
    /// The whole segment with its marker, and of a scan the data after it.
    pub bytes: &'a [u8],
}

/// Returns the segments of a JPEG stream (T.81, B.1.1; T.87's are like them) up to the end of its
/// image, or as far as they are whole.
pub(super) fn segments(bytes: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut at = 2;
    let mut ended = false;
    core::iter::from_fn(move || {
        loop {
            let &[0xff, marker] = bytes.get(at..at + 2).filter(|_| !ended)? else {
                return None;
            };
            let start = at;
            at += 2;
            match marker {
                0xff => {
                    at -= 1;
                    continue;
                }
                START_OF_IMAGE => continue,
                END_OF_IMAGE => {
                    ended = true;
                    return Some(Segment {
                        marker,
                        content: &[],
                        bytes: &bytes[start..at],
                    });
                }
                _ => {}
            }
            let length = bytes
                .get(at..)?
                .first_chunk()
                .copied()
                .map(u16::from_be_bytes)?;
            let end = at + usize::from(length);
            let content = bytes.get(at + 2..end)?;
            at = match marker {
                START_OF_SCAN => end_of_data(bytes, end)?,
                _ => end,
            };
            return Some(Segment {
                marker,
                content,
                bytes: &bytes[start..at],
            });
        }
    })
}

/// Returns the position of the marker after the data of a scan, which begin at `at`.
fn end_of_data(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        // A byte of data after 0xff, which JPEG-LS stuffs with one bit, or a restart.
        match bytes.get(at + 1)? {
            0x00..0x80 | 0xd0..=0xd7 => at += 2,
            _ => return Some(at),
        }
    }
}

/// Returns true if the segments of a JPEG stream lead to the end of its image.
pub(in crate::decode) fn is_whole(bytes: &[u8]) -> bool {
    segments(bytes).any(|segment| segment.marker == END_OF_IMAGE)
}
