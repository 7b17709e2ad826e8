//! A ruler beside the patient on long films.

use crate::camera::Camera;
use crate::layer::{Layer, Scratch};
use crate::pen::Pen;
use crate::rng::Variates;

/// Adds a ruler of lead to some films: a mark each centimetre, every tenth one longer.
pub(crate) fn add_ruler(
    layer: &mut Layer,
    scratch: &mut Scratch,
    rng: &mut Variates,
    camera: &Camera,
) {
    if !rng.chance(0.45) {
        return;
    }
    let (width, height) = (camera.size.width as f64, camera.size.height as f64);
    let centimetre = 10.0 / camera.pitch;
    let at = width * rng.between(0.015, 0.07);
    let at = if rng.chance(0.5) { at } else { width - at };
    let strength = rng.between(0.5, 2.0);
    let half = height / 1200.0;
    let mut pen = Pen {
        camera,
        layer,
        scratch,
    };
    let marks = (height / centimetre) as usize;
    let first = rng.unit() * centimetre;
    for mark in 0..marks {
        let y = first + mark as f64 * centimetre;
        let reach = if mark % 10 == 0 { 0.025 } else { 0.011 } * height / 2.0;
        pen.on_film(&[[at - reach, y], [at + reach, y]], half, strength);
    }
}
