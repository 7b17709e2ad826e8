//! The sequential DCT processes with Huffman coding (T.81, annex F), in integers.

use alloc::vec::Vec;

use super::bits::{Bits, Stuffing};
use super::error::{damaged, unsupported};
use super::header::{Frame, Header, Scan, blank, table};
use crate::decode::error::DecodeError;

/// The place, row by row, of each coefficient in its order of coding (T.81, figure A.6).
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Bits after the point of the cosines. With fewer the average of a 12-bit block would be off by a
/// quarter of a step and many samples by a whole one.
const FRACTION: u32 = 18;

/// More than any coefficient of 12-bit samples, dequantised: at most 2^15 and a rounding.
const LARGEST: i32 = 1 << 20;

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
    let mut values = blank(frame);
    let mut average = 0i32;
    let across = width.div_ceil(8);
    for block in 0..across * height.div_ceil(8) {
        if header.restart_interval > 0 && block > 0 && block.is_multiple_of(header.restart_interval)
        {
            bits.restart()?;
            average = 0;
        }
        let mut coefficients = [0i32; 64];
        // F.1.2.1.2: categories 0 to 11 with 8 bits, to 15 with 12.
        let size = bits.symbol(dc)?;
        if size > 15 {
            return Err(damaged(alloc::format!(
                "its scan has a DC coefficient of category {size}, more than 15"
            )));
        }
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
                let there = &mut values[(top + line) * width..][left..width.min(left + 8)];
                there.copy_from_slice(&samples[..there.len()]);
            }
        }
    }
    Ok(values)
}

/// Returns C(u) / 2 cos((2 x + 1) u pi / 16) by u and x (T.81, A.3.3).
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

/// Returns the samples of dequantised coefficients, both row by row (T.81, A.3.3 and A.3.1).
fn inverse(coefficients: &[i32; 64], cosines: &[[i64; 8]; 8], precision: u8) -> [u16; 64] {
    // Rows first: by v and x. No sum leaves 64 bits: 21 + 17 + 17 + 6.
    let rows: [i64; 64] = core::array::from_fn(|at| {
        let (v, x) = (at / 8, at % 8);
        (0..8)
            .map(|u| {
                let coefficient = coefficients[v * 8 + u].clamp(-LARGEST, LARGEST);
                i64::from(coefficient) * cosines[u][x]
            })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// T.81, A.3.3, term by term.
    fn exact(coefficients: &[i32; 64], y: usize, x: usize) -> f64 {
        let cosine = |at: usize, frequency: usize| {
            let scale = if frequency == 0 { 0.5f64.sqrt() } else { 1.0 };
            let angle = ((2 * at + 1) * frequency) as f64 * core::f64::consts::PI / 16.0;
            scale * libm::cos(angle)
        };
        let term =
            |at: usize| f64::from(coefficients[at]) * cosine(y, at / 8) * cosine(x, at % 8) / 4.0;
        (0..64).map(term).sum()
    }

    #[test]
    fn samples_are_those_of_the_formula() {
        let cosines = cosines();
        let mut state = 1u32;
        let mut random = |range: i32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as i32 % range - range / 2
        };
        for precision in [8, 12] {
            let middle = f64::from(1 << (precision - 1));
            for _ in 0..200 {
                let mut coefficients = [0; 64];
                coefficients[0] = random(16 << precision);
                for coefficient in &mut coefficients[1..20] {
                    *coefficient = random(1 << (precision - 1));
                }
                let samples = inverse(&coefficients, &cosines, precision);
                for (at, sample) in samples.iter().enumerate() {
                    let exact = exact(&coefficients, at / 8, at % 8) + middle;
                    let exact = exact.clamp(0.0, 2.0 * middle - 1.0);
                    let off = (f64::from(*sample) - exact).abs();
                    assert!(off < 0.52, "{sample} instead of {exact}");
                }
            }
        }
    }

    #[test]
    fn impossible_coefficients_do_not_overflow() {
        for value in [i32::MAX, i32::MIN] {
            inverse(&[value; 64], &cosines(), 12);
        }
    }
}
