//! One phantom: everything drawn from its index, then its film and its mask.

use super::bones::Skeleton;
use super::camera::Camera;
use super::curve::{Cobb, Curve};
use super::dice::Dice;
use super::exposure::Exposure;
use super::layer::{Layer, Scratch};
use super::organs::Organs;
use super::patient::Patient;
use super::spine::{Posture, Spine};
use super::{vertebrae, vessels};
use crate::cohort::manifest::Projection;

/// Attenuation of soft tissue at the effective energy of a chest film, in 1/mm.
const SOFT: f32 = 0.0195;

/// A patient before the detector, not yet exposed.
pub struct Phantom {
    pub(crate) patient: Patient,
    curve: Curve,
    spine: Spine,
    organs: Organs,
    camera: Camera,
    exposure: Exposure,
    projection: Projection,
    dice: Dice,
}

impl Phantom {
    /// Film `index` of the cohort seeded `seed`, with a major curve of exactly `degrees`.
    pub(crate) fn draw(seed: u64, index: u64, degrees: f64, side: usize) -> Self {
        let mut dice = Dice::new(seed, index + 1);
        let patient = Patient::draw(&mut dice);
        let s = patient.scale;
        let curve = Curve::draw(&mut dice, degrees);
        let posture = Posture {
            scale: s,
            lean: dice.normal(0.0, 2.2).to_radians(),
            offset: dice.normal(0.0, 7.0) * s,
            depth: (-46.0 + dice.normal(0.0, 4.0)) * s,
            rotation: patient.rotation,
        };
        let spine = Spine::draw(&mut dice, &curve, &posture);
        let organs = Organs::draw(&mut dice, &patient, &spine, posture.lean);
        let projection = if dice.chance(0.8) {
            Projection::Pa
        } else {
            Projection::Ap
        };
        let distance = dice.between(1700.0, 1850.0);
        let depth = 118.0 * s * patient.girth;
        let (detector, source) = match projection {
            Projection::Ap => (-depth, distance - depth),
            _ => (depth, depth - distance),
        };
        let shift = [dice.normal(0.0, 11.0) * s, dice.normal(0.0, 9.0) * s];
        let centre = [shift[0], 155.0 * s + shift[1]];
        let angle = dice.normal(0.0, 2.4).to_radians();
        let field = 418.0 * s * dice.normal(1.0, 0.035);
        let camera = Camera {
            side,
            pitch: field / side as f64,
            source: [
                centre[0] + dice.normal(0.0, 15.0),
                centre[1] + dice.normal(0.0, 15.0),
                source,
            ],
            detector,
            centre,
            turn: [libm::cos(angle), libm::sin(angle)],
        };
        let exposure = Exposure::draw(&mut dice);
        Self {
            patient,
            curve,
            spine,
            organs,
            camera,
            exposure,
            projection,
            dice,
        }
    }

    /// The spine, whose endplates carry the Cobb angle.
    pub fn spine(&self) -> &Spine {
        &self.spine
    }

    /// The coronal curve.
    pub fn curve(&self) -> &Curve {
        &self.curve
    }

    /// The major curve, measured from the endplates as they are drawn.
    pub fn cobb(&self) -> Cobb {
        let endplates: Vec<(f64, f64)> = self
            .spine
            .vertebrae()
            .iter()
            .map(|v| (v.superior, v.inferior))
            .collect();
        Cobb::measure(&endplates)
    }

    /// Which way the rays go through the patient.
    pub fn projection(&self) -> Projection {
        self.projection
    }

    /// Pixel pitch at the detector, in millimetres.
    pub fn pitch(&self) -> f64 {
        self.camera.pitch
    }

    /// Takes the film: its 16-bit grey pixels (row-major, brighter is denser), and the mask, 255
    /// where the column from T1 to L5 projects.
    pub(crate) fn expose(&mut self) -> (Vec<u16>, Vec<u8>) {
        let side = self.camera.side;
        let mut layer = soft_tissue(&self.camera, &self.organs, &mut self.dice);
        let dice = &mut self.dice;
        let dots = side as f32 / 1024.0;
        let mut grain = Layer::new(side);
        let mut scratch = Scratch::new(side);
        grain.add_mottle(dice, 3.0 * dots.max(0.6), 0.22);
        vessels::add_vessels(
            &mut layer,
            &mut scratch,
            dice,
            &self.camera,
            &self.patient,
            &self.organs,
        );
        let mut skeleton = Skeleton {
            camera: &self.camera,
            bone: self.patient.bone,
            layer: &mut layer,
            scratch: &mut scratch,
        };
        skeleton.ribs(dice, &self.patient, &self.spine, &self.organs);
        skeleton.shoulders(dice, &self.patient, &self.organs);
        skeleton.sternum(&self.patient, &self.organs);
        vertebrae::add_spine(
            &mut layer,
            &self.camera,
            &self.spine,
            self.patient.bone,
            &grain,
        );
        layer.blur(self.exposure.blur);
        (
            self.exposure.develop(&layer, self.camera.pitch, dice),
            vertebrae::mask(&self.camera, &self.spine),
        )
    }
}

/// Attenuation of the soft tissues. They have no detail finer than half a millimetre but their
/// edges, so half the film's resolution is enough for films above 512 pixels.
fn soft_tissue(camera: &Camera, organs: &Organs, dice: &mut Dice) -> Layer {
    let step = if camera.side > 512 && camera.side.is_multiple_of(2) {
        2
    } else {
        1
    };
    let mut layer = Layer::new(camera.side / step);
    let side = layer.side;
    for (cells, amplitude) in [(7.0, 0.05), (19.0, 0.035), (60.0, 0.012)] {
        layer.add_mottle(dice, side as f32 / cells, amplitude);
    }
    let middle = step as f64 / 2.0;
    for (row, line) in layer.values.chunks_exact_mut(side).enumerate() {
        let y = (row * step) as f64 + middle;
        for (column, value) in line.iter_mut().enumerate() {
            let ray = camera.ray((column * step) as f64 + middle, y);
            *value = organs.tissue(&ray) * SOFT * (1.0 + *value);
        }
    }
    layer.enlarged(camera.side)
}

#[cfg(test)]
impl Phantom {
    /// Everything but the spine and what follows it, as text to compare.
    pub(crate) fn surroundings(&self) -> String {
        format!("{:?} {:?} {:?}", self.patient, self.camera, self.exposure)
    }

    /// Row of the film that a point falls on.
    pub(crate) fn row_of(&self, point: [f64; 3]) -> f32 {
        self.camera.shadow(point).at[1]
    }

    /// Turn of the film against the patient, in radians: a line that runs to the left on the
    /// patient by this angle runs straight down on the film.
    pub(crate) fn in_plane_rotation(&self) -> f64 {
        libm::atan2(self.camera.turn[1], self.camera.turn[0])
    }
}
