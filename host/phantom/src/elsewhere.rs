//! Other parts of the body, on films that should be refused: a knee, a hand, a skull.

use crate::camera::Camera;
use crate::layer::{Layer, Scratch};
use crate::pen::{Pen, spline};
use crate::rng::Variates;
use crate::tissue::SOFT;

/// Attenuation of the middle of a bone's wall and inside for a half-width in millimetres.
fn bone(half: f64) -> f64 {
    2.0 * half * 0.030
}

/// Attenuation of soft tissue of a half-width in millimetres.
fn flesh(half: f64) -> f64 {
    2.0 * half * f64::from(SOFT)
}

/// Draws one of them about the film's centre.
pub(crate) fn draw(soft: &mut Layer, dense: &mut Layer, rng: &mut Variates, camera: &Camera) {
    let mut scratch = Scratch::new(soft.size);
    let [x, y] = camera.centre;
    let turn = rng.normal(0.0, 0.12);
    let (sin, cos) = (libm::sin(turn), libm::cos(turn));
    // These parts are smaller than a chest: the film comes nearer to them.
    let near = rng.between(1.0, 1.5);
    let at = move |u: f64, v: f64| {
        let (u, v) = (u * near, v * near);
        [x + cos * u - sin * v, y + sin * u + cos * v, 0.0]
    };
    let mut parts = Parts {
        camera,
        soft,
        dense,
        scratch: &mut scratch,
        near,
    };
    match (rng.unit() * 3.0) as u8 {
        0 => knee(&mut parts, at),
        1 => hand(&mut parts, rng, at),
        _ => skull(&mut parts, at),
    }
}

/// The layers of flesh and of bone.
struct Parts<'a> {
    camera: &'a Camera,
    soft: &'a mut Layer,
    dense: &'a mut Layer,
    scratch: &'a mut Scratch,
    near: f64,
}

impl Parts<'_> {
    /// A limb through points, each with its half-width.
    fn flesh(&mut self, points: &[([f64; 3], f64)]) {
        let mut pen = Pen {
            camera: self.camera,
            layer: self.soft,
            scratch: self.scratch,
        };
        let limb = points.iter();
        let limb: Vec<_> = limb
            .map(|&(point, half)| (point, half * self.near, flesh(half)))
            .collect();
        pen.tapered(&limb, [1.0, 1.0]);
    }

    fn bone(&mut self, points: &[[f64; 3]], half: f64, wall: [f64; 2]) {
        let mut pen = Pen {
            camera: self.camera,
            layer: self.dense,
            scratch: self.scratch,
        };
        pen.pipe(points, half * self.near, bone(half), wall);
    }
}

const SHAFT: [f64; 2] = [0.35, 0.2];
const SPONGY: [f64; 2] = [0.08, 0.3];

fn knee(parts: &mut Parts<'_>, at: impl Fn(f64, f64) -> [f64; 3]) {
    parts.flesh(&[
        (at(0.0, -260.0), 72.0),
        (at(0.0, -40.0), 58.0),
        (at(3.0, 30.0), 52.0),
        (at(6.0, 110.0), 56.0),
        (at(4.0, 260.0), 42.0),
    ]);
    parts.bone(&[at(4.0, -260.0), at(0.0, -60.0)], 14.0, SHAFT);
    for side in [-1.0, 1.0] {
        parts.bone(
            &[at(side * 6.0, -58.0), at(side * 17.0, -14.0)],
            17.0,
            SPONGY,
        );
        parts.bone(&[at(side * 15.0, 14.0), at(side * 5.0, 52.0)], 17.0, SPONGY);
    }
    parts.bone(&[at(0.0, 50.0), at(2.0, 260.0)], 13.0, SHAFT);
    parts.bone(&[at(34.0, 30.0), at(30.0, 260.0)], 6.0, SHAFT);
    parts.bone(&[at(-2.0, -34.0), at(2.0, -26.0)], 20.0, SPONGY);
}

fn hand(parts: &mut Parts<'_>, rng: &mut Variates, at: impl Fn(f64, f64) -> [f64; 3]) {
    parts.flesh(&[
        (at(0.0, 10.0), 38.0),
        (at(0.0, 50.0), 34.0),
        (at(0.0, 90.0), 27.0),
        (at(0.0, 260.0), 36.0),
    ]);
    parts.bone(&[at(-10.0, 72.0), at(-16.0, 260.0)], 8.0, SHAFT);
    parts.bone(&[at(14.0, 76.0), at(16.0, 260.0)], 7.0, SHAFT);
    for k in 0..8 {
        let (u, v) = (
            f64::from(k % 4) * 10.0 - 15.0,
            54.0 - f64::from(k / 4) * 13.0,
        );
        parts.bone(&[at(u, v), at(u + 1.0, v - 1.0)], 7.0, SPONGY);
    }
    let spread = rng.between(0.7, 1.3);
    for (finger, length) in [0.62, 0.92, 1.0, 0.94, 0.76].into_iter().enumerate() {
        let angle = (finger as f64 - 2.0) * 0.21 * spread - if finger == 0 { 0.3 } else { 0.0 };
        let (du, dv) = (libm::sin(angle), -libm::cos(angle));
        let point = |along: f64| at((finger as f64 - 2.0) * 11.0 + du * along, 32.0 + dv * along);
        parts.flesh(&[(point(48.0), 10.0), (point(168.0 * length), 8.0)]);
        let mut from = 0.0;
        for share in [0.38, 0.27, 0.18, 0.12] {
            let to = from + share * 170.0 * length;
            parts.bone(&[point(from + 2.0), point(to - 2.0)], 5.5, SHAFT);
            from = to;
        }
    }
}

fn skull(parts: &mut Parts<'_>, at: impl Fn(f64, f64) -> [f64; 3]) {
    parts.flesh(&[
        (at(0.0, -46.0), 82.0),
        (at(6.0, -30.0), 82.0),
        (at(-8.0, 60.0), 66.0),
        (at(18.0, 100.0), 54.0),
        (at(26.0, 230.0), 60.0),
    ]);
    parts.bone(&[at(0.0, -46.0), at(6.0, -30.0)], 80.0, [0.07, 0.02]);
    // Base, face, jaw and teeth from the side.
    let base = [at(-62.0, 16.0), at(-8.0, 34.0), at(52.0, 30.0)];
    parts.bone(&spline(&base, 12), 9.0, SPONGY);
    parts.bone(&[at(-58.0, 20.0), at(-52.0, 66.0)], 13.0, SPONGY);
    let jaw = [at(2.0, 40.0), at(-4.0, 88.0), at(-62.0, 108.0)];
    parts.bone(&spline(&jaw, 14), 9.0, SHAFT);
    for k in 0..7 {
        let u = -62.0 + 7.5 * f64::from(k);
        parts.bone(&[at(u, 72.0), at(u, 94.0)], 3.2, [0.8, 0.5]);
    }
    for k in 0..7 {
        let v = 52.0 + 20.0 * f64::from(k);
        parts.bone(&[at(26.0, v), at(36.0, v + 1.0)], 9.0, SPONGY);
    }
}
