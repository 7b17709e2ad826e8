//! Lines and balls in the patient or on the film, added to a layer.

use crate::camera::Camera;
use crate::layer::{Joint, Layer, Scratch};

/// Adds shadows to one layer.
pub(crate) struct Pen<'a> {
    pub(crate) camera: &'a Camera,
    pub(crate) layer: &'a mut Layer,
    pub(crate) scratch: &'a mut Scratch,
}

impl Pen<'_> {
    /// A solid line through points of the patient, of a half-width in millimetres and the
    /// attenuation `strength` in its middle.
    pub(crate) fn line(&mut self, points: &[[f64; 3]], half: f64, strength: f64) {
        self.pipe(points, half, strength, [1.0, 1.0]);
    }

    /// A ball about a point of the patient.
    pub(crate) fn ball(&mut self, centre: [f64; 3], radius: f64, strength: f64) {
        let below = [centre[0], centre[1] + 0.01, centre[2]];
        self.line(&[centre, below], radius, strength);
    }

    /// A line with a wall, as a share of the half-width, and a core of an attenuation relative to
    /// the wall's.
    pub(crate) fn pipe(
        &mut self,
        points: &[[f64; 3]],
        half: f64,
        strength: f64,
        [wall, core]: [f64; 2],
    ) {
        let points = points.iter().map(|&point| (point, half, strength));
        self.tapered(&points.collect::<Vec<_>>(), [wall, core]);
    }

    /// The same of changing half-width; each point has its half-width and its attenuation.
    pub(crate) fn tapered(&mut self, points: &[([f64; 3], f64, f64)], [wall, core]: [f64; 2]) {
        let joints: Vec<Joint> = points
            .iter()
            .map(|&(point, half, strength)| {
                let shadow = self.camera.shadow(point);
                joint(shadow.at, half as f32 * shadow.scale, strength)
            })
            .collect();
        self.layer
            .add_chain(self.scratch, &joints, [false; 2], wall as f32, core as f32);
    }

    /// A solid line on the film itself, in pixels.
    pub(crate) fn on_film(&mut self, points: &[[f64; 2]], half: f64, strength: f64) {
        let joints: Vec<Joint> = points
            .iter()
            .map(|&[x, y]| joint([x as f32, y as f32], half as f32, strength))
            .collect();
        self.layer
            .add_chain(self.scratch, &joints, [false; 2], 1.0, 1.0);
    }
}

/// A joint; a line thinner than the pixels becomes fainter instead.
fn joint(at: [f32; 2], radius: f32, strength: f64) -> Joint {
    let seen = radius.max(0.6);
    Joint {
        at,
        radius: seen,
        strength: strength as f32 * radius / seen,
    }
}

/// `count` points of a smooth curve through `knots`, evenly spaced in the curve's parameter
/// (Catmull and Rom's spline).
pub(crate) fn spline(knots: &[[f64; 3]], count: usize) -> Vec<[f64; 3]> {
    let last = knots.len() - 1;
    (0..count)
        .map(|i| {
            let at = i as f64 / (count - 1) as f64 * last as f64;
            let k = (at as usize).min(last - 1);
            let t = at - k as f64;
            let (before, after) = (knots[k.saturating_sub(1)], knots[(k + 2).min(last)]);
            let (a, b) = (knots[k], knots[k + 1]);
            core::array::from_fn(|n| {
                let (m0, m1) = ((b[n] - before[n]) / 2.0, (after[n] - a[n]) / 2.0);
                let (t2, t3) = (t * t, t * t * t);
                (2.0 * t3 - 3.0 * t2 + 1.0) * a[n]
                    + (t3 - 2.0 * t2 + t) * m0
                    + (3.0 * t2 - 2.0 * t3) * b[n]
                    + (t3 - t2) * m1
            })
        })
        .collect()
}
