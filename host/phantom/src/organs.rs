//! The soft tissues: torso, arms, lungs, heart, great vessels and gas, and the length of a ray in
//! them.

use crate::camera::Ray;
use crate::chord::{Ellipsoid, NOWHERE, Pillar, Spans, torso, union};
use crate::findings::{Disease, Findings};
use crate::patient::{Patient, Sex};
use crate::rng::Variates;
use crate::sections::{ARCH, Section, Sections, shift_by_rotation};
use crate::spine::Spine;

/// A limb: a capsule in the coronal plane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limb {
    pub(crate) from: [f32; 2],
    pub(crate) to: [f32; 2],
    pub(crate) radius: f32,
}

impl Limb {
    /// Returns half the limb's depth from front to back at (x, y).
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
    sections: Sections,
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

impl Organs {
    /// Draws a patient's organs.
    pub(crate) fn draw(
        rng: &mut Variates,
        patient: &Patient,
        spine: &Spine,
        findings: &Findings,
    ) -> Self {
        let s = patient.scale;
        let emphysema = findings.severity(Disease::Emphysema);
        let sections = Sections::draw(rng, patient, spine, findings);
        let arms = arms(rng, patient, &sections).to_vec();
        let breasts = breasts(rng, patient, &sections);
        let diaphragm = Diaphragm::draw(rng, patient, emphysema);
        let heart = heart(rng, patient, findings, &sections, diaphragm.tops[0]);
        let trachea = 8.0 * s * rng.normal(1.0, 0.1);
        let middle = f64::from(sections.at((ARCH * s + 30.0 * s) as f32).midline());
        Self {
            arms,
            breasts,
            heart,
            knob: aortic_knob(patient, &sections),
            domes: diaphragm.domes(s, findings, &sections),
            base: diaphragm.base as f32,
            gas: gas(rng, s, middle, diaphragm.tops[1]),
            trachea: Pillar {
                axis: [sections.at((30.0 * s) as f32).mediastinum[0].axis[0], -4.0],
                semi: [trachea as f32; 2],
            },
            carina: (104.0 * s) as f32,
            lung_density: (rng.between(0.22, 0.32) * (1.0 - 0.35 * emphysema)) as f32,
            collapse: [-1.0, 1.0].map(|side| {
                let severity = findings.on(Disease::Pneumothorax, side);
                (severity * 38.0 * s) as f32
            }),
            sections,
        }
    }

    /// Returns the body as it stands before the detector for a lateral film.
    pub(crate) fn sideways(mut self) -> Self {
        self.sections = self.sections.sideways();
        let solids = self.breasts.iter_mut().chain(&mut self.heart);
        for solid in solids.chain(&mut self.domes).chain(&mut self.gas) {
            *solid = solid.sideways();
        }
        self.knob = self.knob.sideways();
        self.trachea = self.trachea.sideways();
        self.arms.clear();
        self
    }

    /// Returns the cross-section at the height y.
    pub(crate) fn section(&self, y: f32) -> &Section {
        self.sections.at(y)
    }

    /// Draws a place (x, y) in the lung of one side, at a height between two of an adult.
    pub(crate) fn place_in_lung(
        &self,
        rng: &mut Variates,
        s: f64,
        side: f64,
        top: f64,
        bottom: f64,
    ) -> [f64; 2] {
        let y = rng.between(top, bottom) * s;
        let section = self.section(y as f32);
        let half = f64::from(section.cage.semi[0]);
        let x = f64::from(section.midline()) + side * rng.between(0.35, 0.85) * half;
        [x, y]
    }

    /// Returns the height of the diaphragm's dome on a side, -1 for the right, 1 for the left.
    pub(crate) fn dome(&self, side: f64) -> f32 {
        let dome = &self.domes[usize::from(side > 0.0)];
        dome.centre[1] - dome.semi[1]
    }

    /// Returns the centre of the heart's left ventricle on the film: x and y.
    pub(crate) fn heart_at(&self) -> [f64; 2] {
        [self.heart[0].centre[0], self.heart[0].centre[1]].map(f64::from)
    }

    /// Returns true if the ray through (x, y) sees lung that no dome of the diaphragm hides.
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

    /// Returns the millimetres of soft tissue along the ray, lung counted by its density. `clouding` is the
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

/// The domes of the diaphragm, as heights in millimetres of y.
struct Diaphragm {
    /// Tops of the right and the left dome.
    tops: [f64; 2],
    /// Height of the lowest lung.
    base: f64,
}

impl Diaphragm {
    /// Draws the heights; a lung full of air presses the domes down and flat.
    fn draw(rng: &mut Variates, patient: &Patient, emphysema: f64) -> Self {
        let s = patient.scale;
        let deep = patient.breath + 16.0 * emphysema;
        let right = (222.0 + deep) * s;
        let left = right + rng.normal(11.0, 6.0) * s;
        let flat = 1.0 - 0.45 * emphysema;
        let drop = rng.between(62.0, 85.0) * s * flat;
        Self {
            tops: [right, left],
            base: right.min(left) + drop,
        }
    }

    /// Returns the right and the left dome.
    fn domes(&self, s: f64, findings: &Findings, sections: &Sections) -> [Ellipsoid; 2] {
        let base = self.base;
        [(-1.0, self.tops[0]), (1.0, self.tops[1])].map(|(side, top)| {
            // A lung that has lost volume draws the diaphragm up.
            let lost = findings.on(Disease::Atelectasis, side) * 32.0 * s;
            let height = base - top + lost;
            let section = sections.at((base - 20.0 * s) as f32);
            let middle = f64::from(section.midline());
            let [half, deep] = section.cage.semi.map(f64::from);
            Ellipsoid::upright(
                [middle + side * 0.52 * half, base, 0.0],
                [0.62 * half, height, 1.15 * deep],
            )
        })
    }
}

/// Draws both arms, hanging beside the trunk.
fn arms(rng: &mut Variates, patient: &Patient, sections: &Sections) -> [Limb; 2] {
    let s = patient.scale;
    let shoulder = f64::from(sections.at((50.0 * s) as f32).body.semi[0]) / (184.0 * s);
    let spread = rng.between(218.0, 330.0);
    [-1.0f64, 1.0].map(|side| Limb {
        from: [
            (side * 176.0 * s * shoulder) as f32,
            ((52.0 + rng.normal(0.0, 6.0)) * s) as f32,
        ],
        to: [
            (side * (spread + rng.normal(0.0, 12.0)) * s) as f32,
            (270.0 * s) as f32,
        ],
        radius: (43.0 * s * (0.6 + 0.4 * patient.girth)) as f32,
    })
}

/// Draws the left ventricle, the right atrium and the trunk of the pulmonary artery, above the
/// right dome's top.
fn heart(
    rng: &mut Variates,
    patient: &Patient,
    findings: &Findings,
    sections: &Sections,
    right_top: f64,
) -> [Ellipsoid; 3] {
    let s = patient.scale;
    let large = 1.0 + 0.38 * findings.severity(Disease::Cardiomegaly)
        - 0.16 * findings.severity(Disease::Emphysema);
    let size = s * rng.normal(1.0, 0.07) * (1.0 + patient.age / 700.0) * large;
    let tilt = rng.between(0.45, 0.85);
    let y = right_top - rng.between(28.0, 42.0) * s;
    let middle = f64::from(sections.at(y as f32).midline());
    let x = middle + (20.0 + rng.normal(0.0, 4.0)) * s + shift_by_rotation(patient);
    [
        Ellipsoid::turned(
            [x + 7.0 * s, y + 2.0 * s, 22.0 * s],
            [66.0 * size, 42.0 * size, 42.0 * size],
            tilt,
        ),
        Ellipsoid::turned(
            [x - 25.0 * s, y - 4.0 * s, 15.0 * s],
            [27.0 * size, 50.0 * size, 36.0 * size],
            -0.12,
        ),
        // The trunk of the pulmonary artery fills the waist below the aortic arch.
        Ellipsoid::turned(
            [x + 10.0 * s, y - 42.0 * s, 25.0 * s],
            [22.0 * size, 26.0 * size, 20.0 * s],
            0.4,
        ),
    ]
}

/// Returns the aortic arch, seen end-on.
fn aortic_knob(patient: &Patient, sections: &Sections) -> Ellipsoid {
    let s = patient.scale;
    let arch = ARCH * s;
    let section = sections.at((arch + 30.0 * s) as f32);
    let middle = f64::from(section.midline());
    let aorta = f64::from(section.aorta.semi[0]);
    let swing = 1.0 + 0.4 * patient.unfolding;
    Ellipsoid::upright(
        [
            middle + (22.0 + 6.0 * patient.unfolding) * s + 0.5 * shift_by_rotation(patient),
            arch,
            -8.0 * s,
        ],
        [aorta * 1.4 * swing, aorta * 1.5 * swing, 30.0 * s],
    )
}

/// Draws the breasts of grown women, on the torso's front.
fn breasts(rng: &mut Variates, patient: &Patient, sections: &Sections) -> Vec<Ellipsoid> {
    if patient.sex != Sex::Female || patient.age <= 12.0 {
        return Vec::new();
    }
    let s = patient.scale;
    let size = rng.between(0.55, 1.3) * s * (0.5 + 0.5 * patient.girth);
    let height = rng.between(170.0, 225.0) * s;
    [-1.0, 1.0]
        .map(|side| {
            let height = height + rng.normal(0.0, 4.0) * s;
            let section = sections.at(height as f32);
            let middle = f64::from(section.midline());
            let front = f64::from(section.body.semi[1]);
            Ellipsoid::upright(
                [middle + side * 78.0 * s, height, front - 20.0 * s],
                [70.0 * size, 58.0 * size, 34.0 * size],
            )
        })
        .to_vec()
}

/// Draws gas in the stomach, below the left dome, and in the bowel.
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
