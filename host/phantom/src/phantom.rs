//! One phantom: everything drawn from its index, then its film and its mask.

use crate::beam::Beam;
use crate::bones::Skeleton;
use crate::camera::Camera;
use crate::clouding::clouding;
use crate::curve::{Cobb, Curve};
use crate::develop::{Film, Look};
use crate::findings::Findings;
use crate::layer::{Layer, Scratch, Size};
use crate::organs::Organs;
use crate::patient::Patient;
use crate::pen::Pen;
use crate::rng::Variates;
use crate::spine::{Posture, Spine};
use crate::tissue::SOFT;
use crate::vessels::Lung;
use crate::{elsewhere, marks, objects, ruler, vertebrae};
use plumbline_shared::clinical::{Projection, Refusal};
use serde::{Deserialize, Serialize};

/// The reasons to refuse a film that phantoms are drawn for.
pub const REFUSALS: [Refusal; 5] = [
    Refusal::Lateral,
    Refusal::Inverted,
    Refusal::NotAChest,
    Refusal::Blank,
    Refusal::OverExposed,
];

/// All that determines one film of a cohort.
#[derive(Debug, Clone, Copy)]
pub struct FilmSpec {
    /// Seed of the cohort.
    pub seed: u64,
    /// Number of the film in the cohort, from 0.
    pub index: u64,
    /// Cobb angle of the major curve, in degrees.
    pub degrees: f64,
    /// The reason for which a reader should refuse the film, if there is one: one of [`REFUSALS`];
    /// others draw a film to be read.
    pub refusal: Option<Refusal>,
    /// Pixels along the longer edge.
    pub side: usize,
    /// What the film shows, and its format.
    pub frame: Frame,
}

/// What a film shows, and its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Frame {
    /// A chest, on one of the formats of detectors: upright, across or square.
    Chest,
    /// A chest, on a square.
    SquareChest,
    /// The spine from neck to pelvis, on a long film.
    WholeSpine,
}

/// A patient before the detector, not yet exposed.
///
/// ```
/// use plumbline_phantom::{FilmSpec, Frame, Phantom};
///
/// let mut phantom = Phantom::draw(&FilmSpec {
///     seed: 1,
///     index: 0,
///     degrees: 23.5,
///     refusal: None,
///     side: 256,
///     frame: Frame::SquareChest,
/// });
/// assert!((phantom.cobb().degrees - 23.5).abs() < 1e-9);
///
/// let (film, mask) = phantom.expose();
/// assert_eq!(film.greys().len(), 256 * 256);
/// assert!(mask.is_some());
/// ```
pub struct Phantom {
    /// The patient.
    pub patient: Patient,
    curve: Curve,
    spine: Spine,
    findings: Findings,
    organs: Organs,
    camera: Camera,
    beam: Beam,
    look: Look,
    projection: Projection,
    refusal: Option<Refusal>,
    rng: Variates,
}

impl Phantom {
    /// Draws the patient and the set-up of a film, with a major curve of exactly the ordered angle.
    pub fn draw(spec: &FilmSpec) -> Self {
        let mut rng = Variates::new(spec.seed, spec.index + 1);
        let patient = Patient::draw(&mut rng);
        let s = patient.scale;
        let curve = Curve::draw(&mut rng, spec.degrees);
        let posture = Posture {
            scale: s,
            lean: patient.lean,
            offset: rng.normal(0.0, 7.0) * s,
            depth: (-46.0 + rng.normal(0.0, 4.0)) * s,
            rotation: patient.rotation,
            stoop: 14.0 * ((patient.age - 55.0) / 35.0).clamp(0.0, 1.0) * rng.unit(),
        };
        let spine = Spine::draw(&mut rng, &curve, &posture);
        let findings = Findings::draw(&mut rng, &patient);
        let organs = Organs::draw(&mut rng, &patient, &spine, &findings);
        let lateral = spec.refusal == Some(Refusal::Lateral);
        let bedside = rng.chance(0.15);
        let projection = match bedside || rng.chance(0.06) {
            _ if lateral => Projection::Lateral,
            true => Projection::Ap,
            false => Projection::Pa,
        };
        let camera = camera(&mut rng, spec, &patient, projection, bedside);
        let beam = Beam::draw(&mut rng, bedside);
        let times = match spec.refusal {
            Some(Refusal::OverExposed) => rng.between(18.0, 60.0),
            _ => 1.0,
        };
        let look = Look::draw(&mut rng);
        let look = match spec.frame {
            Frame::WholeSpine => look.of_whole_spine(),
            Frame::Chest | Frame::SquareChest => look,
        };
        Self {
            patient,
            curve,
            spine,
            findings,
            organs,
            camera,
            beam: beam.exposed(times),
            look,
            projection,
            refusal: spec.refusal,
            rng,
        }
    }

    /// Returns the spine, whose endplates carry the Cobb angle.
    pub fn spine(&self) -> &Spine {
        &self.spine
    }

    /// Returns the coronal curve.
    pub fn curve(&self) -> &Curve {
        &self.curve
    }

    /// Returns the coronal tilt of every vertebra's superior and inferior endplate, in radians, from above.
    fn endplates(&self) -> Vec<(f64, f64)> {
        let vertebrae = self.spine.vertebrae().iter();
        vertebrae.map(|v| (v.superior, v.inferior)).collect()
    }

    /// Returns the major curve, measured from the endplates as they are drawn.
    pub fn cobb(&self) -> Cobb {
        Cobb::measure(&self.endplates())
    }

    /// Returns every curve of at least five degrees, from above.
    pub fn curves(&self) -> Vec<Cobb> {
        Cobb::all(&self.endplates(), 5.0)
    }

    /// Returns the names of the patient's diseases, as in ChestX-ray14.
    pub fn findings(&self) -> Vec<&'static str> {
        self.findings.names()
    }

    /// Returns the direction of the rays through the patient.
    pub fn projection(&self) -> Projection {
        self.projection
    }

    /// Returns the pixel pitch at the detector, in millimetres.
    pub fn pitch(&self) -> f64 {
        self.camera.pitch
    }

    /// Exposes the film, and returns it with the mask of the spine on it, row-major: 10, 20 ... 170 where the bodies
    /// of T1, T2 ... L5 project, 255 in the discs. A film that should be refused has no mask.
    pub fn expose(&mut self) -> (Film, Option<Vec<u8>>) {
        let size = self.camera.size;
        let mut soft = Layer::new(size);
        let mut dense = Layer::new(size);
        match self.refusal {
            Some(Refusal::Blank) => {
                // Nobody is there; half of the time nothing was exposed either.
                if self.rng.chance(0.5) {
                    self.beam = self.beam.exposed(1e-3);
                }
            }
            Some(Refusal::NotAChest) => {
                elsewhere::draw(&mut soft, &mut dense, &mut self.rng, &self.camera);
            }
            _ => self.shade(&mut soft, &mut dense),
        }
        let raw = self
            .beam
            .expose(&soft, &dense, self.camera.pitch, &mut self.rng);
        let film = self
            .look
            .develop(raw, self.beam.field(size), self.camera.pitch);
        let film = match self.refusal {
            Some(Refusal::Inverted) => film.negative(),
            _ => film,
        };
        let mask = self.refusal.is_none();
        (
            film,
            mask.then(|| vertebrae::mask(&self.camera, &self.spine)),
        )
    }

    /// Adds the patient's shadows: soft tissue, and bone and metal.
    fn shade(&mut self, soft: &mut Layer, dense: &mut Layer) {
        let size = soft.size;
        *soft = self.tissue();
        let rng = &mut self.rng;
        // How many numbers a lung's vessels take depends on the spine beside it.
        let mut vessels = rng.branch();
        let dots = size.width.max(size.height) as f32 / 1024.0;
        let mut grain = Layer::new(size);
        let mut scratch = Scratch::new(size);
        grain.add_mottle(rng, 3.0 * dots.max(0.6), 0.22);
        let lung = Lung {
            camera: &self.camera,
            patient: &self.patient,
            organs: &self.organs,
            findings: &self.findings,
        };
        lung.add_vessels(soft, &mut scratch, &mut vessels);
        let mut pen = Pen {
            camera: &self.camera,
            layer: soft,
            scratch: &mut scratch,
        };
        marks::add_marks(&self.findings, &mut pen, rng, &self.patient, &self.organs);
        let mut skeleton = Skeleton {
            camera: &self.camera,
            bone: self.patient.bone,
            layer: dense,
            scratch: &mut scratch,
        };
        skeleton.ribs(rng, &self.patient, &self.spine, &self.organs);
        if !self.organs.arms.is_empty() && !self.camera.lateral {
            skeleton.shoulders(rng, &self.patient, &self.organs);
        }
        skeleton.sternum(&self.patient, &self.organs);
        if self.camera.whole_spine {
            skeleton.pelvis(rng, &self.patient, &self.spine);
        }
        vertebrae::add_spine(dense, &self.camera, &self.spine, self.patient.bone, &grain);
        objects::add_objects(
            dense,
            &mut scratch,
            rng,
            &self.camera,
            &self.patient,
            &self.spine,
            self.projection,
        );
        if self.camera.whole_spine {
            ruler::add_ruler(dense, &mut scratch, rng, &self.camera);
        }
    }

    /// Returns the attenuation of the soft tissues. They have no detail finer than a millimetre but their
    /// edges, so half the film's resolution is enough for films above 512 pixels.
    fn tissue(&mut self) -> Layer {
        let (camera, rng) = (&self.camera, &mut self.rng);
        let size = camera.size;
        let step = if size.width.max(size.height) > 512 {
            2
        } else {
            1
        };
        let mut layer = Layer::new(size.reduced(step));
        let long = layer.size.width.max(layer.size.height) as f32;
        for (cells, amplitude) in [(7.0, 0.05), (19.0, 0.035), (60.0, 0.012)] {
            layer.add_mottle(rng, long / cells, amplitude);
        }
        let sideways;
        let (organs, clouding) = if camera.lateral {
            sideways = self.organs.clone().sideways();
            (&sideways, None)
        } else {
            let coarse = 2 * step;
            let clouding = clouding(
                &self.findings,
                rng,
                camera,
                &self.patient,
                &self.organs,
                coarse,
            );
            (&self.organs, clouding.map(|c| c.enlarged(layer.size, 2)))
        };
        let middle = step as f64 / 2.0;
        for (row, line) in layer.rows_mut().enumerate() {
            let y = (row * step) as f64 + middle;
            for (column, value) in line.iter_mut().enumerate() {
                let ray = camera.ray((column * step) as f64 + middle, y);
                let cloud = clouding
                    .as_ref()
                    .map_or(0.0, |c| c.values[row * c.size.width + column].min(1.0));
                *value = organs.tissue(&ray, cloud) * SOFT * (1.0 + *value);
            }
        }
        // Tissue has no knife-sharp borders.
        layer.blur(0.2);
        if step == 1 {
            layer
        } else {
            layer.enlarged(size, step)
        }
    }
}

/// Places the tube and the detector for a film.
fn camera(
    rng: &mut Variates,
    spec: &FilmSpec,
    patient: &Patient,
    projection: Projection,
    bedside: bool,
) -> Camera {
    let s = patient.scale;
    let distance = if bedside {
        rng.between(1000.0, 1400.0)
    } else {
        rng.between(1500.0, 1800.0)
    };
    let depth = 118.0 * s * patient.girth;
    let (detector, source) = match projection {
        Projection::Ap => (-depth, distance - depth),
        Projection::Lateral => (1.4 * depth, 1.4 * depth - distance),
        _ => (depth, depth - distance),
    };
    // One film in eight is badly centred or cropped.
    let careless = if rng.chance(0.125) { 2.5 } else { 1.0 };
    let shift = [
        careless * rng.normal(0.0, 10.0) * s,
        careless * rng.normal(0.0, 9.0) * s,
    ];
    let centre = [shift[0], 152.0 * s + shift[1]];
    let angle = careless * rng.normal(0.0, 1.7).to_radians();
    if spec.frame == Frame::WholeSpine {
        return whole_spine(rng, spec, patient, [detector, source], angle);
    }
    let (long, short) = (spec.side, spec.side * 35 / 43);
    let (width, height, field) = match rng.unit() {
        u if spec.frame == Frame::SquareChest || u < 0.3 => (long, long, 408.0),
        u if u < 0.65 => (short, long, 428.0),
        _ => (long, short, 428.0),
    };
    let tight = if rng.chance(0.1) { 0.87 } else { 1.0 };
    let field = field * s * tight * rng.normal(1.0, 0.04);
    Camera {
        size: Size { width, height },
        pitch: field / spec.side as f64,
        source: [
            centre[0] + rng.normal(0.0, 15.0),
            centre[1] + rng.normal(0.0, 15.0),
            source,
        ],
        detector,
        centre,
        turn: [libm::cos(angle), libm::sin(angle)],
        lateral: projection == Projection::Lateral,
        whole_spine: false,
    }
}

/// Places the tube and a long detector, from somewhere at the neck to somewhere at the hips; what is beside
/// the patient is often cut off.
fn whole_spine(
    rng: &mut Variates,
    spec: &FilmSpec,
    patient: &Patient,
    [detector, source]: [f64; 2],
    angle: f64,
) -> Camera {
    let s = patient.scale;
    let (top, bottom) = (rng.between(-110.0, -15.0), rng.between(500.0, 640.0));
    let field = 1.1 * (bottom - top) * s;
    let width = rng.between(0.36, 0.75);
    let centre = [rng.normal(0.0, 12.0) * s, (top + bottom) / 2.0 * s];
    Camera {
        size: Size {
            width: (spec.side as f64 * width) as usize,
            height: spec.side,
        },
        pitch: field / spec.side as f64,
        source: [centre[0] + rng.normal(0.0, 15.0), centre[1], source],
        detector,
        centre,
        turn: [libm::cos(angle), libm::sin(angle)],
        lateral: false,
        whole_spine: true,
    }
}

#[cfg(test)]
impl Phantom {
    /// Everything but the spine and what follows it, as text to compare.
    pub fn surroundings(&self) -> String {
        format!(
            "{:?} {:?} {:?} {:?} {:?}",
            self.patient, self.camera, self.beam, self.look, self.findings
        )
    }

    /// The next random number of the film's stream.
    pub fn next_number(&mut self) -> f64 {
        self.rng.unit()
    }

    /// Column and row of the film that a point falls on.
    pub fn place_of(&self, point: [f64; 3]) -> [f32; 2] {
        self.camera.shadow(point).at
    }

    /// Columns and rows of the film.
    pub fn size(&self) -> Size {
        self.camera.size
    }

    /// Turn of the film against the patient, in radians: a line that runs to the left on the
    /// patient by this angle runs straight down on the film.
    pub fn in_plane_rotation(&self) -> f64 {
        libm::atan2(self.camera.turn[1], self.camera.turn[0])
    }
}
