//! The soft tissues: what a ray crosses of torso, arms, lungs, heart, great vessels and gas.

use super::camera::Ray;
use super::chord::{Ellipsoid, NOWHERE, Spans, cylinder, torso, union};
use super::dice::Dice;
use super::patient::{Patient, Sex};
use super::spine::Spine;

/// Heights tabulated, in millimetres of y.
const TOP: f32 = -200.0;
const ROWS: usize = 900;

/// The body's cross-section at one height; all in millimetres.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Section {
    /// Midline of the torso.
    pub(crate) midline: f32,
    /// Half-width and half-depth of the torso.
    body: [f32; 2],
    /// Midline of the rib cage, which follows the spine in part.
    pub(crate) cage_midline: f32,
    /// Half-width and half-depth of the inside of the rib cage; zero where there is no lung.
    pub(crate) cage: [f32; 2],
    /// Centre and half-width of the mediastinum.
    mediastinum: [f32; 2],
    /// The spine's axis (x, z) and the half-width of the tissue about it.
    spine: [f32; 3],
    /// Centre of the descending aorta; its radius is zero above the arch.
    aorta: [f32; 2],
}

impl Section {
    fn mix(a: &Self, b: &Self, t: f32) -> Self {
        let one = |a: f32, b: f32| a + t * (b - a);
        let two = |a: [f32; 2], b: [f32; 2]| [one(a[0], b[0]), one(a[1], b[1])];
        Self {
            midline: one(a.midline, b.midline),
            body: two(a.body, b.body),
            cage_midline: one(a.cage_midline, b.cage_midline),
            cage: two(a.cage, b.cage),
            mediastinum: two(a.mediastinum, b.mediastinum),
            spine: [
                one(a.spine[0], b.spine[0]),
                one(a.spine[1], b.spine[1]),
                one(a.spine[2], b.spine[2]),
            ],
            aorta: two(a.aorta, b.aorta),
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
    pub(crate) arms: [Limb; 2],
    breasts: Vec<Ellipsoid>,
    heart: [Ellipsoid; 2],
    knob: Ellipsoid,
    domes: [Ellipsoid; 2],
    /// Height of the lowest lung.
    base: f32,
    gas: Vec<Ellipsoid>,
    trachea: f32,
    aorta: f32,
    arch: f32,
    carina: f32,
    lung_density: f32,
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
    (-12.0, [30.0, 12.0]),
    (0.0, [57.0, 26.0]),
    (15.0, [76.0, 39.0]),
    (40.0, [97.0, 55.0]),
    (70.0, [111.0, 68.0]),
    (110.0, [122.0, 79.0]),
    (150.0, [128.0, 85.0]),
    (190.0, [132.0, 88.0]),
    (230.0, [133.0, 88.0]),
    (270.0, [132.0, 85.0]),
    (310.0, [128.0, 81.0]),
    (400.0, [120.0, 77.0]),
];

impl Organs {
    pub(crate) fn draw(dice: &mut Dice, patient: &Patient, spine: &Spine, lean: f64) -> Self {
        let s = patient.scale;
        let girth = patient.girth;
        let cage_width = s * dice.normal(1.0, 0.05);
        let cage_depth = s * dice.normal(1.0, 0.07);
        let shoulder = dice.normal(1.0, 0.04);
        let follow = dice.between(0.25, 0.5);
        let mediastinum_width = s * dice.normal(1.0, 0.12);
        let mediastinum_shift = s * dice.normal(0.0, 3.0);
        let aorta = s * dice.between(8.0, 9.5 + patient.age / 25.0);
        let arch = (88.0 + dice.normal(0.0, 5.0)) * s;
        let turned = libm::sin(patient.rotation) * 60.0 * s;
        let centre = 150.0 * s;
        let sections: Vec<Section> = (0..ROWS)
            .map(|row| {
                let y = f64::from(TOP) + row as f64;
                let nominal = y / s;
                let [width, depth] = profile(&BODY, nominal);
                let wall = ((nominal - 60.0) / 120.0).clamp(0.0, 1.0);
                let fat = 1.0 + (girth - 1.0) * (0.3 + 0.7 * wall);
                let wide = 1.0 + (shoulder - 1.0) * (1.0 - wall);
                let [inner, deep] = profile(&CAGE, nominal);
                let (axis, back) = spine.axis_at(y);
                let midline = libm::tan(lean) * (y - centre);
                let cage_midline = midline + follow * (axis - midline);
                let bulge = libm::exp(-0.5 * libm::pow((nominal - 80.0) / 28.0, 2.0));
                let half = (27.0 + 6.0 * bulge) * mediastinum_width;
                Section {
                    midline: midline as f32,
                    body: [(width * s * fat * wide) as f32, (depth * s * fat) as f32],
                    cage_midline: cage_midline as f32,
                    cage: [(inner * cage_width) as f32, (deep * cage_depth) as f32],
                    mediastinum: [
                        (cage_midline + mediastinum_shift + 0.4 * turned) as f32,
                        half as f32,
                    ],
                    spine: [
                        axis as f32,
                        back as f32,
                        (17.0 * s + 0.015 * y.max(0.0)) as f32,
                    ],
                    aorta: [
                        (midline + 0.6 * (axis - midline) + 19.0 * s) as f32,
                        (back + 14.0 * s) as f32,
                    ],
                }
            })
            .collect();
        let at = |y: f64| {
            let row = (y - f64::from(TOP)).clamp(0.0, (ROWS - 1) as f64) as usize;
            let section = &sections[row];
            (
                f64::from(section.cage_midline),
                section.cage.map(f64::from),
                section,
            )
        };
        let arms = [-1.0f64, 1.0].map(|side| {
            let reach = dice.between(225.0, 300.0) * s;
            Limb {
                from: [(side * 182.0 * s * shoulder) as f32, (52.0 * s) as f32],
                to: [(side * reach) as f32, (270.0 * s) as f32],
                radius: (46.0 * s * (0.6 + 0.4 * girth)) as f32,
            }
        });
        let breasts = if patient.sex == Sex::Female && patient.age > 12.0 {
            let size = dice.between(0.6, 1.25) * s * (0.5 + 0.5 * girth);
            let height = dice.between(175.0, 215.0) * s;
            let front = f64::from(at(height).2.body[1]);
            [-1.0, 1.0]
                .map(|side| {
                    Ellipsoid::upright(
                        [at(height).0 + side * 78.0 * s, height, front - 20.0 * s],
                        [70.0 * size, 58.0 * size, 34.0 * size],
                    )
                })
                .to_vec()
        } else {
            Vec::new()
        };
        let breath = dice.normal(0.0, 11.0) * s;
        let right_top = 222.0 * s + breath;
        let left_top = right_top + dice.normal(11.0, 6.0) * s;
        let drop = dice.between(62.0, 85.0) * s;
        let base = right_top.min(left_top) + drop;
        let domes = [(-1.0, right_top), (1.0, left_top)].map(|(side, top)| {
            let height = base - top;
            let (mid, [half, deep], _) = at(base - 20.0 * s);
            Ellipsoid::upright(
                [mid + side * 0.52 * half, base, 0.0],
                [0.62 * half, height, 1.15 * deep],
            )
        });
        let size = s * dice.normal(1.0, 0.08) * (1.0 + patient.age / 600.0);
        let tilt = dice.between(0.45, 0.85);
        let heart_y = right_top - dice.between(28.0, 42.0) * s;
        let (mid, _, _) = at(heart_y);
        let heart_x = mid + (20.0 + dice.normal(0.0, 4.0)) * s + turned;
        let heart = [
            Ellipsoid::turned(
                [heart_x + 8.0 * s, heart_y + 4.0 * s, 22.0 * s],
                [64.0 * size, 46.0 * size, 44.0 * size],
                tilt,
            ),
            Ellipsoid::turned(
                [heart_x - 28.0 * s, heart_y - 2.0 * s, 15.0 * s],
                [32.0 * size, 46.0 * size, 38.0 * size],
                -0.15,
            ),
        ];
        let (mid, _, _) = at(arch);
        let knob = Ellipsoid::upright(
            [mid + 24.0 * s + 0.5 * turned, arch, -8.0 * s],
            [aorta * 1.5, aorta * 1.6, 30.0 * s],
        );
        let mut gas = Vec::new();
        if dice.chance(0.6) {
            let (width, height) = (dice.between(18.0, 42.0) * s, dice.between(10.0, 22.0) * s);
            gas.push(Ellipsoid::upright(
                [
                    mid + dice.between(48.0, 80.0) * s,
                    left_top + height + 9.0 * s,
                    12.0 * s,
                ],
                [width, height, 22.0 * s],
            ));
        }
        for _ in 0..(dice.unit() * 6.0) as usize {
            let y = dice.between(300.0, 420.0) * s;
            gas.push(Ellipsoid::turned(
                [dice.normal(0.0, 62.0) * s, y, 30.0 * s],
                [
                    dice.between(9.0, 24.0) * s,
                    dice.between(7.0, 14.0) * s,
                    14.0 * s,
                ],
                dice.between(-1.0, 1.0),
            ));
        }
        Self {
            arms,
            breasts,
            heart,
            knob,
            domes,
            base: base as f32,
            gas,
            trachea: (8.0 * s * dice.normal(1.0, 0.1)) as f32,
            aorta: aorta as f32,
            arch: arch as f32,
            carina: (104.0 * s) as f32,
            lung_density: dice.between(0.22, 0.32) as f32,
            sections,
        }
    }

    /// The cross-section at height y.
    pub(crate) fn section(&self, y: f32) -> Section {
        let row = (y - TOP).clamp(0.0, (ROWS - 2) as f32);
        let i = row as usize;
        Section::mix(&self.sections[i], &self.sections[i + 1], row - i as f32)
    }

    /// Whether the ray through (x, y) sees lung that no dome of the diaphragm hides.
    pub(crate) fn in_lung(&self, x: f32, y: f32) -> bool {
        let section = self.section(y);
        let across = (x - section.cage_midline).abs();
        let below = self.domes.iter().any(|dome| {
            let dx = (x - dome.centre[0]) / dome.semi[0];
            let dy = (y - dome.centre[1]) / dome.semi[1];
            dx * dx + dy * dy < 1.0
        });
        y < self.base && !below && across < section.cage[0] * 0.93
    }

    /// Millimetres of soft tissue along the ray, lung counted by its density.
    pub(crate) fn tissue(&self, ray: &Ray) -> f32 {
        let y = ray.at[1];
        let section = self.section(y);
        let trunk = torso(ray, [section.midline, 0.0], section.body);
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
        if y < self.base && section.cage[0] > 1.0 && section.cage[1] > 1.0 {
            let cage = cylinder(ray, [section.cage_midline, 0.0], section.cage);
            let mut lung = Spans::new(cage);
            if cage.1 > cage.0 {
                let [centre, half] = section.mediastinum;
                lung.cut(cylinder(ray, [centre, 0.0], [half, section.cage[1] * 0.97]));
                let [x, z, half] = section.spine;
                lung.cut(cylinder(ray, [x, z - 8.0], [half, 34.0]));
                if y > self.arch {
                    lung.cut(cylinder(ray, section.aorta, [self.aorta, self.aorta]));
                }
                for solid in self.heart.iter().chain(&self.domes).chain([&self.knob]) {
                    lung.cut(solid.span(ray));
                }
            }
            air += lung.length() * (1.0 - self.lung_density);
        }
        if y < self.carina {
            let tube = cylinder(
                ray,
                [section.mediastinum[0], -4.0],
                [self.trachea, self.trachea],
            );
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
