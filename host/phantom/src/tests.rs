use std::collections::BTreeMap;

use plumbline_shared::clinical::{Convexity, Refusal};

use super::*;
use crate::curve::Cobb;

fn phantom(seed: u64, index: u64, degrees: f64, side: usize) -> Phantom {
    Phantom::draw(&FilmSpec {
        seed,
        index,
        degrees,
        refusal: None,
        side,
        frame: Frame::SquareChest,
    })
}

#[test]
fn the_cobb_angle_is_that_of_the_drawn_endplates() {
    for index in 0..120 {
        let degrees = 0.6 * index as f64;
        let phantom = phantom(5, index, degrees, 64);
        let mut largest = 0.0f64;
        let vertebrae = phantom.spine().vertebrae();
        for (i, upper) in vertebrae.iter().enumerate() {
            for lower in &vertebrae[i + 1..] {
                // Angle between the directions in which the endplates run.
                let (a, b) = (upper.superior, lower.inferior);
                let dot = a.cos() * b.cos() + a.sin() * b.sin();
                let cross = a.cos() * b.sin() - a.sin() * b.cos();
                largest = largest.max(cross.atan2(dot).abs().to_degrees());
            }
        }
        assert!((largest - degrees).abs() < 1e-9, "{largest} for {degrees}");
        assert!((phantom.cobb().degrees - degrees).abs() < 1e-9);
    }
}

#[test]
fn the_apex_is_farthest_to_the_convex_side() {
    for index in 0..60 {
        let phantom = phantom(6, index, 45.0, 64);
        let cobb = phantom.cobb();
        let vertebrae = phantom.spine().vertebrae();
        let x = |i: usize| vertebrae[i].centre[0];
        let (upper, lower) = (x(cobb.upper), x(cobb.lower));
        let along = (cobb.apex - cobb.upper) as f64 / (cobb.lower - cobb.upper) as f64;
        let bulge = x(cobb.apex) - (upper + along * (lower - upper));
        let left = cobb.convexity == Convexity::Left;
        assert!(
            bulge.abs() > 3.0 && (bulge > 0.0) == left,
            "{index}: {bulge}"
        );
    }
}

#[test]
fn only_the_curve_tells_the_classes_apart() {
    for index in 0..20 {
        let straight = phantom(7, index, 2.0, 64);
        let curved = phantom(7, index, 35.0, 64);
        assert_eq!(straight.surroundings(), curved.surroundings());
        // All that is drawn later is alike, too, as far as chance goes.
        let [straight, curved] = [straight, curved].map(|mut phantom| {
            phantom.expose();
            phantom.next_number()
        });
        assert_eq!(straight.to_bits(), curved.to_bits());
    }
}

#[test]
fn the_mask_follows_the_tilt() {
    let side = 512;
    for (index, degrees) in [(0, 0.0), (1, 10.0), (2, 25.0), (3, 40.0), (4, 60.0)] {
        let mut phantom = phantom(8, index, degrees, side);
        let (_, mask) = phantom.expose();
        let mask = mask.unwrap();
        let centre_of_row = |row: usize| {
            let line = &mask[row * side..][..side];
            let columns: Vec<usize> = (0..side).filter(|&c| line[c] > 0).collect();
            assert!(
                columns.len() > 10,
                "row {row} of film {index} shows no spine"
            );
            columns.iter().sum::<usize>() as f64 / columns.len() as f64
        };
        let vertebrae = phantom.spine().vertebrae();
        let mut worst = 0.0f64;
        for i in 2..12 {
            // Slope of the mask's middle line over three vertebrae, the film turned upright.
            let [above, below] =
                [i - 1, i + 1].map(|k| phantom.place_of(vertebrae[k].centre)[1].round() as usize);
            let run = centre_of_row(below) - centre_of_row(above);
            let seen = run.atan2((below - above) as f64) + phantom.in_plane_rotation();
            let tilts = [i - 1, i, i + 1].map(|k| vertebrae[k].superior + vertebrae[k].inferior);
            let drawn = (tilts[0] + 2.0 * tilts[1] + tilts[2]) / 8.0;
            worst = worst.max((seen - drawn).to_degrees().abs());
        }
        assert!(worst < 3.0, "film {index}: {worst} degrees off");
    }
}

#[test]
fn long_films_show_all_vertebrae() {
    for index in 0..8 {
        let mut phantom = Phantom::draw(&FilmSpec {
            seed: 21,
            index,
            degrees: 35.0,
            refusal: None,
            side: 256,
            frame: Frame::WholeSpine,
        });
        assert!((phantom.cobb().degrees - 35.0).abs() < 1e-9);
        let (film, mask) = phantom.expose();
        assert!(film.size.height == 256 && film.size.width < 200);
        let mask = mask.unwrap();
        // T2 to L4 at least: the film may end within the vertebrae beside.
        for value in (20..=160).step_by(10) {
            assert!(mask.contains(&value), "film {index} lacks vertebra {value}");
        }
        // Below the chest there are bones beside the spine, too.
        let greys = film.greys();
        let pelvis = &greys[220 * film.size.width..];
        let (least, most) = (pelvis.iter().min().unwrap(), pelvis.iter().max().unwrap());
        assert!(most - least > 2_000);
    }
}

#[test]
fn over_exposure_and_inversion_are_to_be_seen() {
    let grey = |refusal| {
        let mut phantom = Phantom::draw(&FilmSpec {
            seed: 15,
            index: 2,
            degrees: 3.0,
            refusal,
            side: 128,
            frame: Frame::SquareChest,
        });
        phantom.expose().0.greys()
    };
    let middle = |pixels: &[u16]| {
        let mut sorted = pixels.to_vec();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    };
    let good = grey(None);
    let dark = grey(Some(Refusal::OverExposed));
    assert!(middle(&dark) < middle(&good) / 2);
    let inverted = grey(Some(Refusal::Inverted));
    let sums: Vec<u32> = good
        .iter()
        .zip(&inverted)
        .map(|(a, b)| u32::from(*a) + u32::from(*b))
        .collect();
    assert!(sums.iter().all(|sum| *sum == sums[0]));
}

#[test]
fn every_curve_is_told_and_neighbours_bend_to_opposite_sides() {
    for index in 0..60 {
        let phantom = phantom(16, index, 30.0, 64);
        let curves = phantom.curves();
        let major = phantom.cobb();
        assert!(curves.contains(&major));
        assert!(
            curves
                .iter()
                .all(|c| c.degrees >= 5.0 && c.degrees <= major.degrees)
        );
        for pair in curves.windows(2) {
            assert_eq!(pair[0].lower, pair[1].upper);
            assert_ne!(pair[0].convexity, pair[1].convexity);
        }
    }
    let texts: Vec<String> = phantom(16, 0, 30.0, 64)
        .curves()
        .iter()
        .map(Cobb::to_string)
        .collect();
    assert!(
        texts.iter().any(|text| text.ends_with(" 30.00")),
        "{texts:?}"
    );
}

#[test]
fn the_mask_tells_the_vertebrae_apart() {
    for index in 0..8 {
        let mut phantom = phantom(17, index, 25.0, 384);
        let width = phantom.size().width;
        let mask = phantom.expose().1.unwrap();
        for (k, vertebra) in phantom.spine().vertebrae().iter().enumerate() {
            let [column, row] = phantom.place_of(vertebra.centre);
            if [column, row].iter().all(|at| (0.0..384.0).contains(at)) {
                let value = mask[row as usize * width + column as usize];
                assert_eq!(usize::from(value), 10 * (k + 1));
            }
        }
    }
}

#[test]
fn diseases_are_as_common_in_both_classes() {
    let mut counts = BTreeMap::<&str, usize>::new();
    let films = 2000;
    for index in 0..films {
        let (straight, curved) = (phantom(18, index, 2.0, 64), phantom(18, index, 40.0, 64));
        assert_eq!(straight.findings(), curved.findings());
        for name in straight.findings() {
            *counts.entry(name).or_default() += 1;
        }
    }
    assert_eq!(counts.len(), 14);
    assert!(
        counts.values().all(|count| *count > films as usize / 100),
        "{counts:?}"
    );
}
