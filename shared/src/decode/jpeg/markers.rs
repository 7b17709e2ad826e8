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

/// Returns true if the markers of a JPEG stream (T.81, B.1.1; T.87's are like them) lead to the end
/// of its image.
pub(in crate::decode) fn is_whole(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        let Some(&[0xff, found]) = bytes.get(at..at + 2) else {
            return false;
        };
        at += 2;
        // Within a scan: a byte of data after 0xff, which JPEG-LS stuffs with one bit, or a restart.
        let within = matches!(found, 0x00..0x80 | 0xd0..=0xd7);
        match found {
            END_OF_IMAGE => return true,
            0xff => at -= 1,
            START_OF_IMAGE => {}
            _ if within => {}
            _ => {
                let Some(&[high, low]) = bytes.get(at..at + 2) else {
                    return false;
                };
                at += usize::from(u16::from_be_bytes([high, low]));
            }
        }
        if within || found == START_OF_SCAN {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(skipped) = rest.iter().position(|byte| *byte == 0xff) else {
                return false;
            };
            at += skipped;
        }
    }
}
