//! Ribs, clavicles, shoulder blades and upper arms, as chains of hollow tubes.

use crate::camera::Camera;
use crate::layer::{Joint, Layer, Scratch};
use crate::organs::Organs;
use crate::patient::Patient;
use crate::rng::Variates;
use crate::spine::Spine;

/// Attenuation of cortical bone beyond that of the soft tissue that it displaces, in 1/mm, at the
/// effective energy of a chest film.
pub(crate) const CORTICAL: f64 = 0.030;

/// Both ends of a tube are round.
pub(crate) const ROUND: [bool; 2] = [false; 2];

/// A point of a tube, in patient coordinates, with its radius.
pub(crate) struct Station {
    pub(crate) at: [f64; 3],
    pub(crate) radius: f64,
}

/// Draws chains of tubes of one patient's bone on one film.
pub(crate) struct Skeleton<'a> {
    pub(crate) camera: &'a Camera,
    pub(crate) bone: f64,
    pub(crate) layer: &'a mut Layer,
    pub(crate) scratch: &'a mut Scratch,
}

impl Skeleton<'_> {
    /// Adds a tube. `wall` is the cortical share of the radius, `core` the inside's attenuation
    /// relative to cortical bone, `flatness` the tube's depth relative to its breadth. Where
    /// `flush` says so the first or the last end is cut flush, as another tube goes on there.
    pub(crate) fn tube(
        &mut self,
        stations: &[Station],
        flush: [bool; 2],
        wall: f64,
        core: f64,
        flatness: f64,
    ) {
        let joints: Vec<Joint> = (0..stations.len())
            .map(|i| {
                let station = &stations[i];
                let (a, b) = (
                    stations[i.saturating_sub(1)].at,
                    stations[(i + 1).min(stations.len() - 1)].at,
                );
                let along = self.camera.seen(core::array::from_fn(|k| b[k] - a[k]));
                let seen = along[0] * along[0] + along[1] * along[1];
                let whole = seen + along[2] * along[2];
                // A tube running along the ray is crossed obliquely.
                let obliquity = libm::sqrt(whole / seen.max(whole / 5.0));
                let shadow = self.camera.shadow(station.at);
                let diameter = 2.0 * station.radius * flatness * obliquity;
                Joint {
                    at: shadow.at,
                    radius: (station.radius as f32 * shadow.scale).max(0.6),
                    strength: (diameter * CORTICAL * self.bone) as f32,
                }
            })
            .collect();
        self.layer
            .add_chain(self.scratch, &joints, flush, wall as f32, core as f32);
    }

    /// Twelve pairs of ribs, each hanging on its vertebra.
    pub(crate) fn ribs(
        &mut self,
        rng: &mut Variates,
        patient: &Patient,
        spine: &Spine,
        organs: &Organs,
    ) {
        // Angle about the cage, in degrees from the back, at which the bone ends, and how far the
        // rib has come down there in millimetres.
        const END: [f64; 12] = [
            125.0, 138.0, 146.0, 150.0, 148.0, 142.0, 132.0, 120.0, 108.0, 94.0, 78.0, 56.0,
        ];
        const DROP: [f64; 12] = [
            38.0, 62.0, 82.0, 98.0, 112.0, 124.0, 134.0, 140.0, 146.0, 158.0, 190.0, 230.0,
        ];
        let slope = rng.normal(1.0, 0.1);
        let thick = rng.normal(1.0, 0.08);
        let s = patient.scale;
        for (k, vertebra) in spine.vertebrae().iter().take(12).enumerate() {
            let tilt = (vertebra.superior + vertebra.inferior) / 2.0;
            for side in [-1.0f64, 1.0] {
                let end = END[k].to_radians() * rng.normal(1.0, 0.02);
                let drop = DROP[k] * s * slope;
                let radius = (if k == 0 { 5.8 } else { 5.6 }) * s * thick;
                let head = [
                    vertebra.centre[0] + side * vertebra.width * 0.52,
                    vertebra.centre[1] - vertebra.height * 0.45,
                    vertebra.centre[2] - vertebra.depth * 0.45,
                ];
                let begin = 0.30f64;
                let steps = 26usize;
                let stations: Vec<Station> = (0..=steps)
                    .map(|step| {
                        let t = step as f64 / steps as f64;
                        let angle = begin + t * (end - begin);
                        let reached = angle / core::f64::consts::PI;
                        let fall = drop * (1.15 * reached * reached + 0.25 * reached);
                        let rise = 5.0 * s * libm::sin((angle * 2.0).min(core::f64::consts::PI));
                        let y0 = head[1] + fall - rise;
                        let section = organs.section(y0.max(-6.0 * s) as f32);
                        let [wide, deep] = section.cage.semi.map(|v| f64::from(v) + 3.0 * s);
                        // Near the spine the rib follows its own vertebra, further out the cage.
                        let hold = 1.0 - reached;
                        let cage = f64::from(section.midline());
                        let middle = cage + hold * hold * (vertebra.centre[0] - cage);
                        let across = side * wide * libm::sin(angle);
                        let depth = -deep * libm::cos(angle);
                        let spin = 0.6 * vertebra.rotation;
                        let (sin, cos) = (libm::sin(spin), libm::cos(spin));
                        let mut at = [
                            middle + across * cos + depth * sin,
                            y0 - across * libm::tan(tilt) * 0.75 * hold,
                            depth * cos - across * sin,
                        ];
                        // The neck of the rib leads from the vertebra into the arc.
                        let neck = (t / 0.16).min(1.0);
                        for (value, start) in at.iter_mut().zip(head) {
                            *value = start + neck * (*value - start);
                        }
                        let taper = if step < 3 { 0.7 } else { 1.0 };
                        Station {
                            at,
                            radius: radius * taper,
                        }
                    })
                    .collect();
                // Front and back of one rib cross each other on the film: their shadows add.
                let turn = stations.len().min(15);
                let goes_on = turn < stations.len();
                self.tube(&stations[..turn], [false, goes_on], 0.2, 0.3, 0.75);
                if goes_on {
                    self.tube(&stations[turn - 1..], [true, false], 0.18, 0.25, 0.6);
                }
            }
        }
    }

    /// Clavicles, shoulder blades and upper arms.
    pub(crate) fn shoulders(&mut self, rng: &mut Variates, patient: &Patient, organs: &Organs) {
        let s = patient.scale;
        let lift = rng.normal(0.0, 7.0) * s;
        let spread = rng.between(0.0, 26.0) * s;
        let midline = f64::from(organs.section((50.0 * s) as f32).midline());
        let turned = libm::sin(patient.rotation) * 70.0 * s;
        for (side, arm) in [-1.0f64, 1.0].into_iter().zip(&organs.arms) {
            let tilt = rng.normal(0.0, 4.0) * s;
            let joint = [f64::from(arm.from[0]), f64::from(arm.from[1]), -10.0 * s];
            let tip = side * (joint[0].abs() - 22.0 * s);
            let inner = midline + turned + side * 13.0 * s;
            let collar: Vec<Station> = (0..=14)
                .map(|i| {
                    let t = f64::from(i) / 14.0;
                    let bow = libm::sin(core::f64::consts::TAU * t);
                    Station {
                        at: [
                            inner + t * (tip - inner),
                            (48.0 - 34.0 * t - 4.0 * bow) * s + lift + tilt * t,
                            (55.0 - 60.0 * t + 12.0 * bow) * s,
                        ],
                        radius: (6.0 + 2.2 * (2.0 * t - 1.0) * (2.0 * t - 1.0)) * s,
                    }
                })
                .collect();
            self.tube(&collar, ROUND, 0.26, 0.2, 0.85);

            let near = side * (112.0 * s + spread);
            let blade = [
                [near, 62.0 * s, -85.0 * s],
                [near + side * 4.0 * s, 185.0 * s, -88.0 * s],
                [joint[0] - side * 22.0 * s, 72.0 * s, -50.0 * s],
                [joint[0] - side * 2.0 * s, 24.0 * s, -40.0 * s],
            ];
            let rod = |from: [f64; 3], to: [f64; 3], a: f64, b: f64| -> Vec<Station> {
                (0..=6)
                    .map(|i| {
                        let t = f64::from(i) / 6.0;
                        Station {
                            at: core::array::from_fn(|k| from[k] + t * (to[k] - from[k])),
                            radius: (a + t * (b - a)) * s,
                        }
                    })
                    .collect()
            };
            self.tube(&rod(blade[1], blade[2], 2.2, 4.6), ROUND, 0.5, 0.3, 0.9);
            self.tube(&rod(blade[0], blade[1], 1.1, 1.6), ROUND, 0.7, 0.4, 1.0);
            self.tube(&rod(blade[0], blade[3], 2.4, 4.5), ROUND, 0.4, 0.25, 0.7);
            // The thin plate between the borders.
            for i in 0..8 {
                let t = (f64::from(i) + 0.5) / 8.0;
                let from = core::array::from_fn(|k| blade[0][k] + t * (blade[1][k] - blade[0][k]));
                let to = core::array::from_fn(|k| blade[2][k] + t * (blade[1][k] - blade[2][k]));
                self.tube(&rod(from, to, 9.0, 9.0), ROUND, 1.0, 1.0, 0.06);
            }
            let elbow = [f64::from(arm.to[0]), f64::from(arm.to[1]), -5.0 * s];
            let head = [joint[0] + side * 6.0 * s, joint[1] + 2.0 * s, -12.0 * s];
            let humerus: Vec<Station> = [
                (0.0, 20.0),
                (0.07, 18.5),
                (0.16, 13.0),
                (0.3, 10.8),
                (1.0, 10.0),
            ]
            .into_iter()
            .map(|(t, radius)| Station {
                at: core::array::from_fn(|k| head[k] + t * (elbow[k] - head[k])),
                radius: radius * s,
            })
            .collect();
            self.tube(&humerus, ROUND, 0.22, 0.3, 0.8);
        }
    }

    /// The breastbone: a faint plate in front of the spine.
    pub(crate) fn sternum(&mut self, patient: &Patient, organs: &Organs) {
        let s = patient.scale;
        let midline = f64::from(organs.section((80.0 * s) as f32).midline());
        let x = midline + libm::sin(patient.rotation) * 80.0 * s;
        let stations: Vec<Station> = [
            (50.0, 24.0),
            (70.0, 21.0),
            (95.0, 15.0),
            (140.0, 17.0),
            (190.0, 15.0),
        ]
        .into_iter()
        .map(|(y, radius)| Station {
            at: [x, y * s, 80.0 * s],
            radius: radius * s,
        })
        .collect();
        self.tube(&stations, ROUND, 0.06, 0.12, 0.3);
    }
}
