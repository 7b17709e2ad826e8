//! JPEG-LS (ITU-T T.87), lossless and near-lossless. Names follow the standard: Ra, Rb, Rc and Rd
//! are the samples to the left, above, above to the left and above to the right.

use alloc::vec::Vec;

use super::bits::{Bits, Stuffing};
use super::error::{damaged, unsupported};
use super::header::{Frame, Header, Scan, blank};
use super::ls_parameters::LsParameters;
use crate::decode::error::DecodeError;

/// The orders of the codes of run lengths (T.87, A.2.1).
const J: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13,
    14, 15,
];

/// Contexts of the regular mode; two of interrupted runs follow them.
const REGULAR: usize = 365;

/// A context's statistics (T.87, A.2.1).
#[derive(Clone, Copy)]
struct Context {
    /// The sum of the errors' sizes.
    a: i32,
    /// The errors' bias.
    b: i32,
    /// The correction of the prediction.
    c: i32,
    /// Number of its occurrences.
    n: i32,
}

impl Context {
    /// Returns the Golomb code's parameter (T.87, A.5.1) for the sum of sizes `a`.
    fn golomb(&self, a: i32) -> u32 {
        (0..16).find(|k| self.n << k >= a).unwrap_or(16)
    }
}

/// Decodes the scan's samples.
pub(super) fn decode(header: &Header, frame: &Frame, scan: &Scan) -> Result<Vec<u16>, DecodeError> {
    if scan.dc != 0 || scan.ac != 0 || scan.point_transform > 0 {
        return Err(unsupported(
            "JPEG-LS with mapping tables or a point transform",
        ));
    }
    let mut decoder = Decoder::new(header.ls, frame.precision, scan)?;
    let width = usize::from(frame.width);
    let mut samples = blank(frame);
    // Each line has one sample more at either end.
    let mut above = alloc::vec![0i32; width + 2];
    let mut line = above.clone();
    for (number, samples) in samples.chunks_exact_mut(width).enumerate() {
        // C.2.5: the interval counts lines, and each begins as the first one does.
        let interval = header.restart_interval;
        if interval > 0 && number > 0 && number.is_multiple_of(interval) {
            decoder.bits.restart()?;
            let bits = decoder.bits;
            decoder = Decoder::new(header.ls, frame.precision, scan)?;
            decoder.bits = bits;
            above.fill(0);
            line.fill(0);
        }
        // A.2.1: at the left edge Ra is Rb, at the right one Rd is Rb.
        line[0] = above[1];
        above[width + 1] = above[width];
        decoder.line(&above, &mut line)?;
        for (sample, value) in samples.iter_mut().zip(&line[1..]) {
            *sample = *value as u16;
        }
        core::mem::swap(&mut above, &mut line);
    }
    Ok(samples)
}

struct Decoder<'a> {
    bits: Bits<'a>,
    near: i32,
    max_value: i32,
    thresholds: [i32; 3],
    reset: i32,
    range: i32,
    /// Bits of a mapped error that is not coded as a Golomb code.
    error_bits: u32,
    limit: u32,
    contexts: [Context; REGULAR + 2],
    /// Nn: negative errors of the two kinds of interrupted runs.
    negative: [i32; 2],
    run_index: usize,
}

impl<'a> Decoder<'a> {
    fn new(preset: Option<LsParameters>, bits: u8, scan: &Scan<'a>) -> Result<Self, DecodeError> {
        let near = i32::from(scan.start);
        let greatest = (1 << bits) - 1;
        let given = |value: u16, default: i32| match value {
            0 => default,
            value => i32::from(value),
        };
        let preset = preset.unwrap_or(LsParameters {
            max_value: 0,
            thresholds: [0; 3],
            reset: 0,
        });
        let max_value = given(preset.max_value, greatest);
        let [t1, t2, t3] = default_thresholds(max_value, near);
        let thresholds = [
            given(preset.thresholds[0], t1),
            given(preset.thresholds[1], t2),
            given(preset.thresholds[2], t3),
        ];
        let reset = given(preset.reset, 64);
        let ordered = near < thresholds[0] && thresholds.is_sorted() && thresholds[2] <= max_value;
        if max_value > greatest
            || near > max_value / 2
            || !ordered
            || !(3..1 << 12).contains(&reset)
        {
            return Err(damaged("its JPEG-LS parameters are impossible"));
        }
        let range = (max_value + 2 * near) / (2 * near + 1) + 1;
        let ceil_log2 = |value: i32| (value - 1).max(0).checked_ilog2().map_or(0, |log| log + 1);
        let sample_bits = ceil_log2(max_value + 1).max(2);
        let fresh = Context {
            a: ((range + 32) / 64).max(2),
            b: 0,
            c: 0,
            n: 1,
        };
        Ok(Self {
            bits: Bits::new(scan.data, Stuffing::Bit),
            near,
            max_value,
            thresholds,
            reset,
            range,
            error_bits: ceil_log2(range),
            limit: 2 * (sample_bits + sample_bits.max(8)),
            contexts: [fresh; REGULAR + 2],
            negative: [0; 2],
            run_index: 0,
        })
    }

    /// Decodes one line, whose samples start at index 1.
    fn line(&mut self, above: &[i32], line: &mut [i32]) -> Result<(), DecodeError> {
        let end = line.len() - 1;
        let mut at = 1;
        while at < end {
            let (ra, rb, rc, rd) = (line[at - 1], above[at], above[at - 1], above[at + 1]);
            let gradients = [rd - rb, rb - rc, rc - ra];
            if gradients.iter().any(|gradient| gradient.abs() > self.near) {
                line[at] = self.regular(gradients, ra, rb, rc)?;
                at += 1;
                continue;
            }
            let run = self.run(end - at)?;
            line[at..at + run].fill(ra);
            at += run;
            if at < end {
                line[at] = self.interruption(ra, above[at])?;
                at += 1;
            }
        }
        Ok(())
    }

    /// Decodes a sample in regular mode (T.87, A.4 to A.6).
    fn regular(
        &mut self,
        gradients: [i32; 3],
        ra: i32,
        rb: i32,
        rc: i32,
    ) -> Result<i32, DecodeError> {
        let [q1, q2, q3] = gradients.map(|gradient| self.quantised(gradient));
        let index = 81 * q1 + 9 * q2 + q3;
        let sign = if index < 0 { -1 } else { 1 };
        let index = index.unsigned_abs() as usize;
        let context = self.contexts[index];
        let median = if rc >= ra.max(rb) {
            ra.min(rb)
        } else if rc <= ra.min(rb) {
            ra.max(rb)
        } else {
            ra + rb - rc
        };
        let prediction = (median + sign * context.c).clamp(0, self.max_value);
        let k = context.golomb(context.a);
        let mapped = self.golomb(k, self.limit)?;
        let error = if self.near == 0 && k == 0 && 2 * context.b <= -context.n {
            match mapped & 1 {
                1 => (mapped - 1) / 2,
                _ => -(mapped / 2) - 1,
            }
        } else {
            match mapped & 1 {
                1 => -(mapped + 1) / 2,
                _ => mapped / 2,
            }
        };
        self.update(index, error);
        Ok(self.reconstructed(prediction, sign * error))
    }

    /// Returns the region of a gradient, -4 to 4 (T.87, A.3.3).
    fn quantised(&self, gradient: i32) -> i32 {
        let [t1, t2, t3] = self.thresholds;
        let level = match gradient.abs() {
            size if size >= t3 => 4,
            size if size >= t2 => 3,
            size if size >= t1 => 2,
            size if size > self.near => 1,
            _ => 0,
        };
        level * gradient.signum()
    }

    /// Updates a context's statistics by an error (T.87, A.6).
    fn update(&mut self, index: usize, error: i32) {
        let context = &mut self.contexts[index];
        context.b += error * (2 * self.near + 1);
        context.a = context.a.saturating_add(error.abs());
        if context.n == self.reset {
            context.a >>= 1;
            context.b >>= 1;
            context.n >>= 1;
        }
        context.n += 1;
        if context.b <= -context.n {
            context.b = (context.b + context.n).max(1 - context.n);
            context.c = (context.c - 1).max(-128);
        } else if context.b > 0 {
            context.b = (context.b - context.n).min(0);
            context.c = (context.c + 1).min(127);
        }
    }

    /// Decodes the length of a run of at most `rest` samples (T.87, A.7.1).
    fn run(&mut self, rest: usize) -> Result<usize, DecodeError> {
        let mut run = 0;
        while self.bits.take(1)? == 1 {
            let block = 1 << J[self.run_index];
            run += block;
            if run > rest {
                return Ok(rest);
            }
            self.run_index = (self.run_index + 1).min(J.len() - 1);
            if run == rest {
                return Ok(rest);
            }
        }
        run += self.bits.take(J[self.run_index])? as usize;
        match run < rest {
            true => Ok(run),
            false => Err(damaged("its scan has a run past the end of a line")),
        }
    }

    /// Decodes the sample that ends a run (T.87, A.7.2).
    fn interruption(&mut self, ra: i32, rb: i32) -> Result<i32, DecodeError> {
        let alike = (ra - rb).abs() <= self.near;
        let kind = usize::from(alike);
        let context = self.contexts[REGULAR + kind];
        let k = context.golomb(context.a + if alike { context.n >> 1 } else { 0 });
        let mapped = self.golomb(k, self.limit - J[self.run_index] - 1)?;
        let code = mapped + kind as i32;
        let size = (code + 1) / 2;
        let mostly_negative = k != 0 || 2 * self.negative[kind] >= context.n;
        let error = match mostly_negative == (code & 1 == 1) {
            true => -size,
            false => size,
        };
        let context = &mut self.contexts[REGULAR + kind];
        context.a = context.a.saturating_add((mapped + 1 - kind as i32) >> 1);
        self.negative[kind] += i32::from(error < 0);
        if context.n == self.reset {
            context.a >>= 1;
            context.n >>= 1;
            self.negative[kind] >>= 1;
        }
        context.n += 1;
        self.run_index = self.run_index.saturating_sub(1);
        Ok(match (alike, ra > rb) {
            (true, _) => self.reconstructed(ra, error),
            (false, true) => self.reconstructed(rb, -error),
            (false, false) => self.reconstructed(rb, error),
        })
    }

    /// Decodes a mapped error in a Golomb code of limited length (T.87, A.5.3).
    fn golomb(&mut self, k: u32, limit: u32) -> Result<i32, DecodeError> {
        let escape = limit - self.error_bits - 1;
        let high = self.bits.zeros(escape)?;
        let value = match high == escape {
            true => self.bits.take(self.error_bits)? + 1,
            false => high << k | self.bits.take(k)?,
        };
        match value as i32 {
            value if value <= self.range => Ok(value),
            _ => Err(damaged("its scan has an error out of range")),
        }
    }

    /// Returns prediction plus error, modulo the range (T.87, A.4.5 and A.8.1).
    fn reconstructed(&self, prediction: i32, error: i32) -> i32 {
        let step = 2 * self.near + 1;
        let mut sample = prediction + error * step;
        if sample < -self.near {
            sample += self.range * step;
        } else if sample > self.max_value + self.near {
            sample -= self.range * step;
        }
        sample.clamp(0, self.max_value)
    }
}

/// Returns the thresholds that hold where none are preset (T.87, C.2.4.1.1.1).
fn default_thresholds(max_value: i32, near: i32) -> [i32; 3] {
    let clamped = |value: i32, least: i32| match value > max_value || value < least {
        true => least,
        false => value,
    };
    let [v1, v2, v3] = if max_value >= 128 {
        let factor = (max_value.min(4095) + 128) / 256;
        [factor + 2, 4 * factor + 3, 17 * factor + 4]
    } else {
        let factor = 256 / (max_value + 1);
        [
            (3 / factor).max(2),
            (7 / factor).max(3),
            (21 / factor).max(4),
        ]
    };
    let t1 = clamped(v1 + 3 * near, near + 1);
    let t2 = clamped(v2 + 5 * near, t1);
    [t1, t2, clamped(v3 + 7 * near, t2)]
}
