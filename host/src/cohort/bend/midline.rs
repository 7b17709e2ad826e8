//! Where the spine runs on a film on which it is straight.

use crate::cohort::canvas::Canvas;

/// The side of the film on which the spine is looked for, in pixels.
const SIDE: usize = 128;

/// Where the line may cross the film's middle row, in shares of the width, and its steepest lean in
/// columns a row.
const MIDDLE: (f32, f32) = (0.36, 0.64);
const LEAN: f32 = 0.12;

/// Half the spine's width, as a share of the film's.
const HALF_WIDTH: f32 = 0.03;

/// A straight line down a film, in pixels from its upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Midline {
    /// The column at the film's upper border.
    pub(super) top: f64,
    /// Columns to the right for each row down.
    pub(super) lean: f64,
}

impl Midline {
    /// The column at a row.
    pub(super) fn at(&self, row: f64) -> f64 {
        self.top + self.lean * row
    }

    /// The straight line along which a film is brightest beside what lies to either side, as the spine
    /// is: between the lungs, in the neck and below the diaphragm. The heart, which is brighter on one
    /// side alone, counts little.
    pub(super) fn of(film: &Canvas) -> Self {
        let small = film.averaged(SIDE as u32, SIDE as u32);
        let side = SIDE as f32;
        let sums: Vec<Vec<f32>> = small.values.chunks_exact(SIDE).map(running_sums).collect();
        let mean = |row: usize, from: f32, to: f32| {
            let (from, to) = (from.clamp(0.0, side - 1.0), to.clamp(1.0, side));
            (sum_to(&sums[row], to) - sum_to(&sums[row], from)) / (to - from).max(1.0)
        };
        let width = HALF_WIDTH * side;
        // How much brighter a row is at a column than beside it, on the side where that is less.
        let ridge = |row: usize, at: f32| {
            let inside = mean(row, at - width, at + width);
            let left = mean(row, at - 3.5 * width, at - 1.5 * width);
            let right = mean(row, at + 1.5 * width, at + 3.5 * width);
            (inside - left.max(right)).clamp(-0.06, 0.06) + 0.2 * (inside - (left + right) / 2.0)
        };
        let rows = SIDE / 12..SIDE - SIDE / 12;
        let mut best = (f32::MIN, side / 2.0, 0.0);
        for middle in steps(MIDDLE.0 * side, MIDDLE.1 * side, 0.5) {
            for lean in steps(-LEAN, LEAN, 0.01) {
                let at = |row: usize| middle + lean * (row as f32 - side / 2.0);
                let score: f32 = rows.clone().map(|row| ridge(row, at(row))).sum();
                // Films that tell nothing have their spine upright in the middle.
                let unlikely = ((middle / side - 0.5) / 0.1).powi(2) + (lean / 0.06).powi(2);
                let score = score / SIDE as f32 - 0.002 * unlikely;
                if score > best.0 {
                    best = (score, middle, lean);
                }
            }
        }
        let (_, middle, lean) = best;
        let across = film.width as f64 / SIDE as f64;
        let down = film.height as f64 / SIDE as f64;
        Self {
            top: f64::from(middle - lean * side / 2.0) * across,
            lean: f64::from(lean) * across / down,
        }
    }
}

/// The numbers from `from` to `to`, `by` apart.
fn steps(from: f32, to: f32, by: f32) -> impl Iterator<Item = f32> {
    let count = ((to - from) / by).round() as usize;
    (0..=count).map(move |step| from + by * step as f32)
}

/// The sums of a row's values before each place.
fn running_sums(row: &[f32]) -> Vec<f32> {
    let mut sum = 0.0;
    let mut sums = vec![0.0];
    sums.extend(row.iter().map(|value| {
        sum += value;
        sum
    }));
    sums
}

/// The sum of the values before a place between two of them.
fn sum_to(sums: &[f32], place: f32) -> f32 {
    let before = place.floor() as usize;
    match sums.get(before + 1) {
        Some(next) => sums[before] + (next - sums[before]) * place.fract(),
        None => sums[sums.len() - 1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spine_of_a_drawn_thorax_is_found() {
        // Two dark lungs, a heart between and to the right, a spine that leans.
        let spine = |row: usize| 210.0 + 0.05 * (row as f64 - 250.0);
        let film = Canvas::drawn(400, 500, |column, row| {
            let x = column as f64 - spine(row);
            let lung = x.abs() > 25.0 && x.abs() < 140.0 && (60..400).contains(&row);
            let heart = (200..380).contains(&row) && (-20.0..80.0).contains(&x);
            match (x.abs() < 14.0, heart, lung) {
                (true, ..) => 0.75,
                (_, true, _) => 0.65,
                (.., true) => 0.25,
                _ => 0.6,
            }
        });
        let found = Midline::of(&film);
        for row in [0usize, 250, 499] {
            assert!((found.at(row as f64) - spine(row)).abs() < 8.0, "{found:?}");
        }
    }

    #[test]
    fn a_film_of_one_grey_has_its_spine_in_the_middle() {
        let found = Midline::of(&Canvas::plain(300, 200, 0.5));
        assert!((found.at(0.0) - 150.0).abs() < 1.5 && found.lean.abs() < 1e-6);
    }
}
