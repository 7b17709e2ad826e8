//! Air that diseases displace in the lungs: patches, fluid, pleura, air beyond a collapsed lung.

use crate::camera::Camera;
use crate::findings::{Disease, Finding, Findings};
use crate::layer::{Layer, Size};
use crate::organs::Organs;
use crate::patient::Patient;
use crate::rng::Variates;

/// Returns the share of the lung's air that disease displaces, by pixel of a film of `step` times
/// coarser pixels; negative for more air. None where no disease does.
pub(crate) fn clouding(
    findings: &Findings,
    rng: &mut Variates,
    camera: &Camera,
    patient: &Patient,
    organs: &Organs,
    step: usize,
) -> Option<Layer> {
    let size = camera.size.reduced(step);
    let mut clouding = None;
    for finding in findings.iter() {
        let clouds = clouds(finding, rng, patient, organs);
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

/// Returns the places (x, y) that the pixels of a `step` times coarser film see in the plane z = 0.
fn places(camera: &Camera, size: Size, step: usize) -> impl Iterator<Item = [f32; 2]> {
    let middle = step as f64 / 2.0;
    let at = move |index: usize| (index * step) as f64 + middle;
    (0..size.height)
        .flat_map(move |row| (0..size.width).map(move |column| camera.ray(at(column), at(row)).at))
}

/// A part of the lung with less air, or more.
enum Cloud {
    /// An ellipse with a ragged edge, its greatest share, and the edge's raggedness from 0 to 1.
    Patch {
        centre: [f32; 2],
        semi: [f32; 2],
        share: f32,
        ragged: f32,
    },
    /// Fluid below a meniscus of a height in the middle and a rise at the wall.
    Fluid { side: f32, level: f32, rise: f32 },
    /// A layer along the wall, of a thickness.
    Rind { side: f32, thickness: f32, top: f32 },
    /// More air beyond the collapsed lung's edge.
    Free { side: f32, inset: f32 },
    /// All of both lungs.
    Everywhere { share: f32 },
}

/// Returns the parts of the lung in which a disease changes the amount of air.
fn clouds(finding: &Finding, rng: &mut Variates, patient: &Patient, organs: &Organs) -> Vec<Cloud> {
    let s = patient.scale;
    let (side, severity) = (finding.side, finding.severity);
    let mut patches = |count: usize, sides: &[f64], size: (f64, f64), share: f64, ragged: f64| {
        (0..count)
            .map(|i| {
                let [x, y] = organs.place_in_lung(rng, s, sides[i % sides.len()], 55.0, 200.0);
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
    match finding.disease {
        Disease::Consolidation => patches(1, &[side], (26.0, 48.0), 0.5 + 0.4 * severity, 0.5),
        Disease::Pneumonia => {
            let mut clouds = patches(1, &[side], (20.0, 40.0), 0.35 + 0.4 * severity, 0.7);
            clouds.extend(patches(2, &[side], (12.0, 26.0), 0.2 + 0.3 * severity, 0.9));
            clouds
        }
        Disease::Infiltration => {
            let sides = [side, side, -side];
            patches(3, &sides, (22.0, 44.0), 0.10 + 0.18 * severity, 1.0)
        }
        Disease::Atelectasis => patches(1, &[side], (22.0, 36.0), 0.2 + 0.3 * severity, 0.4),
        Disease::Fibrosis => patches(4, &[-1.0, 1.0], (30.0, 50.0), 0.05 + 0.1 * severity, 0.8),
        Disease::Edema => [-1.0f64, 1.0]
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
        Disease::Effusion => vec![Cloud::Fluid {
            side: side as f32,
            level: dome + ((30.0 - 85.0 * severity) * s) as f32,
            rise: ((25.0 + 30.0 * severity) * s) as f32,
        }],
        Disease::PleuralThickening => vec![Cloud::Rind {
            side: side as f32,
            thickness: ((3.0 + 8.0 * severity) * s) as f32,
            top: (rng.between(-10.0, 120.0) * s) as f32,
        }],
        Disease::Pneumothorax => vec![Cloud::Free {
            side: side as f32,
            inset: organs.collapse[usize::from(side > 0.0)],
        }],
        Disease::Emphysema => vec![Cloud::Everywhere {
            share: (-0.08 * severity) as f32,
        }],
        Disease::Cardiomegaly | Disease::Hernia | Disease::Mass | Disease::Nodule => Vec::new(),
    }
}

/// From 0 to 1 over [0, 1], without corners.
fn smooth(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

impl Cloud {
    /// Returns the share at a place; `noise` is about -1 to 1.
    fn at(&self, x: f32, y: f32, noise: f32, organs: &Organs) -> f32 {
        // Distance from the midline to one side, and the lung's half-width there.
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
