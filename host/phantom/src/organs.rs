//! The soft tissues: what a ray crosses of torso, arms, lungs, heart, great vessels and gas.

use crate::camera::Ray;
use crate::chord::{Ellipsoid, NOWHERE, Pillar, Spans, torso, union};
use crate::findings::{Findings, Kind};
use crate::patient::{Patient, Sex};
use crate::rng::Variates;
use crate::spine::Spine;

/// Heights tabulated: the first, how many to a millimetre of y, and how many in all.
const TOP: f32 = -200.0;
const FINENESS: f32 = 2.0;
const ROWS: usize = 1800;

/// The body's cross-section at one height; all in millimetres.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Section {
    /// The torso.
    body: Pillar,
    /// The inside of the rib cage, which follows the spine in part; of no size where there is no
    /// lung.
    pub(crate) cage: Pillar,
    /// What lies between the lungs from front to back, and the great vessels beside it.
    mediastinum: [Pillar; 2],
    /// The spine and the tissue about it.
    spine: Pillar,
    /// The descending aorta; of no size above the arch.
    aorta: Pillar,
}

impl Section {
    /// Midline of the rib cage.
    pub(crate) fn midline(&self) -> f32 {
        self.cage.axis[0]
    }

    fn sideways(&self) -> Self {
        Self {
            body: self.body.sideways(),
            cage: self.cage.sideways(),
            mediastinum: self.mediastinum.map(|part| part.sideways()),
            spine: self.spine.sideways(),
            aorta: self.aorta.sideways(),
        }
    }
}

/// A limb: a capsule in the coronal plane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limb {
    pub(crate) from: [f32; 2],
    pub(crate) to: [f32; 2],
    pub(crate) radius: f32,
}

impl Limb {
    fn half_depth(&self, x: f32, y: f32) -> f32 {
        let (dx, dy) = (self.to[0] - self.from[0], self.to[1] - self.from[1]);
        let (px, py) = (x - self.from[0], y - self.from[1]);
        let t = ((px * dx + py * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
        let (ex, ey) = (px - t * dx, py - t * dy);
        (self.radius * self.radius - ex * ex - ey * ey)
            .max(0.0)
            .sqrt()
    }
}

/// The trunk's soft tissues.
#[derive(Debug, Clone)]
pub(crate) struct Organs {
    sections: Vec<Section>,
    /// None on a lateral film, where the arms are raised.
    pub(crate) arms: Vec<Limb>,
    breasts: Vec<Ellipsoid>,
    heart: [Ellipsoid; 3],
    knob: Ellipsoid,
    domes: [Ellipsoid; 2],
    /// Height of the lowest lung.
    base: f32,
    gas: Vec<Ellipsoid>,
    trachea: Pillar,
    /// Height at which the trachea divides.
    carina: f32,
    /// Density of the lung relative to soft tissue.
    pub(crate) lung_density: f32,
    /// The lung's own edge lies this far inside the cage, on the right and on the left: air of a
    /// pneumothorax is between.
    pub(crate) collapse: [f32; 2],
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

// Half-width and half-depth of an adult torso by height below the top of T1, in millimetres.
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

// Half-width and half-depth of the inside of the rib cage.
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

impl Organs {
    pub(crate) fn draw(
        rng: &mut Variates,
        patient: &Patient,
        spine: &Spine,
        findings: &Findings,
    ) -> Self {
        let s = patient.scale;
        let sections = sections(rng, patient, spine, findings);
        let at = |y: f64| {
            let section = &sections[row_at(y as f32)];
            (f64::from(section.midline()), section)
        };
        let turned = libm::sin(patient.rotation) * 60.0 * s;
        let shoulder = f64::from(at(50.0 * s).1.body.semi[0]) / (184.0 * s);
        let spread = rng.between(218.0, 330.0);
        let arms = [-1.0f64, 1.0].map(|side| Limb {
            from: [
                (side * 176.0 * s * shoulder) as f32,
                ((52.0 + rng.normal(0.0, 6.0)) * s) as f32,
            ],
            to: [
                (side * (spread + rng.normal(0.0, 12.0)) * s) as f32,
                (270.0 * s) as f32,
            ],
            radius: (43.0 * s * (0.6 + 0.4 * patient.girth)) as f32,
        });
        let breasts = breasts(rng, patient, |y| {
            let (middle, section) = at(y);
            (middle, f64::from(section.body.semi[1]))
        });
        let emphysema = findings.severity(Kind::Emphysema);
        let deep = patient.breath + 16.0 * emphysema;
        let right_top = (222.0 + deep) * s;
        let left_top = right_top + rng.normal(11.0, 6.0) * s;
        let flat = 1.0 - 0.45 * emphysema;
        let drop = rng.between(62.0, 85.0) * s * flat;
        let base = right_top.min(left_top) + drop;
        let domes = [(-1.0, right_top), (1.0, left_top)].map(|(side, top)| {
            // A lung that has lost volume draws the diaphragm up.
            let lost = findings.on(Kind::Atelectasis, side) * 32.0 * s;
            let height = base - top + lost;
            let (mid, section) = at(base - 20.0 * s);
            let [half, deep] = section.cage.semi.map(f64::from);
            Ellipsoid::upright(
                [mid + side * 0.52 * half, base, 0.0],
                [0.62 * half, height, 1.15 * deep],
            )
        });
        let large = 1.0 + 0.38 * findings.severity(Kind::Cardiomegaly) - 0.16 * emphysema;
        let size = s * rng.normal(1.0, 0.07) * (1.0 + patient.age / 700.0) * large;
        let tilt = rng.between(0.45, 0.85);
        let heart_y = right_top - rng.between(28.0, 42.0) * s;
        let (mid, _) = at(heart_y);
        let heart_x = mid + (20.0 + rng.normal(0.0, 4.0)) * s + turned;
        let heart = [
            Ellipsoid::turned(
                [heart_x + 7.0 * s, heart_y + 2.0 * s, 22.0 * s],
                [66.0 * size, 42.0 * size, 42.0 * size],
                tilt,
            ),
            Ellipsoid::turned(
                [heart_x - 25.0 * s, heart_y - 4.0 * s, 15.0 * s],
                [27.0 * size, 50.0 * size, 36.0 * size],
                -0.12,
            ),
            // The trunk of the pulmonary artery fills the waist below the aortic arch.
            Ellipsoid::turned(
                [heart_x + 10.0 * s, heart_y - 42.0 * s, 25.0 * s],
                [22.0 * size, 26.0 * size, 20.0 * s],
                0.4,
            ),
        ];
        let arch = ARCH * s;
        let (mid, section) = at(arch + 30.0 * s);
        let aorta = f64::from(section.aorta.semi[0]);
        let swing = 1.0 + 0.4 * patient.unfolding;
        let knob = Ellipsoid::upright(
            [
                mid + (22.0 + 6.0 * patient.unfolding) * s + 0.5 * turned,
                arch,
                -8.0 * s,
            ],
            [aorta * 1.4 * swing, aorta * 1.5 * swing, 30.0 * s],
        );
        let trachea = 8.0 * s * rng.normal(1.0, 0.1);
        Self {
            arms: arms.to_vec(),
            breasts,
            heart,
            knob,
            domes,
            base: base as f32,
            gas: gas(rng, s, mid, left_top),
            trachea: Pillar {
                axis: [at(30.0 * s).1.mediastinum[0].axis[0], -4.0],
                semi: [trachea as f32; 2],
            },
            carina: (104.0 * s) as f32,
            lung_density: (rng.between(0.22, 0.32) * (1.0 - 0.35 * emphysema)) as f32,
            collapse: [-1.0, 1.0].map(|side| {
                let severity = findings.on(Kind::Pneumothorax, side);
                (severity * 38.0 * s) as f32
            }),
            sections,
        }
    }

    /// The body as it stands before the detector for a lateral film.
    pub(crate) fn sideways(mut self) -> Self {
        for section in &mut self.sections {
            *section = section.sideways();
        }
        let solids = self.breasts.iter_mut().chain(&mut self.heart);
        for solid in solids.chain(&mut self.domes).chain(&mut self.gas) {
            *solid = solid.sideways();
        }
        self.knob = self.knob.sideways();
        self.trachea = self.trachea.sideways();
        self.arms.clear();
        self
    }

    /// The cross-section at height y.
    pub(crate) fn section(&self, y: f32) -> &Section {
        &self.sections[row_at(y)]
    }

    /// Height of the diaphragm's dome on a side, -1 for the right, 1 for the left.
    pub(crate) fn dome(&self, side: f64) -> f32 {
        let dome = &self.domes[usize::from(side > 0.0)];
        dome.centre[1] - dome.semi[1]
    }

    /// Centre of the heart's left ventricle on the film: x and y.
    pub(crate) fn heart_at(&self) -> [f64; 2] {
        [self.heart[0].centre[0], self.heart[0].centre[1]].map(f64::from)
    }

    /// Whether the ray through (x, y) sees lung that no dome of the diaphragm hides.
    pub(crate) fn in_lung(&self, x: f32, y: f32) -> bool {
        let section = self.section(y);
        let across = x - section.midline();
        let below = self.domes.iter().any(|dome| {
            let dx = (x - dome.centre[0]) / dome.semi[0];
            let dy = (y - dome.centre[1]) / dome.semi[1];
            dx * dx + dy * dy < 1.0
        });
        let collapsed = self.collapse[usize::from(across > 0.0)];
        y < self.base && !below && across.abs() < section.cage.semi[0] * 0.95 - collapsed
    }

    /// Millimetres of soft tissue along the ray, lung counted by its density. `clouding` is the
    /// share of the lung's air that disease has displaced; negative for more air.
    pub(crate) fn tissue(&self, ray: &Ray, clouding: f32) -> f32 {
        let y = ray.at[1];
        let section = self.section(y);
        let trunk = torso(ray, section.body.axis, section.body.semi);
        let arm = self
            .arms
            .iter()
            .map(|arm| arm.half_depth(ray.at[0], y))
            .fold(0.0, f32::max);
        let mut whole = union(trunk, (-arm, arm));
        for breast in &self.breasts {
            whole += union(trunk, breast.span(ray)) - (trunk.1 - trunk.0);
        }
        if trunk.1 <= trunk.0 {
            return whole * ray.secant();
        }
        let mut air = 0.0;
        if y < self.base && section.cage.semi[0] > 1.0 && section.cage.semi[1] > 1.0 {
            let cage = section.cage.span(ray);
            let mut lung = Spans::new(cage);
            if cage.1 > cage.0 {
                let [middle, vessels] = section.mediastinum;
                for part in [middle, vessels, section.spine, section.aorta] {
                    if part.semi[0] > 0.5 {
                        lung.cut(part.span(ray));
                    }
                }
                for solid in self.heart.iter().chain(&self.domes).chain([&self.knob]) {
                    lung.cut(solid.span(ray));
                }
            }
            air += lung.length() * (1.0 - self.lung_density) * (1.0 - clouding);
        }
        if y < self.carina {
            let tube = self.trachea.span(ray);
            // The tube narrows to nothing where it divides.
            let open = ((self.carina - y) / 8.0).min(1.0);
            air += (tube.1 - tube.0) * open;
        }
        for bubble in &self.gas {
            let span = bubble.span(ray);
            if span != NOWHERE {
                air += span.1 - span.0;
            }
        }
        (whole - air).max(0.0) * ray.secant()
    }
}

/// Height of the aortic arch in an adult, in millimetres of y.
const ARCH: f64 = 88.0;

/// The tabulated height that is nearest to y.
fn row_at(y: f32) -> usize {
    ((y - TOP) * FINENESS + 0.5).clamp(0.0, (ROWS - 1) as f32) as usize
}

/// The body's cross-sections at all tabulated heights.
fn sections(
    rng: &mut Variates,
    patient: &Patient,
    spine: &Spine,
    findings: &Findings,
) -> Vec<Section> {
    let s = patient.scale;
    let girth = patient.girth;
    let cage_width = s * rng.normal(1.0, 0.05);
    let barrel = 1.0 + 0.12 * findings.severity(Kind::Emphysema);
    let cage_depth = s * rng.normal(1.0, 0.07) * barrel;
    let shoulder = rng.normal(1.0, 0.05);
    let follow = rng.between(0.25, 0.5);
    let mediastinum_width = s * rng.normal(1.0, 0.12);
    let mediastinum_shift = s * rng.normal(0.0, 3.0);
    // The great vessels give the mediastinum's borders an outline of their own.
    let outline: [[f64; 2]; 4] =
        core::array::from_fn(|_| [rng.normal(0.0, 2.6), rng.normal(0.0, 2.6)]);
    let aorta = s * rng.between(8.0, 9.5 + patient.age / 25.0);
    let arch = (ARCH + rng.normal(0.0, 5.0)) * s;
    let turned = libm::sin(patient.rotation) * 60.0 * s;
    let centre = 150.0 * s;
    (0..ROWS)
        .map(|row| {
            let y = f64::from(TOP) + row as f64 / f64::from(FINENESS);
            let nominal = y / s;
            let [width, depth] = profile(&BODY, nominal);
            let wall = ((nominal - 60.0) / 120.0).clamp(0.0, 1.0);
            let fat = 1.0 + (girth - 1.0) * (0.3 + 0.7 * wall);
            let wide = 1.0 + (shoulder - 1.0) * (1.0 - wall);
            let [inner, deep] = profile(&CAGE, nominal);
            let (axis, back) = spine.axis_at(y);
            let midline = libm::tan(patient.lean) * (y - centre);
            let cage_midline = midline + follow * (axis - midline);
            let bump =
                |at: f64, width: f64| libm::exp(-0.5 * libm::pow((nominal - at) / width, 2.0));
            let wave = |side: usize| {
                let knots = outline.iter().zip([20.0, 60.0, 105.0, 150.0]);
                knots.map(|(by, at)| by[side] * bump(at, 22.0)).sum::<f64>()
            };
            let right = 25.0 + 5.0 * bump(75.0, 30.0) + wave(0);
            let left = 25.0 + 8.0 * bump(92.0, 22.0) + wave(1);
            let swing = patient.unfolding * bump(135.0, 45.0);
            let right = right + 7.0 * patient.unfolding * bump(80.0, 28.0);
            Section {
                body: Pillar {
                    axis: [midline as f32, 0.0],
                    semi: [(width * s * fat * wide) as f32, (depth * s * fat) as f32],
                },
                cage: Pillar {
                    axis: [cage_midline as f32, 0.0],
                    semi: [(inner * cage_width) as f32, (deep * cage_depth) as f32],
                },
                mediastinum: [(0.68, 0.97), (1.28, 0.5)].map(|(wide, thick)| Pillar {
                    axis: [
                        (cage_midline
                            + mediastinum_shift
                            + 0.4 * turned
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
                    semi: [if y > arch { aorta as f32 } else { 0.0 }; 2],
                },
            }
        })
        .collect()
}

/// Breasts, given the midline and the half-depth of the torso by height.
fn breasts(
    rng: &mut Variates,
    patient: &Patient,
    at: impl Fn(f64) -> (f64, f64),
) -> Vec<Ellipsoid> {
    if patient.sex != Sex::Female || patient.age <= 12.0 {
        return Vec::new();
    }
    let s = patient.scale;
    let size = rng.between(0.55, 1.3) * s * (0.5 + 0.5 * patient.girth);
    let height = rng.between(170.0, 225.0) * s;
    [-1.0, 1.0]
        .map(|side| {
            let height = height + rng.normal(0.0, 4.0) * s;
            let (middle, front) = at(height);
            Ellipsoid::upright(
                [middle + side * 78.0 * s, height, front - 20.0 * s],
                [70.0 * size, 58.0 * size, 34.0 * size],
            )
        })
        .to_vec()
}

/// Gas in the stomach, below the left dome, and in the bowel.
fn gas(rng: &mut Variates, s: f64, midline: f64, left_dome: f64) -> Vec<Ellipsoid> {
    let mut gas = Vec::new();
    if rng.chance(0.6) {
        let (width, height) = (rng.between(18.0, 42.0) * s, rng.between(10.0, 22.0) * s);
        let x = midline + rng.between(48.0, 80.0) * s;
        gas.push(Ellipsoid::upright(
            [x, left_dome + height + 9.0 * s, 12.0 * s],
            [width, height, 22.0 * s],
        ));
    }
    for _ in 0..(rng.unit() * 9.0) as usize {
        let y = rng.between(300.0, 430.0) * s;
        gas.push(Ellipsoid::turned(
            [rng.normal(0.0, 68.0) * s, y, 30.0 * s],
            [
                rng.between(7.0, 24.0) * s,
                rng.between(6.0, 14.0) * s,
                14.0 * s,
            ],
            rng.between(-1.0, 1.0),
        ));
    }
    gas
}
