//! Marks of diseases that are denser than lung and have an edge: nodules, plates, lines, a hernia.

use crate::findings::{Disease, Finding, Findings};
use crate::organs::Organs;
use crate::patient::Patient;
use crate::pen::Pen;
use crate::rng::Variates;

/// Attenuation of soft tissue beyond that of the lung that it displaces, in 1/mm.
const MORE_THAN_LUNG: f64 = 0.0145;

/// Adds the marks of all diseases that leave one.
pub(crate) fn add_marks(
    findings: &Findings,
    pen: &mut Pen<'_>,
    rng: &mut Variates,
    patient: &Patient,
    organs: &Organs,
) {
    let mut marks = Marks {
        pen,
        rng,
        organs,
        s: patient.scale,
    };
    for finding in findings.iter() {
        match finding.disease {
            Disease::Nodule => marks.nodules(finding),
            Disease::Mass => marks.lumps(finding, 1, [16.0, 20.0 + 18.0 * finding.severity]),
            Disease::Atelectasis => marks.plates(finding),
            Disease::Fibrosis => marks.strands(finding),
            Disease::Edema => marks.kerley_lines(finding),
            Disease::Pneumothorax => marks.edge_of_collapsed_lung(finding),
            Disease::Hernia => marks.hernia(finding),
            _ => {}
        }
    }
}

/// Draws marks in one patient's lungs.
struct Marks<'a, 'b> {
    pen: &'a mut Pen<'b>,
    rng: &'a mut Variates,
    organs: &'a Organs,
    /// The patient's scale.
    s: f64,
}

impl Marks<'_, '_> {
    /// One to three nodules.
    fn nodules(&mut self, finding: &Finding) {
        let count = 1 + (self.rng.unit() * 2.5) as usize;
        self.lumps(finding, count, [4.0, 5.0 + 8.0 * finding.severity]);
    }

    /// Round lumps of radii between two, in millimetres of an adult.
    fn lumps(&mut self, finding: &Finding, count: usize, [low, high]: [f64; 2]) {
        for _ in 0..count {
            let centre = self.place(finding.side, 40.0, 205.0);
            let radius = self.rng.between(low, high) * self.s;
            self.lump(centre, radius);
        }
    }

    /// A lump of soft tissue: balls that overlap.
    fn lump(&mut self, [x, y]: [f64; 2], radius: f64) {
        const BALLS: usize = 6;
        let rng = &mut *self.rng;
        for _ in 0..BALLS {
            let off = 0.22 * radius;
            let centre = [x + rng.normal(0.0, off), y + rng.normal(0.0, off), 0.0];
            let strength = 1.3 * radius * MORE_THAN_LUNG / BALLS as f64;
            self.pen
                .ball(centre, radius * rng.between(0.65, 1.0), strength);
        }
    }

    /// Plates of collapsed lung above the diaphragm.
    fn plates(&mut self, finding: &Finding) {
        for _ in 0..1 + (self.rng.unit() * 3.0) as usize {
            let [x, y] = self.place(finding.side, 150.0, 205.0);
            let (rng, s) = (&mut *self.rng, self.s);
            let reach = rng.between(16.0, 38.0) * s;
            let slope = rng.normal(0.0, 0.25);
            let end = |by: f64| [x + by * reach, y + by * slope * reach, 0.0];
            let line = [end(-1.0), end(0.0), end(1.0)];
            let half = rng.between(0.8, 2.4) * s;
            self.pen.line(&line, half, rng.between(0.10, 0.22));
        }
    }

    /// Short bent strands in both lungs.
    fn strands(&mut self, finding: &Finding) {
        for _ in 0..(40.0 + 90.0 * finding.severity) as usize {
            let side = if self.rng.chance(0.5) { -1.0 } else { 1.0 };
            let [x, y] = self.place(side, 110.0, 215.0);
            let (rng, s) = (&mut *self.rng, self.s);
            let turn = rng.between(0.0, core::f64::consts::TAU);
            let reach = rng.between(3.0, 9.0) * s;
            let (dx, dy) = (reach * libm::cos(turn), reach * libm::sin(turn));
            let bend = rng.normal(0.0, 0.35);
            let line = [
                [x - dx, y - dy, 0.0],
                [x - bend * dy, y + bend * dx, 0.0],
                [x + dx, y + dy, 0.0],
            ];
            self.pen.line(&line, 0.6 * s, rng.between(0.04, 0.09));
        }
    }

    /// Kerley's B lines: short and level, at the lateral edge of the bases.
    fn kerley_lines(&mut self, finding: &Finding) {
        let (rng, s) = (&mut *self.rng, self.s);
        for k in 0..(12.0 * finding.severity) as usize {
            let y = (215.0 - 7.0 * k as f64) * s;
            let section = self.organs.section(y as f32);
            for side in [-1.0, 1.0] {
                let wall = f64::from(section.midline() + side as f32 * section.cage.semi[0]);
                let from = wall - side * 4.0 * s;
                let to = from - side * rng.between(8.0, 16.0) * s;
                let inner = [to, y + rng.normal(0.0, 1.0), 0.0];
                self.pen.line(&[[from, y, 0.0], inner], 0.5 * s, 0.05);
            }
        }
    }

    /// The edge of a lung that air has parted from the wall.
    fn edge_of_collapsed_lung(&mut self, finding: &Finding) {
        let (organs, s) = (self.organs, self.s);
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
        self.pen.line(&line, 0.6 * s, 0.09);
    }

    /// A stomach behind the heart, with gas in its upper part.
    fn hernia(&mut self, finding: &Finding) {
        let s = self.s;
        let [_, heart] = self.organs.heart_at();
        let midline = f64::from(self.organs.section(heart as f32).midline());
        let x = midline + self.rng.normal(6.0, 8.0) * s;
        let centre = [x, heart + 22.0 * s, 0.0];
        let radius = (18.0 + 16.0 * finding.severity) * s;
        self.pen.ball(centre, radius, 0.016 * radius);
        let gas = [x, centre[1] - 0.3 * radius, 0.0];
        self.pen.ball(gas, 0.6 * radius, -0.018 * radius);
    }

    /// Draws a place in the lung of one side, at a height between two of an adult.
    fn place(&mut self, side: f64, top: f64, bottom: f64) -> [f64; 2] {
        self.organs
            .place_in_lung(self.rng, self.s, side, top, bottom)
    }
}
