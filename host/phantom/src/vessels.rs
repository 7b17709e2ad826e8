//! The vessels of the lungs: trees of solid tubes that thin out from the hila.

use crate::camera::Camera;
use crate::findings::{Disease, Findings};
use crate::layer::{Bounds, Joint, Layer, Scratch};
use crate::organs::Organs;
use crate::patient::Patient;
use crate::rng::Variates;

/// Attenuation of a vessel beyond that of the lung that it displaces, in 1/mm.
const VESSEL: f64 = 0.0145;

/// A vessel that is still to be drawn.
struct Branch {
    at: [f64; 2],
    heading: f64,
    radius: f64,
    depth: f64,
    order: u8,
}

/// The lungs that the vessels grow in.
pub(crate) struct Lung<'a> {
    pub(crate) camera: &'a Camera,
    pub(crate) patient: &'a Patient,
    pub(crate) organs: &'a Organs,
    pub(crate) findings: &'a Findings,
}

impl Lung<'_> {
    /// Adds the vessels of both lungs.
    pub(crate) fn add_vessels(&self, layer: &mut Layer, scratch: &mut Scratch, rng: &mut Variates) {
        let (camera, organs) = (self.camera, self.organs);
        let s = self.patient.scale;
        let y = 128.0 * s;
        let midline = f64::from(organs.section(y as f32).midline());
        // Blood that is held up widens the vessels; lung that is lost has fewer.
        let full = 1.0 + 0.3 * self.findings.severity(Disease::Edema)
            - 0.35 * self.findings.severity(Disease::Emphysema);
        let marked = full * rng.normal(1.0, 0.15);
        let strength = VESSEL * rng.between(1.2, 1.8);
        for side in [-1.0f64, 1.0] {
            let hilum = [midline + side * 34.0 * s, y - side * 4.0 * s];
            let mut open: Vec<Branch> = [-75.0f64, -42.0, -8.0, 25.0, 52.0, 78.0]
                .into_iter()
                .map(|angle| Branch {
                    at: [
                        hilum[0] + side * rng.between(-4.0, 9.0) * s,
                        hilum[1] + angle * 0.22 * s,
                    ],
                    heading: (angle + rng.normal(0.0, 8.0)).to_radians(),
                    radius: 4.3 * s * marked * rng.between(0.75, 1.1),
                    depth: rng.normal(0.0, 25.0) * s,
                    order: 0,
                })
                .collect();
            let mut tree: Option<Bounds> = None;
            while let Some(branch) = open.pop() {
                let length =
                    s * rng.between(15.0, 27.0) * if branch.order == 0 { 1.3 } else { 1.0 };
                let mut at = branch.at;
                let mut heading = branch.heading;
                let mut joints = Vec::with_capacity(4);
                let end = branch.radius * 0.8;
                for step in 0..4 {
                    let radius = branch.radius + f64::from(step) / 3.0 * (end - branch.radius);
                    let shadow = camera.shadow([at[0], at[1], branch.depth]);
                    joints.push(Joint {
                        at: shadow.at,
                        radius: (radius as f32 * shadow.scale).max(0.7),
                        strength: (2.0 * radius * strength) as f32,
                    });
                    heading += rng.normal(0.0, 0.2);
                    at[0] += side * libm::cos(heading) * length / 3.0;
                    at[1] += libm::sin(heading) * length / 3.0;
                }
                if !organs.in_lung(at[0] as f32, at[1] as f32) {
                    continue;
                }
                let traced = scratch.trace(layer.size, &joints, [false; 2]);
                tree = [tree, traced]
                    .into_iter()
                    .flatten()
                    .reduce(|a, b| a.join(&b));
                if branch.order < 8 && end > 0.3 * s {
                    let fork = rng.between(0.25, 0.65);
                    for turn in [fork, -fork * rng.between(0.5, 1.2)] {
                        open.push(Branch {
                            at,
                            heading: heading + turn,
                            radius: end * rng.between(0.66, 0.9),
                            depth: branch.depth + rng.normal(0.0, 6.0) * s,
                            order: branch.order + 1,
                        });
                    }
                }
            }
            // Where vessels leave one another their shadows must not add.
            if let Some(tree) = tree {
                layer.settle(scratch, tree, 1.0, 1.0);
            }
        }
    }
}
