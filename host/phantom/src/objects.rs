//! Things on a film that are not of the body: markers, devices, lines, jewellery, sutures, implants;
//! drawn alike for both classes.

use crate::camera::Camera;
use crate::layer::{Layer, Scratch};
use crate::patient::{Patient, Sex};
use crate::pen::{Pen, spline};
use crate::rng::Variates;
use crate::spine::Spine;
use plumbline_shared::clinical::Projection;

/// Adds objects to the layer of bone and metal.
pub(crate) fn add_objects(
    layer: &mut Layer,
    scratch: &mut Scratch,
    rng: &mut Variates,
    camera: &Camera,
    patient: &Patient,
    spine: &Spine,
    projection: Projection,
) {
    let mut pen = Pen {
        camera,
        layer,
        scratch,
    };
    let s = patient.scale;
    let old = ((patient.age - 40.0) / 40.0).clamp(0.0, 1.0);
    // Those who are X-rayed from the front mostly lie in a bed.
    let bed = if projection == Projection::Ap {
        3.0
    } else {
        1.0
    };
    if rng.chance(0.75) {
        marker(&mut pen, rng);
    }
    if rng.chance(0.05 * bed) {
        electrodes(&mut pen, rng, s);
    }
    if rng.chance(0.09 * old) {
        pacemaker(&mut pen, rng, s);
    }
    if rng.chance(0.10 * old) {
        sternotomy(&mut pen, rng, s);
    }
    if rng.chance(0.04 + 0.05 * old) {
        clips(&mut pen, rng, s);
    }
    if rng.chance(0.05) {
        necklace(&mut pen, rng, s);
    }
    if rng.chance(0.03) {
        buttons(&mut pen, rng, s);
    }
    if patient.sex == Sex::Female && patient.age > 12.0 && rng.chance(0.06) {
        underwire(&mut pen, rng, s);
    }
    if rng.chance(0.03 * bed) {
        venous_line(&mut pen, rng, s);
    }
    if rng.chance(0.015 * bed) {
        tubes(&mut pen, rng, s, spine);
    }
    if rng.chance(0.01 * bed) {
        drain(&mut pen, rng, s);
    }
    if rng.chance(0.025) {
        rods(&mut pen, rng, spine);
    }
    if rng.chance(0.015) {
        plate(&mut pen, rng, s);
    }
}

/// Attenuation of lead and of a thick piece of steel.
const LEAD: f64 = 5.0;
const STEEL: f64 = 2.2;

/// The side's letter in lead, often with digits, in an upper corner or beside the trunk.
fn marker(pen: &mut Pen<'_>, rng: &mut Variates) {
    // Strokes in a box of width 0.6 and height 1.
    const L: &[&[[f64; 2]]] = &[&[[0.0, 0.0], [0.0, 1.0], [0.55, 1.0]]];
    const R: &[&[[f64; 2]]] = &[
        &[
            [0.0, 1.0],
            [0.0, 0.0],
            [0.4, 0.02],
            [0.55, 0.14],
            [0.55, 0.34],
            [0.4, 0.48],
            [0.0, 0.5],
        ],
        &[[0.25, 0.5], [0.58, 1.0]],
    ];
    const SEGMENTS: [[[f64; 2]; 2]; 7] = [
        [[0.0, 0.0], [0.5, 0.0]],
        [[0.5, 0.0], [0.5, 0.5]],
        [[0.5, 0.5], [0.5, 1.0]],
        [[0.0, 1.0], [0.5, 1.0]],
        [[0.0, 0.5], [0.0, 1.0]],
        [[0.0, 0.0], [0.0, 0.5]],
        [[0.0, 0.5], [0.5, 0.5]],
    ];
    // The segments that make each digit, lowest bit first.
    const DIGITS: [u8; 10] = [0x3f, 0x06, 0x5b, 0x4f, 0x66, 0x6d, 0x7d, 0x07, 0x7f, 0x6f];
    let [width, height] = pen.camera.size.middle().map(|half| 2.0 * half);
    let left = rng.chance(0.6);
    let tall = rng.between(9.0, 17.0) / pen.camera.pitch;
    let out = rng.between(0.03, 0.12) * width;
    let x = if left { width - out - 0.6 * tall } else { out };
    let y = if rng.chance(0.8) {
        rng.between(0.02, 0.14) * height
    } else {
        rng.between(0.3, 0.8) * height
    };
    let (thick, strength) = (0.08 * tall, rng.between(0.5, 1.0) * LEAD);
    let slope = rng.normal(0.0, 0.08);
    let place = |[u, v]: [f64; 2], corner: [f64; 2], size: f64| {
        [
            corner[0] + size * (u - slope * v),
            corner[1] + size * (v + slope * u),
        ]
    };
    for stroke in if left { L } else { R } {
        let points: Vec<_> = stroke.iter().map(|&p| place(p, [x, y], tall)).collect();
        pen.on_film(&points, thick, strength);
    }
    if rng.chance(0.4) {
        let small = 0.45 * tall;
        let digits = 2 + (rng.unit() * 3.0) as usize;
        for k in 0..digits {
            let digit = DIGITS[(rng.unit() * 10.0) as usize];
            let corner = [
                x + (k as f64 - digits as f64 / 2.0) * 0.85 * small,
                y + 1.3 * tall,
            ];
            for (bit, segment) in SEGMENTS.iter().enumerate() {
                if digit >> bit & 1 == 1 {
                    pen.on_film(
                        &segment.map(|p| place(p, corner, small)),
                        0.4 * thick,
                        strength,
                    );
                }
            }
        }
    }
}

/// Electrodes of a monitor, with their snaps and wires.
fn electrodes(pen: &mut Pen<'_>, rng: &mut Variates, s: f64) {
    let exit = [rng.normal(0.0, 60.0) * s, 420.0 * s, 100.0 * s];
    for _ in 0..3 + (rng.unit() * 3.0) as usize {
        let at = [
            rng.between(-120.0, 120.0) * s,
            rng.between(40.0, 260.0) * s,
            100.0 * s,
        ];
        pen.ball(at, 5.5, 0.7 * STEEL);
        pen.ball(at, 11.0, 0.06);
        let sway = |rng: &mut Variates| rng.normal(0.0, 26.0) * s;
        let knots = [
            at,
            [at[0] + sway(rng), at[1] + 0.35 * (exit[1] - at[1]), at[2]],
            [exit[0] + sway(rng), at[1] + 0.7 * (exit[1] - at[1]), at[2]],
            exit,
        ];
        pen.line(&spline(&knots, 24), 0.9, 0.45 * STEEL);
    }
}

/// A pacemaker below the collar bone, its lead in the right ventricle, at times a second.
fn pacemaker(pen: &mut Pen<'_>, rng: &mut Variates, s: f64) {
    let side = if rng.chance(0.8) { 1.0 } else { -1.0 };
    let (x, y, z) = (
        side * rng.between(78.0, 100.0) * s,
        rng.between(68.0, 92.0) * s,
        90.0 * s,
    );
    let half = rng.between(19.0, 24.0);
    pen.pipe(
        &[[x - 5.0, y, z], [x + 5.0, y + 3.0, z]],
        half,
        2.0 * STEEL,
        [0.3, 0.7],
    );
    pen.line(
        &[[x - 9.0, y - half, z], [x + 9.0, y - half + 2.0, z]],
        5.0,
        0.4 * STEEL,
    );
    let vein = [
        [x, y - half, z],
        [x - side * 22.0 * s, 52.0 * s, 70.0 * s],
        [side * 40.0 * s, 40.0 * s, 45.0 * s],
        [-14.0 * s, 72.0 * s, 20.0 * s],
        [-22.0 * s, 130.0 * s, 15.0 * s],
    ];
    let mut ventricle = vein.to_vec();
    ventricle.extend([
        [-16.0 * s, 178.0 * s, 20.0 * s],
        [
            rng.between(24.0, 50.0) * s,
            rng.between(188.0, 206.0) * s,
            45.0 * s,
        ],
    ]);
    pen.line(&spline(&ventricle, 50), 1.0, 0.5 * STEEL);
    if rng.chance(0.6) {
        let mut atrium = vein.to_vec();
        atrium.extend([
            [-30.0 * s, 158.0 * s, 30.0 * s],
            [-14.0 * s, 142.0 * s, 48.0 * s],
        ]);
        pen.line(&spline(&atrium, 44), 1.0, 0.5 * STEEL);
    }
}

/// Wires of a closed breastbone.
fn sternotomy(pen: &mut Pen<'_>, rng: &mut Variates, s: f64) {
    let x = rng.normal(0.0, 4.0) * s;
    for k in 0..5 + (rng.unit() * 3.0) as usize {
        let y = (52.0 + 24.0 * k as f64 + rng.normal(0.0, 2.0)) * s;
        let (x, wide) = (x + rng.normal(0.0, 2.0), rng.between(6.0, 10.0));
        let slope = rng.normal(0.0, 3.0);
        let z = 90.0 * s;
        let knots = [
            [x - wide, y + slope, z],
            [x - 0.5 * wide, y - 5.0, z],
            [x + 0.6 * wide, y - 5.0 - slope, z],
            [x + wide, y, z],
            [x + 0.4 * wide, y + 4.5, z],
            [x - 0.6 * wide, y + 4.0, z],
            [x - wide, y + slope, z],
        ];
        pen.line(&spline(&knots, 20), 0.5, 0.6 * STEEL);
        pen.line(
            &[[x, y + 4.0, z], [x + rng.normal(0.0, 1.5), y + 9.0, z]],
            0.9,
            0.6 * STEEL,
        );
    }
}

/// Surgical clips in one place.
fn clips(pen: &mut Pen<'_>, rng: &mut Variates, s: f64) {
    let middle = [rng.normal(0.0, 55.0) * s, rng.between(50.0, 250.0) * s];
    for _ in 0..2 + (rng.unit() * 7.0) as usize {
        let [x, y] = [
            middle[0] + rng.normal(0.0, 14.0),
            middle[1] + rng.normal(0.0, 14.0),
        ];
        let turn = rng.between(0.0, core::f64::consts::TAU);
        let (dx, dy) = (2.6 * libm::cos(turn), 2.6 * libm::sin(turn));
        pen.line(
            &[[x - dx, y - dy, 0.0], [x + dx, y + dy, 0.0]],
            0.6,
            0.7 * STEEL,
        );
    }
}

/// A chain about the neck, with or without a pendant.
fn necklace(pen: &mut Pen<'_>, rng: &mut Variates, s: f64) {
    let (wide, low) = (rng.between(48.0, 66.0) * s, rng.between(55.0, 135.0) * s);
    let sway = rng.normal(0.0, 9.0) * s;
    let knots = [
        [-wide, -25.0 * s, 50.0 * s],
        [-0.75 * wide + sway, 0.45 * low, 90.0 * s],
        [sway, low, 100.0 * s],
        [0.75 * wide + sway, 0.45 * low, 90.0 * s],
        [wide, -25.0 * s, 50.0 * s],
    ];
    for at in spline(&knots, 90) {
        pen.ball(at, 0.9, 0.5 * STEEL);
    }
    if rng.chance(0.5) {
        let at = [sway, low + 7.0, 100.0 * s];
        pen.line(&[at, [at[0], at[1] + 8.0, at[2]]], 3.5, STEEL);
    }
}

/// Buttons down the front.
fn buttons(pen: &mut Pen<'_>, rng: &mut Variates, s: f64) {
    let (x, step) = (rng.normal(0.0, 12.0) * s, rng.between(55.0, 80.0) * s);
    for k in 0..5 {
        let at = [
            x + rng.normal(0.0, 3.0),
            (30.0 + f64::from(k) * step) * s,
            110.0 * s,
        ];
        pen.pipe(&[at, [at[0], at[1] + 0.01, at[2]]], 6.0, 0.4, [0.3, 0.6]);
    }
}

/// Wires below the breasts and the clasp of a brassiere.
fn underwire(pen: &mut Pen<'_>, rng: &mut Variates, s: f64) {
    let low = rng.between(215.0, 255.0) * s;
    for side in [-1.0, 1.0] {
        let knots = [
            [side * 18.0 * s, low - 40.0 * s, 110.0 * s],
            [side * 34.0 * s, low - 6.0 * s, 112.0 * s],
            [side * 78.0 * s, low, 108.0 * s],
            [side * 118.0 * s, low - 16.0 * s, 90.0 * s],
            [side * 134.0 * s, low - 58.0 * s, 70.0 * s],
        ];
        pen.line(&spline(&knots, 30), 0.9, 0.7 * STEEL);
    }
    for k in [-4.0, 4.0] {
        pen.line(
            &[[-3.0, low + k, -110.0 * s], [3.0, low + k, -110.0 * s]],
            0.8,
            0.6 * STEEL,
        );
    }
}

/// A catheter from a vein of the neck or below the collar bone to the heart.
fn venous_line(pen: &mut Pen<'_>, rng: &mut Variates, s: f64) {
    let side = if rng.chance(0.7) { -1.0 } else { 1.0 };
    let end = rng.between(95.0, 150.0) * s;
    let start = if rng.chance(0.5) {
        [side * 44.0 * s, -60.0 * s, 20.0 * s]
    } else {
        [side * 105.0 * s, 58.0 * s, 60.0 * s]
    };
    let knots = [
        start,
        [side * 36.0 * s, 34.0 * s, 30.0 * s],
        [-10.0 * s, 66.0 * s, 20.0 * s],
        [-20.0 * s, end, 15.0 * s],
    ];
    pen.pipe(&spline(&knots, 40), 1.2, 0.35, [0.4, 0.3]);
}

/// A tube in the trachea, one through the gullet to the stomach, or both.
fn tubes(pen: &mut Pen<'_>, rng: &mut Variates, s: f64, spine: &Spine) {
    let middle = |y: f64| 0.5 * spine.axis_at(y).0;
    let airway = rng.chance(0.7);
    if airway {
        let end = rng.between(45.0, 85.0) * s;
        let points: Vec<_> = (0..12)
            .map(|k| {
                let y = -190.0 * s + f64::from(k) / 11.0 * (end + 190.0 * s);
                [middle(y), y, 0.0]
            })
            .collect();
        pen.pipe(&points, 5.0, 0.20, [0.2, 0.1]);
        pen.line(&points, 0.7, 0.4);
    }
    if !airway || rng.chance(0.6) {
        let mut knots: Vec<_> = (0..9)
            .map(|k| {
                let y = (-190.0 + 50.0 * f64::from(k)) * s;
                [middle(y) + 4.0 * s, y, -10.0]
            })
            .collect();
        knots.push([45.0 * s, 262.0 * s, 20.0 * s]);
        knots.push([70.0 * s, rng.between(270.0, 330.0) * s, 25.0 * s]);
        pen.pipe(&spline(&knots, 60), 2.4, 0.25, [0.4, 0.2]);
    }
}

/// A drain between the ribs.
fn drain(pen: &mut Pen<'_>, rng: &mut Variates, s: f64) {
    let side = if rng.chance(0.5) { -1.0 } else { 1.0 };
    let enter = rng.between(150.0, 220.0) * s;
    let knots = [
        [side * 200.0 * s, enter + 45.0 * s, 0.0],
        [side * 132.0 * s, enter, 0.0],
        [side * 105.0 * s, enter - 55.0 * s, -10.0],
        [
            side * rng.between(50.0, 85.0) * s,
            rng.between(30.0, 75.0) * s,
            -20.0,
        ],
    ];
    let points = spline(&knots, 40);
    pen.pipe(&points, 4.5, 0.16, [0.25, 0.2]);
    pen.line(&points, 0.6, 0.5);
}

/// Two rods held by pedicle screws: a spine that was fused once.
fn rods(pen: &mut Pen<'_>, rng: &mut Variates, spine: &Spine) {
    let upper = (rng.unit() * 8.0) as usize;
    let lower = (upper + 4 + (rng.unit() * 8.0) as usize).min(16);
    let fused = &spine.vertebrae()[upper..=lower];
    for side in [-1.0f64, 1.0] {
        let mut rod = Vec::new();
        for (k, vertebra) in fused.iter().enumerate() {
            let tilt = (vertebra.superior + vertebra.inferior) / 2.0;
            let beside = |out: f64, behind: f64| {
                let across = side * out * vertebra.width + behind * libm::sin(vertebra.rotation);
                [
                    vertebra.centre[0] + across * libm::cos(tilt),
                    vertebra.centre[1] - across * libm::sin(tilt),
                    vertebra.centre[2] - behind,
                ]
            };
            let head = beside(0.38, 0.9 * vertebra.depth);
            rod.push(head);
            if k == 0 || k + 1 == fused.len() || rng.chance(0.75) {
                let tip = beside(0.12, -0.25 * vertebra.depth);
                pen.line(&[head, tip], 2.6, 1.4 * STEEL);
                pen.ball(head, 5.0, 1.6 * STEEL);
            }
        }
        pen.line(&rod, 2.8, 1.5 * STEEL);
    }
}

/// A plate on a collar bone, with its screws.
fn plate(pen: &mut Pen<'_>, rng: &mut Variates, s: f64) {
    let side = if rng.chance(0.5) { -1.0 } else { 1.0 };
    let at = |k: f64| [side * (62.0 + 10.0 * k) * s, (34.0 - 2.2 * k) * s, 40.0 * s];
    pen.line(&[at(0.0), at(3.0), at(6.0)], 4.0, STEEL);
    for k in 0..6 {
        let head = at(f64::from(k) + 0.5);
        pen.line(&[head, [head[0], head[1] + 13.0 * s, head[2]]], 1.4, STEEL);
    }
}
