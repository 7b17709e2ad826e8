//! Diseases of heart, lung and pleura, named as in ChestX-ray14 (Wang et al., CVPR 2017), drawn
//! alike for both classes.

use crate::camera::Camera;
use crate::layer::{Layer, Scratch, Size};
use crate::organs::Organs;
use crate::patient::Patient;
use crate::pen::Pen;
use crate::rng::Variates;

/// What a film may show besides the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Atelectasis,
    Cardiomegaly,
    Consolidation,
    Edema,
    Effusion,
    Emphysema,
    Fibrosis,
    Hernia,
    Infiltration,
    Mass,
    Nodule,
    PleuralThickening,
    Pneumonia,
    Pneumothorax,
}

impl Kind {
    const ALL: [Self; 14] = [
        Self::Atelectasis,
        Self::Cardiomegaly,
        Self::Consolidation,
        Self::Edema,
        Self::Effusion,
        Self::Emphysema,
        Self::Fibrosis,
        Self::Hernia,
        Self::Infiltration,
        Self::Mass,
        Self::Nodule,
        Self::PleuralThickening,
        Self::Pneumonia,
        Self::Pneumothorax,
    ];

    /// The name in ChestX-ray14.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Atelectasis => "Atelectasis",
            Self::Cardiomegaly => "Cardiomegaly",
            Self::Consolidation => "Consolidation",
            Self::Edema => "Edema",
            Self::Effusion => "Effusion",
            Self::Emphysema => "Emphysema",
            Self::Fibrosis => "Fibrosis",
            Self::Hernia => "Hernia",
            Self::Infiltration => "Infiltration",
            Self::Mass => "Mass",
            Self::Nodule => "Nodule",
            Self::PleuralThickening => "Pleural_Thickening",
            Self::Pneumonia => "Pneumonia",
            Self::Pneumothorax => "Pneumothorax",
        }
    }
}

/// One disease of one patient.
#[derive(Debug, Clone, Copy)]
struct Finding {
    kind: Kind,
    /// -1 on the patient's right, 1 on the left.
    side: f64,
    /// 0 for hardly to be seen, 1 for severe.
    severity: f64,
}

/// The diseases of one patient.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn draw(rng: &mut Variates, patient: &Patient) -> Self {
        let old = ((patient.age - 30.0) / 50.0).clamp(0.0, 1.0);
        let mut findings = Vec::new();
        if rng.chance(0.25 + 0.3 * old) {
            let mut kinds = Kind::ALL;
            rng.shuffle(&mut kinds);
            let count = 1 + usize::from(rng.chance(0.35)) + usize::from(rng.chance(0.12));
            for &kind in kinds.iter().take(count) {
                findings.push(Finding {
                    kind,
                    side: if rng.chance(0.5) { -1.0 } else { 1.0 },
                    severity: rng.between(0.25, 1.0),
                });
            }
        }
        Self(findings)
    }

    /// The names, for the manifest.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|finding| finding.kind.name()).collect()
    }

    /// How severe a disease is on either side; 0 where it is not there.
    pub(crate) fn severity(&self, kind: Kind) -> f64 {
        let found = self.0.iter().find(|finding| finding.kind == kind);
        found.map_or(0.0, |finding| finding.severity)
    }

    /// How severe a disease is on one side.
    pub(crate) fn on(&self, kind: Kind, side: f64) -> f64 {
        let there = |f: &&Finding| f.kind == kind && f.side == side;
        self.0.iter().find(there).map_or(0.0, |f| f.severity)
    }

    /// The share of the lung's air that disease displaces, by pixel of a film of `step` times
    /// coarser pixels; negative for more air. None where no disease does.
    pub(crate) fn clouding(
        &self,
        rng: &mut Variates,
        camera: &Camera,
        patient: &Patient,
        organs: &Organs,
        step: usize,
    ) -> Option<Layer> {
        let size = camera.size.reduced(step);
        let mut clouding = None;
        for finding in &self.0 {
            let clouds = finding.clouds(rng, patient, organs);
            if clouds.is_empty() {
                continue;
            }
            let clouding = clouding.get_or_insert_with(|| Layer::new(size));
            let mut texture = Layer::new(size);
            let millimetre = 1.0 / (camera.pitch * step as f64) as f32;
            for (cell, amplitude) in [(26.0, 0.6), (11.0, 0.28), (5.0, 0.12)] {
                texture.add_mottle(rng, (cell * millimetre).max(1.5), amplitude);
            }
            let (at, texture) = (places(camera, size, step), texture.values);
            for ((value, [x, y]), noise) in clouding.values.iter_mut().zip(at).zip(texture) {
                for cloud in &clouds {
                    *value += cloud.at(x, y, noise, organs);
                }
            }
        }
        clouding
    }

    /// Adds what is denser than lung and has an edge: nodules, plates, lines.
    pub(crate) fn add_marks(
        &self,
        layer: &mut Layer,
        scratch: &mut Scratch,
        rng: &mut Variates,
        camera: &Camera,
        patient: &Patient,
        organs: &Organs,
    ) {
        let s = patient.scale;
        let mut pen = Pen {
            layer,
            scratch,
            camera,
        };
        for finding in &self.0 {
            let within = |rng: &mut Variates, top: f64, bottom: f64| {
                lung_place(rng, organs, s, finding.side, top, bottom)
            };
            match finding.kind {
                Kind::Nodule | Kind::Mass => {
                    let (count, low, high) = if finding.kind == Kind::Mass {
                        (1, 16.0, 20.0 + 18.0 * finding.severity)
                    } else {
                        (
                            1 + (rng.unit() * 2.5) as usize,
                            4.0,
                            5.0 + 8.0 * finding.severity,
                        )
                    };
                    for _ in 0..count {
                        let centre = within(rng, 40.0, 205.0);
                        let radius = rng.between(low, high) * s;
                        lump(&mut pen, rng, centre, radius);
                    }
                }
                Kind::Atelectasis => {
                    for _ in 0..1 + (rng.unit() * 3.0) as usize {
                        let [x, y] = within(rng, 150.0, 205.0);
                        let reach = rng.between(16.0, 38.0) * s;
                        let slope = rng.normal(0.0, 0.25);
                        let end = |by: f64| [x + by * reach, y + by * slope * reach, 0.0];
                        let line = [end(-1.0), end(0.0), end(1.0)];
                        pen.line(&line, rng.between(0.8, 2.4) * s, rng.between(0.10, 0.22));
                    }
                }
                Kind::Fibrosis => {
                    for _ in 0..(40.0 + 90.0 * finding.severity) as usize {
                        let side = if rng.chance(0.5) { -1.0 } else { 1.0 };
                        let [x, y] = lung_place(rng, organs, s, side, 110.0, 215.0);
                        let turn = rng.between(0.0, core::f64::consts::TAU);
                        let reach = rng.between(3.0, 9.0) * s;
                        let (dx, dy) = (reach * libm::cos(turn), reach * libm::sin(turn));
                        let bend = rng.normal(0.0, 0.35);
                        let line = [
                            [x - dx, y - dy, 0.0],
                            [x - bend * dy, y + bend * dx, 0.0],
                            [x + dx, y + dy, 0.0],
                        ];
                        pen.line(&line, 0.6 * s, rng.between(0.04, 0.09));
                    }
                }
                Kind::Edema => {
                    // Kerley's B lines: short and level, at the lateral edge of the bases.
                    for k in 0..(12.0 * finding.severity) as usize {
                        let y = (215.0 - 7.0 * k as f64) * s;
                        let section = organs.section(y as f32);
                        for side in [-1.0, 1.0] {
                            let wall =
                                f64::from(section.midline() + side as f32 * section.cage.semi[0]);
                            let from = wall - side * 4.0 * s;
                            let to = from - side * rng.between(8.0, 16.0) * s;
                            let inner = [to, y + rng.normal(0.0, 1.0), 0.0];
                            pen.line(&[[from, y, 0.0], inner], 0.5 * s, 0.05);
                        }
                    }
                }
                Kind::Pneumothorax => {
                    let inset = f64::from(organs.collapse[usize::from(finding.side > 0.0)]);
                    let line: Vec<[f64; 3]> = (0..24)
                        .map(|k| {
                            let y = (8.0 + 8.5 * f64::from(k)) * s;
                            let section = organs.section(y as f32);
                            let wall = f64::from(section.cage.semi[0]) * 0.97 - inset;
                            let x = f64::from(section.midline()) + finding.side * wall.max(6.0 * s);
                            [x, y, 0.0]
                        })
                        .collect();
                    pen.line(&line, 0.6 * s, 0.09);
                }
                Kind::Hernia => {
                    let [_, heart] = organs.heart_at();
                    let x = f64::from(organs.section(heart as f32).midline())
                        + rng.normal(6.0, 8.0) * s;
                    let centre = [x, heart + 22.0 * s, 0.0];
                    let radius = (18.0 + 16.0 * finding.severity) * s;
                    pen.ball(centre, radius, 0.016 * radius);
                    let gas = [x, centre[1] - 0.3 * radius, 0.0];
                    pen.ball(gas, 0.6 * radius, -0.018 * radius);
                }
                _ => {}
            }
        }
    }
}

/// A place in the lung of one side, at a height between two of an adult.
fn lung_place(
    rng: &mut Variates,
    organs: &Organs,
    s: f64,
    side: f64,
    top: f64,
    bottom: f64,
) -> [f64; 2] {
    let y = rng.between(top, bottom) * s;
    let section = organs.section(y as f32);
    let half = f64::from(section.cage.semi[0]);
    [
        f64::from(section.midline()) + side * rng.between(0.35, 0.85) * half,
        y,
    ]
}

/// The places (x, y) that the pixels of a `step` times coarser film see in the plane z = 0.
fn places(camera: &Camera, size: Size, step: usize) -> impl Iterator<Item = [f32; 2]> {
    let middle = step as f64 / 2.0;
    let at = move |index: usize| (index * step) as f64 + middle;
    (0..size.height)
        .flat_map(move |row| (0..size.width).map(move |column| camera.ray(at(column), at(row)).at))
}

/// A part of the lung with less air, or more.
enum Cloud {
    /// An ellipse with a ragged edge; the greatest share, and how ragged.
    Patch {
        centre: [f32; 2],
        semi: [f32; 2],
        share: f32,
        ragged: f32,
    },
    /// Fluid that stands below a meniscus; its height in the middle, and its rise at the wall.
    Fluid { side: f32, level: f32, rise: f32 },
    /// A layer along the wall, of a thickness.
    Rind { side: f32, thickness: f32, top: f32 },
    /// More air beyond the collapsed lung's edge.
    Free { side: f32, inset: f32 },
    /// All of both lungs.
    Everywhere { share: f32 },
}

impl Finding {
    /// What it displaces of the lung's air.
    fn clouds(&self, rng: &mut Variates, patient: &Patient, organs: &Organs) -> Vec<Cloud> {
        let s = patient.scale;
        let (side, severity) = (self.side, self.severity);
        let mut patches =
            |count: usize, sides: &[f64], size: (f64, f64), share: f64, ragged: f64| {
                (0..count)
                    .map(|i| {
                        let [x, y] =
                            lung_place(rng, organs, s, sides[i % sides.len()], 55.0, 200.0);
                        let reach = rng.between(size.0, size.1) * s;
                        Cloud::Patch {
                            centre: [x as f32, y as f32],
                            semi: [reach as f32, (reach * rng.between(0.7, 1.3)) as f32],
                            share: (share * rng.between(0.8, 1.2)) as f32,
                            ragged: ragged as f32,
                        }
                    })
                    .collect::<Vec<_>>()
            };
        let dome = organs.dome(side);
        match self.kind {
            Kind::Consolidation => patches(1, &[side], (26.0, 48.0), 0.5 + 0.4 * severity, 0.5),
            Kind::Pneumonia => {
                let mut clouds = patches(1, &[side], (20.0, 40.0), 0.35 + 0.4 * severity, 0.7);
                clouds.extend(patches(2, &[side], (12.0, 26.0), 0.2 + 0.3 * severity, 0.9));
                clouds
            }
            Kind::Infiltration => {
                let sides = [side, side, -side];
                patches(3, &sides, (22.0, 44.0), 0.10 + 0.18 * severity, 1.0)
            }
            Kind::Atelectasis => patches(1, &[side], (22.0, 36.0), 0.2 + 0.3 * severity, 0.4),
            Kind::Fibrosis => patches(4, &[-1.0, 1.0], (30.0, 50.0), 0.05 + 0.1 * severity, 0.8),
            Kind::Edema => [-1.0f64, 1.0]
                .map(|side| {
                    let y = 135.0 * s;
                    let middle = f64::from(organs.section(y as f32).midline());
                    Cloud::Patch {
                        centre: [(middle + side * 48.0 * s) as f32, y as f32],
                        semi: [(58.0 * s) as f32, (78.0 * s) as f32],
                        share: (0.18 + 0.34 * severity) as f32,
                        ragged: 0.45,
                    }
                })
                .into(),
            Kind::Effusion => vec![Cloud::Fluid {
                side: side as f32,
                level: dome + ((30.0 - 85.0 * severity) * s) as f32,
                rise: ((25.0 + 30.0 * severity) * s) as f32,
            }],
            Kind::PleuralThickening => vec![Cloud::Rind {
                side: side as f32,
                thickness: ((3.0 + 8.0 * severity) * s) as f32,
                top: (rng.between(-10.0, 120.0) * s) as f32,
            }],
            Kind::Pneumothorax => vec![Cloud::Free {
                side: side as f32,
                inset: organs.collapse[usize::from(side > 0.0)],
            }],
            Kind::Emphysema => vec![Cloud::Everywhere {
                share: (-0.08 * severity) as f32,
            }],
            Kind::Cardiomegaly | Kind::Hernia | Kind::Mass | Kind::Nodule => Vec::new(),
        }
    }
}

/// From 0 to 1 over [0, 1], without corners.
fn smooth(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

impl Cloud {
    /// The share at a place; `noise` is about -1 to 1.
    fn at(&self, x: f32, y: f32, noise: f32, organs: &Organs) -> f32 {
        // How far to a side of the midline, and the lung's half-width there.
        let across = |side: f32| {
            let section = organs.section(y);
            ((x - section.midline()) * side, section.cage.semi[0])
        };
        match *self {
            Self::Patch {
                centre,
                semi,
                share,
                ragged,
            } => {
                let (dx, dy) = ((x - centre[0]) / semi[0], (y - centre[1]) / semi[1]);
                let distance = dx * dx + dy * dy;
                if distance > 2.5 {
                    return 0.0;
                }
                let inside = smooth(1.25 - distance + ragged * noise);
                share * inside * (1.0 + 0.35 * ragged * noise)
            }
            Self::Fluid { side, level, rise } => {
                let (out, half) = across(side);
                if out < 0.0 || half < 1.0 {
                    return 0.0;
                }
                let t = (out / half).min(1.0);
                0.9 * smooth((y - (level - rise * t * t * t)) / 20.0)
            }
            Self::Rind {
                side,
                thickness,
                top,
            } => {
                let (out, half) = across(side);
                let depth = half - out;
                if out < 0.0 || y < top || depth < -2.0 {
                    return 0.0;
                }
                let thickness = thickness * (1.0 + 0.4 * noise);
                0.75 * smooth((thickness - depth) / (0.5 * thickness)) * smooth((y - top) / 25.0)
            }
            Self::Free { side, inset } => {
                let (out, half) = across(side);
                if out < half * 0.97 - inset {
                    return 0.0;
                }
                -0.26
            }
            Self::Everywhere { share } => share,
        }
    }
}

/// A lump of soft tissue: balls that overlap.
fn lump(pen: &mut Pen<'_>, rng: &mut Variates, [x, y]: [f64; 2], radius: f64) {
    /// What soft tissue attenuates more than the lung that it displaces, in 1/mm.
    const MORE_THAN_LUNG: f64 = 0.0145;
    const BALLS: usize = 6;
    for _ in 0..BALLS {
        let off = 0.22 * radius;
        let centre = [x + rng.normal(0.0, off), y + rng.normal(0.0, off), 0.0];
        let strength = 1.3 * radius * MORE_THAN_LUNG / BALLS as f64;
        pen.ball(centre, radius * rng.between(0.65, 1.0), strength);
    }
}
