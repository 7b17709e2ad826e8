//! The pelvis, on films that reach down to it: sacrum, wings and joints of the hips.

use crate::bones::{ROUND, Skeleton, Station};
use crate::patient::Patient;
use crate::rng::Variates;
use crate::spine::Spine;

/// The edge of an adult's left hip bone, in millimetres to the left of and below the middle of L5's
/// inferior endplate: from the sacrum along the crest to the front.
const CREST: [[f64; 2]; 9] = [
    [38.0, 14.0],
    [52.0, -22.0],
    [72.0, -48.0],
    [98.0, -58.0],
    [122.0, -44.0],
    [137.0, -14.0],
    [136.0, 18.0],
    [124.0, 42.0],
    [112.0, 68.0],
];

/// The inner edge, from the sacrum to the pubis.
const BRIM: [[f64; 2]; 6] = [
    [40.0, 24.0],
    [56.0, 52.0],
    [66.0, 84.0],
    [58.0, 112.0],
    [34.0, 130.0],
    [6.0, 136.0],
];

/// The middle of the hip's joint, and the radius of the femur's head.
const HIP: [f64; 2] = [92.0, 108.0];
const HEAD: f64 = 25.0;

impl Skeleton<'_> {
    pub(crate) fn pelvis(&mut self, rng: &mut Variates, patient: &Patient, spine: &Spine) {
        let s = patient.scale;
        let vertebrae = spine.vertebrae();
        let last = &vertebrae[vertebrae.len() - 1];
        let middle = [
            last.centre[0],
            last.centre[1] + last.height / 2.0,
            last.centre[2],
        ];
        let wide = s * rng.normal(1.0, 0.05);
        let high = s * rng.normal(1.0, 0.06);
        // A pelvis stands level, or leans a little with the spine.
        let lean = libm::tan(0.4 * last.inferior + rng.normal(0.0, 0.02));
        let at = |side: f64, [x, y]: [f64; 2], depth: f64| {
            let x = side * x * wide;
            [
                middle[0] + x,
                middle[1] + y * high - x * lean,
                middle[2] + depth * s,
            ]
        };
        let chain = |points: &mut dyn Iterator<Item = [f64; 3]>, radius: f64| -> Vec<Station> {
            let radius = radius * s;
            points.map(|at| Station { at, radius }).collect()
        };
        let sacrum: Vec<Station> = [(4.0, 40.0), (30.0, 36.0), (62.0, 26.0), (92.0, 13.0)]
            .into_iter()
            .map(|(y, radius)| Station {
                at: at(1.0, [0.0, y], -0.4 * y),
                radius: radius * s,
            })
            .collect();
        self.tube(&sacrum, ROUND, 0.12, 0.35, 0.45);
        for side in [-1.0, 1.0] {
            let crest = CREST.iter().map(|&place| at(side, place, 10.0));
            self.tube(&chain(&mut crest.clone(), 7.0), ROUND, 0.3, 0.4, 0.9);
            let brim = BRIM.iter().map(|&place| at(side, place, 20.0));
            self.tube(&chain(&mut brim.clone(), 8.0), ROUND, 0.3, 0.35, 0.8);
            // The wing between them, thinnest in its middle.
            let root = at(side, [72.0, 62.0], 15.0);
            for end in crest {
                let rod = (0..=4).map(|step| {
                    let share = f64::from(step) / 4.0;
                    core::array::from_fn(|k| root[k] + share * (end[k] - root[k]))
                });
                self.tube(&chain(&mut { rod }, 15.0), ROUND, 1.0, 1.0, 0.05);
            }
            let hip = at(side, HIP, 10.0);
            let shaft = at(side, [HIP[0] + 42.0, HIP[1] + 60.0], 0.0);
            // A round head needs two stations, nearly at one place.
            let femur = [(hip, HEAD), (hip, HEAD), (shaft, 18.0)];
            let femur: Vec<Station> = femur
                .into_iter()
                .enumerate()
                .map(|(index, (place, radius))| Station {
                    at: [place[0], place[1] + index as f64 * 0.01, place[2]],
                    radius: radius * s,
                })
                .collect();
            self.tube(&femur, ROUND, 0.16, 0.35, 0.9);
        }
    }
}
