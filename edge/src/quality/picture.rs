//! Rules on a film's size and greys that need no network.

use plumbline_shared::film::Film;

use super::finding::{Code, Finding};
use super::intended_use::IntendedUse;

/// Most pixels that greys are counted of.
const SAMPLE: usize = 1 << 16;

/// Share of the film's middle that may be black, or white: above a good film's, whose belly or lungs
/// take up to half of it.
const MOST_LOST: f64 = 0.9;

/// Greys that count as black or as white, as a share of the range.
const LOST: f32 = 0.02;

/// The least range of greys, from the 1st to the 99th percentile, as a share of the whole range.
const LEAST_RANGE: f32 = 0.04;

/// Returns all rules that a film's picture breaks.
pub(super) fn check(film: &Film, intended: &IntendedUse) -> Vec<Finding> {
    let (width, height) = (film.width(), film.height());
    let least = intended.least_side;
    if width.min(height) < least {
        // Nothing can be said of the greys of an icon.
        let size = format!(
            "has {width} x {height} pixels, too few for a chest film, which has {least} a side at \
             least"
        );
        return vec![Finding::because(Code::TooSmall, size)];
    }
    let mut findings = Vec::new();
    let (wide, high) = (width as f32 / height as f32, height as f32 / width as f32);
    let shape = match (high > intended.tallest, wide > intended.widest) {
        (true, _) => Some(format!("{high:.1} times as high as wide")),
        (_, true) => Some(format!("{wide:.1} times as wide as high")),
        _ => None,
    };
    if let Some(shape) = shape {
        let shape = format!("is {shape}, which no chest film is");
        findings.push(Finding::because(Code::NotAChest, shape));
    }
    findings.extend(exposure(&middle(film)).map(Finding::new));
    findings
}

/// Greys of the film's middle, from 0 to 1 and sorted: borders, a tenth of each side, are left out.
fn middle(film: &Film) -> Vec<f32> {
    let (width, height) = (film.width() as usize, film.height() as usize);
    let inner = |side: usize| side / 10..side - side / 10;
    let count = inner(width).len() * inner(height).len();
    let step = count.div_ceil(SAMPLE).isqrt().max(1);
    let rows = inner(height).step_by(step);
    let mut greys: Vec<f32> = rows
        .flat_map(|row| {
            let line = &film.pixels()[row * width..][..width];
            let columns = inner(width).step_by(step);
            columns.map(|column| f32::from(line[column]) / 65_535.0)
        })
        .collect();
    greys.sort_unstable_by(f32::total_cmp);
    greys
}

/// What the sorted greys of a film's middle say of its exposure.
fn exposure(greys: &[f32]) -> Option<Code> {
    let quantile = |share: f32| greys[((greys.len() - 1) as f32 * share) as usize];
    let share = |lost: fn(&f32) -> bool| {
        let count = greys.iter().filter(|grey| lost(grey)).count();
        count as f64 / greys.len() as f64
    };
    let (low, middle, high) = (quantile(0.01), quantile(0.5), quantile(0.99));
    if high - low < LEAST_RANGE {
        return Some(match middle {
            dark if dark < 1.0 / 3.0 => Code::OverExposed,
            bright if bright > 2.0 / 3.0 => Code::UnderExposed,
            _ => Code::Blank,
        });
    }
    if share(|grey| *grey < LOST) > MOST_LOST {
        return Some(Code::OverExposed);
    }
    (share(|grey| *grey > 1.0 - LOST) > MOST_LOST).then_some(Code::UnderExposed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(width: u32, height: u32, grey: impl Fn(u32, u32) -> f32) -> Vec<Code> {
        let places = (0..width * height).map(|at| (at % width, at / width));
        let pixels = places.map(|(x, y)| (grey(x, y) * 65_535.0) as u16);
        let film = Film::new(width, height, pixels.collect()).unwrap();
        let findings = check(&film, &IntendedUse::default());
        findings.iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn icons_are_no_films() {
        let slope = |x: u32, y: u32| ((x + y) % 64) as f32 / 64.0;
        assert_eq!(codes(64, 64, slope), []);
        assert_eq!(codes(63, 90, slope), [Code::TooSmall]);
        let icon = Film::new(32, 500, vec![9; 16_000]).unwrap();
        let finding = &check(&icon, &IntendedUse::default())[0];
        assert!(
            finding
                .to_string()
                .starts_with("has 32 x 500 pixels, too few")
        );
    }

    #[test]
    fn chest_films_are_not_long() {
        let slope = |x: u32, y: u32| ((x + y) % 64) as f32 / 64.0;
        assert_eq!(codes(350, 430, slope), []);
        assert_eq!(codes(200, 430, slope), [Code::NotAChest]);
        assert_eq!(codes(430, 240, slope), []);
        assert_eq!(codes(430, 200, slope), [Code::NotAChest]);
    }

    #[test]
    fn lost_greys_are_told_from_few() {
        let slope = |x: u32, scale: f32, level: f32| x as f32 / 200.0 * scale + level;
        assert_eq!(codes(200, 200, |x, _| slope(x, 0.5, 0.2)), []);
        let dark = codes(200, 200, |x, _| slope(x, 0.03, 0.0));
        let light = codes(200, 200, |x, _| slope(x, 0.03, 0.96));
        let flat = codes(200, 200, |x, _| slope(x, 0.03, 0.5));
        assert_eq!(dark, [Code::OverExposed]);
        assert_eq!(light, [Code::UnderExposed]);
        assert_eq!(flat, [Code::Blank]);
        let saturated = codes(200, 200, |x, _| if x < 176 { 0.0 } else { 0.8 });
        assert_eq!(saturated, [Code::OverExposed]);
        let half = codes(200, 200, |x, _| if x < 120 { 0.0 } else { 0.8 });
        assert_eq!(half, []);
        let veiled = codes(200, 200, |x, _| if x < 176 { 1.0 } else { 0.2 });
        assert_eq!(veiled, [Code::UnderExposed]);
    }
}
