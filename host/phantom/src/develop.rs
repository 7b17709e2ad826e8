//! From raw values to a film's pixels, as a unit's software does it: logarithm, evening out of
//! large differences, sharpening, the grey curve, collimation in black, and the header that says
//! how to show it.

use crate::beam::FULL_SCALE;
use crate::elementary::{exp, ln};
use crate::layer::{Layer, Size};
use crate::rng::Variates;

/// A film as it is stored in a file.
#[derive(Debug, Clone)]
pub struct Film {
    /// Columns and rows.
    pub size: Size,
    /// Stored values, row-major.
    pub stored: Vec<u16>,
    /// Bits Stored: 10 to 15.
    pub bits: u16,
    /// True if the least value is the brightest: MONOCHROME1.
    pub inverted: bool,
    /// Window Centre and Window Width (PS3.3 C.11.2.1.2).
    pub window: [f64; 2],
}

impl Film {
    /// Returns the film with light and dark exchanged but the header left as it is.
    pub(crate) fn negative(mut self) -> Self {
        let white = u16::MAX >> (16 - self.bits);
        for value in &mut self.stored {
            *value = white - *value;
        }
        self
    }

    /// Returns the 16-bit greys of a MONOCHROME2 picture, row-major: the stored values spread over
    /// all 16 bits.
    pub fn greys(&self) -> Vec<u16> {
        let (up, white) = (16 - self.bits, u16::MAX >> (16 - self.bits));
        let grey = |&value: &u16| {
            let upright = if self.inverted { white - value } else { value };
            upright << up
        };
        self.stored.iter().map(grey).collect()
    }
}

/// The processing by a unit's software.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Shares of the exposed pixels that come out darkest and lightest.
    tails: [f64; 2],
    /// Middle of the grey curve between those, and its steepness.
    middle: f32,
    steepness: f32,
    /// Grey of the darkest and the lightest, of 1.
    dark: f32,
    light: f32,
    /// Share of the differences over centimetres that is taken away.
    evening: f32,
    /// Share of the differences over millimetres that is added.
    sharpening: f32,
    /// True if the collimated border is made black.
    shutter: bool,
    bits: u16,
    inverted: bool,
    /// Departure of the header's window from the range that the film uses, as shares of it.
    window: [f64; 2],
}

impl Look {
    /// Draws a unit.
    pub(crate) fn draw(rng: &mut Variates) -> Self {
        Self {
            tails: [rng.between(0.004, 0.03), rng.between(0.002, 0.02)],
            middle: rng.between(0.42, 0.66) as f32,
            steepness: rng.between(3.6, 6.2) as f32,
            dark: rng.between(0.0, 0.06) as f32,
            light: rng.between(0.9, 1.0) as f32,
            evening: rng.between(0.1, 0.5) as f32,
            sharpening: rng.between(0.1, 0.9) as f32,
            shutter: rng.chance(0.6),
            bits: [10, 12, 12, 14, 15][(rng.unit() * 5.0) as usize],
            inverted: rng.chance(0.4),
            window: [rng.normal(0.0, 0.04), rng.between(0.9, 1.15)],
        }
    }

    /// The same unit's processing of a long film: chest and abdomen differ so much that it evens out most of
    /// it, as wedges before the tube do too.
    pub(crate) fn of_whole_spine(self) -> Self {
        Self {
            evening: 0.5 + 0.7 * self.evening,
            ..self
        }
    }

    /// Makes a film of raw values. `field` is the part that the collimators leave open, first and
    /// last column and row; `pitch` is the pixel's edge in millimetres.
    pub(crate) fn develop(
        &self,
        raw: Layer,
        [left, top, right, bottom]: [usize; 4],
        pitch: f64,
    ) -> Film {
        /// Sides of the cells of the coarse and the fine means, in pixels.
        const COARSE: usize = 16;
        const FINE: usize = 4;
        let mut density = raw;
        let size = density.size;
        for value in &mut density.values {
            *value = -ln((*value + 0.5) / FULL_SCALE);
        }
        let mut fine = density.reduced(FINE);
        let mut coarse = fine.reduced(COARSE / FINE);
        fine.smooth((2.0 / (pitch * FINE as f64)) as f32);
        coarse.smooth((28.0 / (pitch * COARSE as f64)) as f32);
        let fine = fine.enlarged(size, FINE);
        let coarse = coarse.enlarged(size, COARSE);
        for ((value, fine), coarse) in density
            .values
            .iter_mut()
            .zip(&fine.values)
            .zip(&coarse.values)
        {
            *value += self.sharpening * (*value - fine) - self.evening * coarse;
        }
        let [low, high] = self.range(&density, [left, top, right, bottom]);
        let white = f32::from(u16::MAX >> (16 - self.bits));
        let scale = 1.0 / (high - low);
        let spread = (self.light - self.dark) * white;
        let mut stored = vec![0u16; size.pixels()];
        let lines = stored.chunks_exact_mut(size.width).zip(density.rows());
        for (row, (stored, line)) in lines.enumerate() {
            if self.shutter && !(top..=bottom).contains(&row) {
                continue;
            }
            for (stored, value) in stored.iter_mut().zip(line) {
                let t = (value - low) * scale;
                let grey = 1.0 / (1.0 + exp(-self.steepness * (t - self.middle)));
                *stored = (self.dark * white + grey * spread) as u16;
            }
            if self.shutter {
                stored[..left].fill(0);
                stored[right + 1..].fill(0);
            }
        }
        let white = white as u16;
        if self.inverted {
            for value in &mut stored {
                *value = white - *value;
            }
        }
        let (middle, range) = (f64::from(white) / 2.0, f64::from(white) + 1.0);
        let sign = if self.inverted { -1.0 } else { 1.0 };
        let shift = sign * self.window[0];
        Film {
            size,
            stored,
            bits: self.bits,
            inverted: self.inverted,
            window: [
                (middle + shift * range).round(),
                (range * self.window[1]).round(),
            ],
        }
    }

    /// Returns the densities that come out darkest and lightest, found as an automatic reading of the
    /// histogram finds them: air beside the patient does not count.
    fn range(&self, density: &Layer, [left, top, right, bottom]: [usize; 4]) -> [f32; 2] {
        let mut seen = Vec::with_capacity(density.size.pixels() / 36 + 1);
        for row in (top..=bottom).step_by(6) {
            let line = &density.values[row * density.size.width..];
            seen.extend(line[left..=right].iter().step_by(6));
        }
        seen.sort_unstable_by(f32::total_cmp);
        let at = |seen: &[f32], share: f64| seen[(share * (seen.len() - 1) as f64) as usize];
        let air = at(&seen, 0.001) + 0.35;
        let body = &seen[seen.partition_point(|&v| v < air)..];
        let body = if body.len() * 5 > seen.len() {
            body
        } else {
            &seen[..]
        };
        let (low, high) = (at(body, self.tails[0]), at(body, 1.0 - self.tails[1]));
        [low, high.max(low + 0.3)]
    }
}
