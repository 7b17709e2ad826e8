//! The lossless process with Huffman coding (T.81, annex H).

use alloc::vec::Vec;

use super::bits::{Bits, Stuffing};
use super::error::{damaged, unsupported};
use super::header::{Frame, Header, Scan, blank, table};
use crate::decode::error::DecodeError;

/// Decodes the scan's samples.
pub(super) fn decode(header: &Header, frame: &Frame, scan: &Scan) -> Result<Vec<u16>, DecodeError> {
    let table = table(&header.dc, scan.dc)?;
    let predictor = scan.start;
    if !(1..=7).contains(&predictor) || scan.point_transform >= frame.precision {
        return Err(damaged("its scan header is impossible"));
    }
    let width = usize::from(frame.width);
    // H.1.1: restarts come at the end of lines.
    let restart_lines = header.restart_interval / width;
    if !header.restart_interval.is_multiple_of(width) {
        return Err(unsupported("a restart within a line"));
    }
    let start = 1u16 << (frame.precision - scan.point_transform - 1);
    let mut bits = Bits::new(scan.data, Stuffing::Byte);
    let mut samples = blank(frame);
    for line in 0..usize::from(frame.height) {
        let restarts = restart_lines > 0 && line > 0 && line.is_multiple_of(restart_lines);
        if restarts {
            bits.restart()?;
        }
        let (above, current) = samples.split_at_mut(line * width);
        let above = match above.len().checked_sub(width) {
            Some(start) if !restarts => Some(&above[start..]),
            _ => None,
        };
        for column in 0..width {
            let left = column.checked_sub(1).map(|left| current[left]);
            let prediction = match (left, above) {
                (None, None) => start,
                (Some(left), None) => left,
                (None, Some(above)) => above[0],
                (Some(left), Some(above)) => {
                    predict(predictor, left, above[column], above[column - 1])
                }
            };
            let difference = match bits.symbol(table)? {
                size @ 0..=15 => bits.signed(size)? as u16,
                16 => 1 << 15,
                _ => return Err(damaged("its scan has an unknown code")),
            };
            current[column] = prediction.wrapping_add(difference);
        }
    }
    if scan.point_transform > 0 {
        samples
            .iter_mut()
            .for_each(|sample| *sample <<= scan.point_transform);
    }
    Ok(samples)
}

/// Returns the prediction (T.81, table H.1) from the samples to the left, above, and above to the
/// left.
fn predict(predictor: u8, left: u16, above: u16, corner: u16) -> u16 {
    let (a, b, c) = (i32::from(left), i32::from(above), i32::from(corner));
    let prediction = match predictor {
        1 => a,
        2 => b,
        3 => c,
        4 => a + b - c,
        5 => a + ((b - c) >> 1),
        6 => b + ((a - c) >> 1),
        _ => (a + b) >> 1,
    };
    // Modulo 2^16, as H.2.1 wants.
    prediction as u16
}
