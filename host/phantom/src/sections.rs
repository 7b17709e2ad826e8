//! The trunk's cross-sections by height: torso, rib cage, mediastinum, spine, aorta.

use crate::chord::Pillar;
use crate::findings::{Disease, Findings};
use crate::patient::Patient;
use crate::rng::Variates;
use crate::spine::Spine;

/// Heights tabulated: the first, how many to a millimetre of y, and how many in all.
const TOP: f32 = -200.0;
const FINENESS: f32 = 2.0;
const ROWS: usize = 1800;

/// Height of the aortic arch in an adult, in millimetres of y.
pub(crate) const ARCH: f64 = 88.0;

/// The body's cross-section at one height; all in millimetres.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Section {
    /// The torso.
    pub(crate) body: Pillar,
    /// The inside of the rib cage, which follows the spine in part; of no size where there is no
    /// lung.
    pub(crate) cage: Pillar,
    /// The mediastinum, between the lungs from front to back, and the great vessels beside it.
    pub(crate) mediastinum: [Pillar; 2],
    /// The spine and the tissue about it.
    pub(crate) spine: Pillar,
    /// The descending aorta; of no size above the arch.
    pub(crate) aorta: Pillar,
}

impl Section {
    /// Returns the midline of the rib cage.
    pub(crate) fn midline(&self) -> f32 {
        self.cage.axis[0]
    }

    /// Returns the section of the patient turned by a quarter, the left side at the detector.
    pub(crate) fn sideways(&self) -> Self {
        Self {
            body: self.body.sideways(),
            cage: self.cage.sideways(),
            mediastinum: self.mediastinum.map(|part| part.sideways()),
            spine: self.spine.sideways(),
            aorta: self.aorta.sideways(),
        }
    }
}

/// The cross-sections at all tabulated heights.
#[derive(Debug, Clone)]
pub(crate) struct Sections(Vec<Section>);

impl Sections {
    /// Draws a patient's build, and makes the cross-sections of it.
    pub(crate) fn draw(
        rng: &mut Variates,
        patient: &Patient,
        spine: &Spine,
        findings: &Findings,
    ) -> Self {
        let build = Build::draw(rng, patient, findings);
        let heights = (0..ROWS).map(|row| f64::from(TOP) + row as f64 / f64::from(FINENESS));
        Self(heights.map(|y| build.section(patient, spine, y)).collect())
    }

    /// Returns the cross-section at the tabulated height that is nearest to y.
    pub(crate) fn at(&self, y: f32) -> &Section {
        let row = ((y - TOP) * FINENESS + 0.5).clamp(0.0, (ROWS - 1) as f32);
        &self.0[row as usize]
    }

    /// Returns the cross-sections of the patient turned by a quarter, the left side at the
    /// detector.
    pub(crate) fn sideways(mut self) -> Self {
        for section in &mut self.0 {
            *section = section.sideways();
        }
        self
    }
}

/// A patient's own proportions, beside size and girth.
struct Build {
    /// Factors of the rib cage's width and depth.
    cage: [f64; 2],
    /// Factor of the shoulders' width.
    shoulder: f64,
    /// Share of the spine's shift that the rib cage follows.
    follow: f64,
    /// Factor of the mediastinum's width, and its shift to the left in millimetres.
    mediastinum: [f64; 2],
    /// Bulges of the mediastinum's right and left border by the great vessels, from above, in
    /// millimetres of an adult.
    outline: [[f64; 2]; 4],
    /// Radius of the aorta, and height of its arch, in millimetres.
    aorta: f64,
    arch: f64,
}

impl Build {
    fn draw(rng: &mut Variates, patient: &Patient, findings: &Findings) -> Self {
        let s = patient.scale;
        let cage_width = s * rng.normal(1.0, 0.05);
        let barrel = 1.0 + 0.12 * findings.severity(Disease::Emphysema);
        let cage_depth = s * rng.normal(1.0, 0.07) * barrel;
        Self {
            cage: [cage_width, cage_depth],
            shoulder: rng.normal(1.0, 0.05),
            follow: rng.between(0.25, 0.5),
            mediastinum: [s * rng.normal(1.0, 0.12), s * rng.normal(0.0, 3.0)],
            outline: core::array::from_fn(|_| [rng.normal(0.0, 2.6), rng.normal(0.0, 2.6)]),
            aorta: s * rng.between(8.0, 9.5 + patient.age / 25.0),
            arch: (ARCH + rng.normal(0.0, 5.0)) * s,
        }
    }

    /// Returns the cross-section at the height y.
    fn section(&self, patient: &Patient, spine: &Spine, y: f64) -> Section {
        let s = patient.scale;
        let nominal = y / s;
        let [width, depth] = profile(&BODY, nominal);
        let wall = ((nominal - 60.0) / 120.0).clamp(0.0, 1.0);
        let fat = 1.0 + (patient.girth - 1.0) * (0.3 + 0.7 * wall);
        let wide = 1.0 + (self.shoulder - 1.0) * (1.0 - wall);
        let hips = HIPS * ((nominal - 410.0) / 110.0).clamp(0.0, 1.0);
        let [inner, deep] = profile(&CAGE, nominal);
        let [cage_width, cage_depth] = self.cage;
        let (axis, back) = spine.axis_at(y);
        let midline = libm::tan(patient.lean) * (y - 150.0 * s);
        let cage_midline = midline + self.follow * (axis - midline);
        let [right, left] = self.borders(patient, nominal);
        let [mediastinum_width, mediastinum_shift] = self.mediastinum;
        let swing = patient.unfolding * bump(nominal, 135.0, 45.0);
        Section {
            body: Pillar {
                axis: [midline as f32, 0.0],
                semi: [
                    ((width * fat * wide + hips) * s) as f32,
                    (depth * s * fat) as f32,
                ],
            },
            cage: Pillar {
                axis: [cage_midline as f32, 0.0],
                semi: [(inner * cage_width) as f32, (deep * cage_depth) as f32],
            },
            mediastinum: [(0.68, 0.97), (1.28, 0.5)].map(|(wide, thick)| Pillar {
                axis: [
                    (cage_midline
                        + mediastinum_shift
                        + 0.4 * shift_by_rotation(patient)
                        + (left - right) / 2.0 * mediastinum_width * wide)
                        as f32,
                    0.0,
                ],
                semi: [
                    ((left + right) / 2.0 * mediastinum_width * wide) as f32,
                    (deep * cage_depth * thick) as f32,
                ],
            }),
            spine: Pillar {
                axis: [axis as f32, back as f32 - 8.0],
                semi: [(13.0 * s + 0.018 * y.max(0.0)) as f32, 30.0],
            },
            aorta: Pillar {
                axis: [
                    (midline + 0.6 * (axis - midline) + (19.0 + 20.0 * swing) * s) as f32,
                    (back + 14.0 * s) as f32,
                ],
                semi: [if y > self.arch {
                    self.aorta as f32
                } else {
                    0.0
                }; 2],
            },
        }
    }

    /// Returns the distances of the mediastinum's right and left border from its middle at a
    /// height, both in millimetres of an adult.
    fn borders(&self, patient: &Patient, nominal: f64) -> [f64; 2] {
        let wave = |side: usize| {
            let knots = self.outline.iter().zip([20.0, 60.0, 105.0, 150.0]);
            knots
                .map(|(by, at)| by[side] * bump(nominal, at, 22.0))
                .sum::<f64>()
        };
        let right = 25.0 + 5.0 * bump(nominal, 75.0, 30.0) + wave(0);
        let left = 25.0 + 8.0 * bump(nominal, 92.0, 22.0) + wave(1);
        let right = right + 7.0 * patient.unfolding * bump(nominal, 80.0, 28.0);
        [right, left]
    }
}

/// Returns the shift to the left, in millimetres, of what lies before the axis of rotation.
pub(crate) fn shift_by_rotation(patient: &Patient) -> f64 {
    libm::sin(patient.rotation) * 60.0 * patient.scale
}

/// Returns a bump of height 1 about `at`, of a standard deviation `width`.
fn bump(nominal: f64, at: f64, width: f64) -> f64 {
    libm::exp(-0.5 * libm::pow((nominal - at) / width, 2.0))
}

/// Interpolates a profile of (y, value...) knots with cubic Hermite pieces.
fn profile<const N: usize>(knots: &[(f64, [f64; N])], y: f64) -> [f64; N] {
    let last = knots.len() - 1;
    let i = knots.partition_point(|k| k.0 <= y).clamp(1, last) - 1;
    let (y0, y1) = (knots[i].0, knots[i + 1].0);
    let t = ((y - y0) / (y1 - y0)).clamp(0.0, 1.0);
    core::array::from_fn(|n| {
        let value = |k: usize| knots[k].1[n];
        let slope = |k: usize| {
            let (a, b) = (k.saturating_sub(1), (k + 1).min(last));
            (value(b) - value(a)) / (knots[b].0 - knots[a].0)
        };
        let (t2, t3, span) = (t * t, t * t * t, y1 - y0);
        (2.0 * t3 - 3.0 * t2 + 1.0) * value(i)
            + (t3 - 2.0 * t2 + t) * span * slope(i)
            + (3.0 * t2 - 2.0 * t3) * value(i + 1)
            + (t3 - t2) * span * slope(i + 1)
    })
}

/// Half-width and half-depth of an adult torso by height below the top of T1, in millimetres.
const BODY: [(f64, [f64; 2]); 14] = [
    (-200.0, [75.0, 80.0]),
    (-120.0, [60.0, 62.0]),
    (-55.0, [61.0, 60.0]),
    (-20.0, [82.0, 64.0]),
    (0.0, [118.0, 70.0]),
    (25.0, [165.0, 79.0]),
    (50.0, [184.0, 88.0]),
    (90.0, [172.0, 98.0]),
    (130.0, [160.0, 104.0]),
    (180.0, [156.0, 106.0]),
    (240.0, [150.0, 104.0]),
    (300.0, [144.0, 102.0]),
    (360.0, [141.0, 104.0]),
    (500.0, [152.0, 108.0]),
];

/// Half-width of the hips beyond the waist's.
const HIPS: f64 = 26.0;

/// Half-width and half-depth of the inside of the rib cage.
const CAGE: [(f64, [f64; 2]); 13] = [
    (-16.0, [0.0, 0.0]),
    (-12.0, [36.0, 12.0]),
    (0.0, [66.0, 28.0]),
    (15.0, [85.0, 42.0]),
    (40.0, [103.0, 57.0]),
    (70.0, [115.0, 69.0]),
    (110.0, [124.0, 79.0]),
    (150.0, [128.0, 85.0]),
    (190.0, [132.0, 88.0]),
    (230.0, [133.0, 88.0]),
    (270.0, [132.0, 85.0]),
    (310.0, [128.0, 81.0]),
    (400.0, [120.0, 77.0]),
];
