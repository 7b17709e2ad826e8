//! The sequential DCT processes with Huffman coding (T.81, annex F), in integers.

use alloc::vec::Vec;

use super::bits::{Bits, Stuffing};
use super::{Frame, Header, Scan, blank, damaged, table, unsupported};
use crate::decode::DecodeError;

/// The place, row by row, of each coefficient in its order of coding (T.81, figure A.6).
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Bits after the point of the cosines.
const FRACTION: u32 = 14;

/// Decodes the scan's samples.
pub(super) fn decode(header: &Header, frame: &Frame, scan: &Scan) -> Result<Vec<u16>, DecodeError> {
    if !matches!(frame.precision, 8 | 12) {
        return Err(unsupported(alloc::format!("{} bits", frame.precision)));
    }
    let dc = table(&header.dc, scan.dc)?;
    let ac = table(&header.ac, scan.ac)?;
    let steps = table(&header.quantisation, frame.quantisation)?;
    let cosines = cosines();
    let (width, height) = (usize::from(frame.width), usize::from(frame.height));
    let mut bits = Bits::new(scan.data, Stuffing::Byte);
    let mut codes = blank(frame);
    let mut average = 0i32;
    let across = width.div_ceil(8);
    for block in 0..across * height.div_ceil(8) {
        if header.restart_interval > 0 && block > 0 && block.is_multiple_of(header.restart_interval)
        {
            bits.restart()?;
            average = 0;
        }
        let mut coefficients = [0i32; 64];
        let size = bits.symbol(dc)?.min(15);
        average = average.wrapping_add(bits.signed(size)?);
        coefficients[0] = average.wrapping_mul(steps[0].into());
        let mut at = 1;
        while at < 64 {
            // F.2.2.2: a run of zeros and the size of what follows.
            let (run, size) = match bits.symbol(ac)? {
                0xf0 => (16, 0),
                symbol if symbol & 15 == 0 => break,
                symbol => (usize::from(symbol >> 4), symbol & 15),
            };
            at += run;
            if size > 0 {
                let place = (ZIGZAG.get(at)).ok_or_else(|| damaged("its scan has a long block"))?;
                let value = bits.signed(size)?;
                coefficients[usize::from(*place)] = value * i32::from(steps[at]);
                at += 1;
            }
        }
        let (left, top) = (block % across * 8, block / across * 8);
        let samples = inverse(&coefficients, &cosines, frame.precision);
        for (line, samples) in samples.as_chunks::<8>().0.iter().enumerate() {
            if top + line < height {
                let there = &mut codes[(top + line) * width..][left..width.min(left + 8)];
                there.copy_from_slice(&samples[..there.len()]);
            }
        }
    }
    Ok(codes)
}

/// C(u) / 2 cos((2 x + 1) u pi / 16) by u and x (T.81, A.3.3).
fn cosines() -> [[i64; 8]; 8] {
    core::array::from_fn(|u| {
        let scale = match u {
            0 => 0.5 / core::f64::consts::SQRT_2,
            _ => 0.5,
        };
        core::array::from_fn(|x| {
            let angle = ((2 * x + 1) * u) as f64 * core::f64::consts::PI / 16.0;
            libm::round(scale * libm::cos(angle) * f64::from(1 << FRACTION)) as i64
        })
    })
}

/// The samples of dequantised coefficients, both row by row (T.81, A.3.3 and A.3.1).
fn inverse(coefficients: &[i32; 64], cosines: &[[i64; 8]; 8], precision: u8) -> [u16; 64] {
    // Rows first: by v and x. No sum leaves 64 bits: 32 + 14 + 14 + 6.
    let rows: [i64; 64] = core::array::from_fn(|at| {
        let (v, x) = (at / 8, at % 8);
        (0..8)
            .map(|u| i64::from(coefficients[v * 8 + u]) * cosines[u][x])
            .sum()
    });
    let top = (1i64 << precision) - 1;
    let middle = 1i64 << (precision - 1);
    core::array::from_fn(|at| {
        let (y, x) = (at / 8, at % 8);
        let sum: i64 = (0..8).map(|v| rows[v * 8 + x] * cosines[v][y]).sum();
        let sample = (sum + (1 << (2 * FRACTION - 1))) >> (2 * FRACTION);
        (sample + middle).clamp(0, top) as u16
    })
}
