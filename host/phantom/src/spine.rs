//! Seventeen vertebrae on a 3-D curve, and four of the neck above them.
//!
//! Patient coordinates in millimetres: x to the patient's left, y towards the feet from the top of
//! T1, z to the front.

use crate::curve::{Curve, LEVELS};
use crate::rng::Variates;

/// Cervical vertebrae drawn above T1 (C4 to C7); they carry no label and no mask.
pub(crate) const CERVICAL: usize = 4;

/// One vertebra: its pose and its size.
#[derive(Debug, Clone, Copy)]
pub struct Vertebra {
    /// Centre of the body, in millimetres.
    pub centre: [f64; 3],
    /// Coronal tilt of the superior endplate, in radians.
    pub superior: f64,
    /// Coronal tilt of the inferior endplate, in radians.
    pub inferior: f64,
    /// Sagittal tilt, in radians: positive where the spine, followed downwards, runs forwards.
    pub sagittal: f64,
    /// Axial rotation, in radians: positive turns the spinous process to the patient's left.
    pub rotation: f64,
    /// Width of the body, in millimetres.
    pub width: f64,
    /// Depth of the body from front to back, in millimetres.
    pub depth: f64,
    /// Height of the body, in millimetres.
    pub height: f64,
    /// Height of the disc below, in millimetres.
    pub disc: f64,
}

/// The spine, from C4 to L5.
#[derive(Debug, Clone)]
pub struct Spine {
    column: Vec<Vertebra>,
}

/// Position and posture of the spine in the body.
pub(crate) struct Posture {
    /// The patient's scale.
    pub(crate) scale: f64,
    /// Lean of the straight body to its left, in radians.
    pub(crate) lean: f64,
    /// Mean x and z of T1 to L2, in millimetres.
    pub(crate) offset: f64,
    pub(crate) depth: f64,
    /// Axial rotation, in radians.
    pub(crate) rotation: f64,
    /// Kyphosis added by age, in degrees.
    pub(crate) stoop: f64,
}

/// Interpolates through (level, value) knots.
fn knots(table: &[(f64, f64)], at: f64) -> f64 {
    let after = table.partition_point(|knot| knot.0 <= at);
    if after == 0 {
        return table[0].1;
    }
    if after == table.len() {
        return table[after - 1].1;
    }
    let ((x0, y0), (x1, y1)) = (table[after - 1], table[after]);
    y0 + (y1 - y0) * (at - x0) / (x1 - x0)
}

// Mean adult dimensions by level, in millimetres, from T1 = 0 (after Panjabi et al., Spine 16:888,
// 1991 and 17:299, 1992), cervical levels negative.
const HEIGHT: [(f64, f64); 4] = [(-4.0, 12.0), (0.0, 15.5), (11.0, 22.0), (16.0, 26.0)];
const DISC: [(f64, f64); 5] = [
    (-4.0, 4.5),
    (-1.0, 4.5),
    (3.0, 3.0),
    (11.0, 5.5),
    (16.0, 11.0),
];
const WIDTH: [(f64, f64); 6] = [
    (-4.0, 19.0),
    (0.0, 27.0),
    (3.0, 25.0),
    (8.0, 30.0),
    (11.0, 39.0),
    (16.0, 49.0),
];
const DEPTH: [(f64, f64); 5] = [
    (-4.0, 15.0),
    (0.0, 17.0),
    (6.0, 25.0),
    (11.0, 30.0),
    (16.0, 34.0),
];

/// Returns the level (as in [`curve`](crate::curve)) at a distance in millimetres down a mean adult's
/// spine from the top of T1; levels are negative above it.
pub fn level_at(millimetres: f64) -> f64 {
    let length = |index: f64| knots(&HEIGHT, index) + knots(&DISC, index);
    let (mut index, mut left) = (0.0, millimetres);
    while left < 0.0 {
        index -= 1.0;
        left += length(index);
    }
    while left >= length(index) {
        left -= length(index);
        index += 1.0;
    }
    index + left / length(index)
}

impl Spine {
    /// Stacks the vertebrae along the curve.
    pub(crate) fn draw(rng: &mut Variates, curve: &Curve, posture: &Posture) -> Self {
        let kyphosis = (rng.between(24.0, 48.0) + posture.stoop).to_radians();
        let lordosis = rng.between(30.0, 55.0).to_radians();
        let sagittal = |level: f64| match level {
            l if l < 0.0 => -kyphosis / 2.0 - 0.09 * l.max(-3.0),
            l if l < 12.0 => -kyphosis / 2.0 * libm::cos(core::f64::consts::PI * l / 12.0),
            l => knots(
                &[(12.0, kyphosis / 2.0), (14.0, 0.1), (17.0, -lordosis / 2.0)],
                l,
            ),
        };
        // Above T1 the neck rights itself.
        let coronal = |level: f64| {
            let righting = if level < 0.0 {
                (1.0 + level / 3.0).max(0.0)
            } else {
                1.0
            };
            curve.tilt(level.max(0.0)) * righting + posture.lean
        };
        let girth = rng.normal(1.0, 0.05) * posture.scale;
        let mut at = [0.0f64; 3];
        let mut advance = |length: f64, tilt: f64, pitch: f64| {
            at[0] += length * libm::sin(tilt) * libm::cos(pitch);
            at[1] += length * libm::cos(tilt) * libm::cos(pitch);
            at[2] += length * libm::sin(pitch);
            at
        };
        let column = (0..CERVICAL + LEVELS.len())
            .map(|i| {
                let index = i as f64 - CERVICAL as f64;
                let level = index + 0.5;
                let height = knots(&HEIGHT, index) * posture.scale;
                let disc = knots(&DISC, index) * posture.scale;
                let (tilt, pitch) = (coronal(level), sagittal(level));
                let centre = advance(height / 2.0, tilt, pitch);
                advance(height / 2.0, tilt, pitch);
                advance(disc, coronal(index + 1.0), pitch);
                Vertebra {
                    centre,
                    superior: coronal(index + 0.1),
                    inferior: coronal(index + 0.9),
                    sagittal: pitch,
                    rotation: posture.rotation + 0.95 * curve.tilt_rate(level.max(0.0)),
                    width: knots(&WIDTH, index) * girth,
                    depth: knots(&DEPTH, index) * girth,
                    height,
                    disc,
                }
            })
            .collect();
        let mut spine = Self { column };
        spine.place(posture);
        spine
    }

    /// Moves the column so that T1 to L2 lie about the body's midline, with the wanted offset.
    fn place(&mut self, posture: &Posture) {
        let seen = &self.column[CERVICAL..CERVICAL + 14];
        let mean = |axis: usize| seen.iter().map(|v| v.centre[axis]).sum::<f64>() / 14.0;
        let first = &self.column[CERVICAL];
        let shift = [
            posture.offset - mean(0),
            first.height / 2.0 - first.centre[1],
            posture.depth - mean(2),
        ];
        for vertebra in &mut self.column {
            for (value, by) in vertebra.centre.iter_mut().zip(shift) {
                *value += by;
            }
        }
    }

    /// Returns T1 to L5.
    pub fn vertebrae(&self) -> &[Vertebra] {
        &self.column[CERVICAL..]
    }

    /// Returns C4 to L5.
    pub(crate) fn column(&self) -> &[Vertebra] {
        &self.column
    }

    /// Returns the position of the column's axis (x, z) at a height y, in millimetres.
    pub(crate) fn axis_at(&self, y: f64) -> (f64, f64) {
        let after = self.column.partition_point(|v| v.centre[1] <= y);
        let (a, b) = match after {
            0 => (&self.column[0], &self.column[1]),
            n if n == self.column.len() => (&self.column[n - 2], &self.column[n - 1]),
            n => (&self.column[n - 1], &self.column[n]),
        };
        let along = ((y - a.centre[1]) / (b.centre[1] - a.centre[1])).clamp(-1.0, 2.0);
        let mix = |axis: usize| a.centre[axis] + along * (b.centre[axis] - a.centre[axis]);
        (mix(0), mix(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_follow_the_lengths_of_vertebrae_and_discs() {
        // T1 with its disc has 15.5 + 4.1 mm, L5 26 + 11.
        assert_eq!(level_at(0.0), 0.0);
        assert!((level_at(15.5 + 4.125) - 1.0).abs() < 1e-9);
        let lumbar = (0..16).map(|i| knots(&HEIGHT, f64::from(i)) + knots(&DISC, f64::from(i)));
        let sacrum = lumbar.sum::<f64>() + 37.0;
        assert!((level_at(sacrum) - 17.0).abs() < 1e-9);
        assert!((-2.0..-1.0).contains(&level_at(-30.0)));
        let levels: Vec<f64> = (-100..700).map(|mm| level_at(f64::from(mm))).collect();
        assert!(levels.is_sorted_by(|a, b| a < b));
    }
}
