//! Greys as other units, makers and archives would give them, and what may lie on a film.

use std::io::Cursor;

use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::{DynamicImage, ExtendedColorType};
use plumbline_shared::preprocess::SIDE;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Augmentation, WHITE};

/// Pieces of a grey curve.
const PIECES: usize = 6;

/// The smallest and the largest neighbourhood of local contrast, in pixels to each side: from
/// sharpened edges to evened large differences.
const NEIGHBOURHOOD: (f32, f32) = (1.0, 40.0);

/// The largest side of a rectangle without film, as a share of the film's.
const LARGEST_CUTOUT: f32 = 0.2;

/// One way to change a film's greys; none by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Processing {
    /// Deviation of a Gaussian blur, in pixels.
    blur: f32,
    /// Pixels to each side of a neighbourhood, and the factor of differences from its mean.
    local_contrast: Option<(usize, f32)>,
    /// The grey at the end of each piece of a curve, from 0 to 1.
    curve: Option<[f32; PIECES]>,
    /// JPEG's quality.
    quality: Option<u8>,
    /// Left, top, width, height and grey of rectangles without film.
    cutouts: Vec<([usize; 4], f32)>,
}

impl Processing {
    /// Draws what `bounds` allow. Bounds of nothing draw no numbers.
    pub(super) fn draw(bounds: &Augmentation, rng: &mut ChaCha8Rng) -> Self {
        let mut drawn = Self::default();
        if bounds.blur > 0.0 {
            drawn.blur = rng.random_range(0.0..=bounds.blur);
        }
        if bounds.local_contrast > 0.0 {
            let (least, most) = NEIGHBOURHOOD;
            let radius = rng.random_range(least.ln()..=most.ln()).exp();
            let factor = 1.0 + rng.random_range(-1.0..=1.0) * bounds.local_contrast;
            drawn.local_contrast = Some((radius.round() as usize, factor));
        }
        if bounds.curve > 0.0 {
            drawn.curve = Some(curve(bounds.curve, rng));
        }
        if bounds.jpeg > 0.0 && rng.random() {
            let lost = rng.random_range(0.0..=bounds.jpeg);
            drawn.quality = Some((100.0 * (1.0 - lost)).round().max(1.0) as u8);
        }
        if bounds.cutouts > 0 {
            let count = rng.random_range(0..=bounds.cutouts);
            drawn.cutouts = (0..count).map(|_| cutout(rng)).collect();
        }
        drawn
    }

    /// True if nothing is changed.
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Changes a film (`SIDE x SIDE`, 0 to 65535).
    pub(super) fn apply(&self, film: &mut [f32]) {
        if self.blur > 0.0 {
            blur(film, self.blur);
        }
        if let Some((radius, factor)) = self.local_contrast {
            let mut mean = film.to_vec();
            // Twice, as a single box shows its edges.
            for _ in 0..2 {
                box_mean(&mut mean, radius);
            }
            for (value, mean) in film.iter_mut().zip(mean) {
                *value = (mean + (*value - mean) * factor).clamp(0.0, WHITE);
            }
        }
        if let Some(ends) = &self.curve {
            for value in film.iter_mut() {
                let at = *value / WHITE * PIECES as f32;
                let piece = (at as usize).min(PIECES - 1);
                let begin = if piece == 0 { 0.0 } else { ends[piece - 1] };
                let share = at - piece as f32;
                *value = (begin + (ends[piece] - begin) * share) * WHITE;
            }
        }
        if let Some(quality) = self.quality {
            through_jpeg(film, quality);
        }
        for ([left, top, width, height], grey) in &self.cutouts {
            for row in film.chunks_exact_mut(SIDE).skip(*top).take(*height) {
                let end = (left + width).min(SIDE);
                row[*left..end].fill(*grey);
            }
        }
    }
}

/// A rising curve: its pieces rise by random amounts, the steepest up to `e^(2 bound)` times as much as the
/// flattest.
fn curve(bound: f32, rng: &mut ChaCha8Rng) -> [f32; PIECES] {
    let rises = [0; PIECES].map(|_| (rng.random_range(-1.0f32..=1.0) * bound).exp());
    let whole: f32 = rises.iter().sum();
    let mut level = 0.0;
    rises.map(|rise| {
        level += rise / whole;
        level
    })
}

fn cutout(rng: &mut ChaCha8Rng) -> ([usize; 4], f32) {
    let mut length = || (rng.random_range(0.01..=LARGEST_CUTOUT) * SIDE as f32) as usize + 1;
    let (width, height) = (length(), length());
    let (left, top) = (rng.random_range(0..SIDE), rng.random_range(0..SIDE));
    let grey = rng.random_range(0.0..=1.0) * WHITE;
    ([left, top, width, height], grey)
}

/// Replaces each pixel by the mean of the pixels up to `radius` away in its row and column; beyond the
/// film its last pixel goes on.
fn box_mean(film: &mut [f32], radius: usize) {
    along_both(film, |line, out| {
        let last = line.len() - 1;
        let at = |index: isize| line[index.clamp(0, last as isize) as usize];
        let reach = radius as isize;
        let mut sum: f32 = (-reach..=reach).map(at).sum();
        for (index, out) in (0isize..).zip(out) {
            *out = sum / (2 * radius + 1) as f32;
            sum += at(index + reach + 1) - at(index - reach);
        }
    });
}

/// A Gaussian blur with a `deviation` in pixels; beyond the film its last pixel goes on.
fn blur(film: &mut [f32], deviation: f32) {
    let reach = (3.0 * deviation).ceil() as isize;
    let weight = |away: isize| (-0.5 * (away as f32 / deviation).powi(2)).exp();
    let whole: f32 = (-reach..=reach).map(weight).sum();
    let weights: Vec<f32> = (-reach..=reach).map(|away| weight(away) / whole).collect();
    along_both(film, |line, out| {
        let last = line.len() as isize - 1;
        for (index, out) in (0..).zip(out) {
            let near = (index - reach..).zip(&weights);
            *out = near
                .map(|(at, weight)| line[at.clamp(0, last) as usize] * weight)
                .sum();
        }
    });
}

/// Applies `change` to each row and then to each column.
fn along_both(film: &mut [f32], change: impl Fn(&[f32], &mut [f32])) {
    let mut changed = [0.0; SIDE];
    for row in film.chunks_exact_mut(SIDE) {
        change(row, &mut changed);
        row.copy_from_slice(&changed);
    }
    let mut line = [0.0; SIDE];
    for column in 0..SIDE {
        for (row, value) in line.iter_mut().enumerate() {
            *value = film[row * SIDE + column];
        }
        change(&line, &mut changed);
        for (row, value) in changed.iter().enumerate() {
            film[row * SIDE + column] = *value;
        }
    }
}

/// What JPEG of 8 bits and this quality leaves of a film.
fn through_jpeg(film: &mut [f32], quality: u8) {
    let bytes: Vec<u8> = film
        .iter()
        .map(|value| (value / WHITE * 255.0).round() as u8)
        .collect();
    let mut file = Vec::new();
    let side = SIDE as u32;
    let decoded = JpegEncoder::new_with_quality(&mut file, quality)
        .encode(&bytes, side, side, ExtendedColorType::L8)
        .and_then(|()| JpegDecoder::new(Cursor::new(&file)))
        .and_then(DynamicImage::from_decoder)
        .expect("a small picture in memory is encoded and decoded");
    for (value, byte) in film.iter_mut().zip(decoded.into_luma8().as_raw()) {
        *value = f32::from(*byte) / 255.0 * WHITE;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    /// A bright disc on a slope.
    fn film() -> Vec<f32> {
        let value = |at: usize| {
            let (row, column) = ((at / SIDE) as f32, (at % SIDE) as f32);
            let inside = (row - 100.0).hypot(column - 140.0) < 40.0;
            8_000.0 + 100.0 * column + if inside { 20_000.0 } else { 0.0 }
        };
        (0..SIDE * SIDE).map(value).collect()
    }

    fn changed(processing: &Processing) -> Vec<f32> {
        let mut film = film();
        processing.apply(&mut film);
        film
    }

    fn mean(film: &[f32]) -> f32 {
        film.iter().sum::<f32>() / film.len() as f32
    }

    #[test]
    fn means_and_blurs_keep_the_level_and_take_the_edges() {
        let edge = |film: &[f32]| film[100 * SIDE + 178] - film[100 * SIDE + 182];
        let sharp = film();
        let mut smooth = film();
        box_mean(&mut smooth, 3);
        // By hand: the mean of seven times seven pixels of the slope.
        assert!((smooth[30 * SIDE + 30] - sharp[30 * SIDE + 30]).abs() < 0.1);
        assert!((smooth[7 * SIDE] - (8_000.0 + 100.0 * 6.0 / 7.0)).abs() < 0.1);
        let mut blurred = film();
        blur(&mut blurred, 2.0);
        for soft in [smooth, blurred] {
            assert!((mean(&soft) - mean(&sharp)).abs() < 30.0);
            assert!(edge(&soft) < 0.8 * edge(&sharp));
        }
    }

    #[test]
    fn local_contrast_changes_differences_from_the_neighbourhood() {
        let by = |factor| Processing {
            local_contrast: Some((3, factor)),
            ..Processing::default()
        };
        let edge = |film: &[f32]| film[100 * SIDE + 178] - film[100 * SIDE + 182];
        let (weak, strong) = (changed(&by(0.5)), changed(&by(1.5)));
        assert!(edge(&weak) < edge(&film()) && edge(&film()) < edge(&strong));
        assert!(
            changed(&by(1.0))
                .iter()
                .zip(film())
                .all(|(a, b)| (a - b).abs() < 0.1)
        );
    }

    #[test]
    fn curves_rise_and_keep_black_and_white() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for _ in 0..50 {
            let ends = curve(0.7, &mut rng);
            assert!(ends[0] > 0.0 && ends.is_sorted_by(|a, b| a < b));
            assert!((ends[PIECES - 1] - 1.0).abs() < 1e-6);
            let processing = Processing {
                curve: Some(ends),
                ..Processing::default()
            };
            let mut ramp: Vec<f32> = (0..=65_535u16).map(f32::from).collect();
            processing.apply(&mut ramp);
            assert!(ramp.is_sorted() && ramp[0] == 0.0 && (ramp[65_535] - WHITE).abs() < 1.0);
        }
    }

    #[test]
    fn jpeg_loses_more_the_lower_its_quality() {
        let lost = |quality| {
            let by = Processing {
                quality: Some(quality),
                ..Processing::default()
            };
            let pairs = changed(&by).into_iter().zip(film());
            pairs.map(|(a, b)| (a - b).abs()).sum::<f32>() / (SIDE * SIDE) as f32
        };
        assert!(lost(98) < lost(40) && lost(98) < 200.0 && lost(40) < 2_000.0);
    }

    #[test]
    fn draws_stay_within_bounds() {
        let bounds = Augmentation {
            blur: 1.5,
            local_contrast: 0.6,
            curve: 0.5,
            jpeg: 0.7,
            cutouts: 3,
            ..Augmentation::default()
        };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let drawn: Vec<_> = (0..200)
            .map(|_| Processing::draw(&bounds, &mut rng))
            .collect();
        let count = |kind: &dyn Fn(&Processing) -> bool| drawn.iter().filter(|d| kind(d)).count();
        assert_eq!(count(&|d| d.blur <= 1.5), 200);
        assert!((60..140).contains(&count(&|d| d.quality.is_some_and(|q| q >= 30))));
        assert!((30..70).contains(&count(&|d| d.cutouts.is_empty())));
        assert_eq!(count(&|d| d.cutouts.len() <= 3), 200);
        for processing in drawn {
            let film = changed(&processing);
            assert!(film.iter().all(|value| (0.0..=WHITE).contains(value)));
        }
        assert!(Processing::draw(&Augmentation::default(), &mut rng).is_none());
    }
}
