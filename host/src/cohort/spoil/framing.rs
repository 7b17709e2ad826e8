//! Films that show more or less of the chest.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::cohort::canvas::{Canvas, Sides};

/// The end of the lungs that is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The upper.
    Apices,
    /// The lower.
    Bases,
}

/// Least and greatest share of the height that is cut off. On frontal films the lungs begin at a
/// tenth to a fifth of the height, and end at two thirds to four fifths.
const CUT: std::ops::Range<f32> = 0.26..0.45;

/// Cuts off one end: with the film, with the sides too so that the film keeps its shape, or by the
/// shutters, which leave black.
pub(super) fn cut_off(film: &Canvas, end: End, rng: &mut ChaCha8Rng) -> Canvas {
    let share = rng.random_range(CUT);
    let rows = (film.height as f32 * share) as usize;
    let mut off = match end {
        End::Apices => Sides {
            top: rows,
            ..Sides::default()
        },
        End::Bases => Sides {
            bottom: rows,
            ..Sides::default()
        },
    };
    match rng.random_range(0..3) {
        0 => film.trimmed(off),
        1 => {
            let columns = (film.width as f32 * share / 2.0) as usize;
            (off.left, off.right) = (columns, columns);
            film.trimmed(off)
        }
        _ => film.trimmed(off).padded(off, 0.0),
    }
}

/// The film as carefully as in the field: a little trimmed or with borders, in one of the shapes of
/// detectors.
pub(super) fn framed(film: Canvas, rng: &mut ChaCha8Rng) -> Canvas {
    let (width, height) = (film.width as f32, film.height as f32);
    let mut film = film;
    if rng.random_range(0.0..1.0) < 0.5 {
        let mut off = |length: f32| (length * rng.random_range(0.0..0.03)) as usize;
        let off = Sides {
            left: off(width),
            top: off(height),
            right: off(width),
            bottom: off(height),
        };
        film = film.trimmed(off);
    }
    if rng.random_range(0.0..1.0) < 0.4 {
        let mut by = |length: f32| {
            let borders = rng.random_range(0.0..1.0) < 0.5;
            (length
                * if borders {
                    rng.random_range(0.0..0.12)
                } else {
                    0.0
                }) as usize
        };
        let by = Sides {
            left: by(width),
            top: by(height),
            right: by(width),
            bottom: by(height),
        };
        let grey = if rng.random_range(0.0..1.0) < 0.85 {
            0.0
        } else {
            rng.random_range(0.0..1.0)
        };
        film = film.padded(by, grey);
    }
    film
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn the_end_that_is_named_is_cut_off() {
        // Rows count from 1 above.
        let film = Canvas::drawn(80, 100, |_, y| (y + 1) as f32);
        for seed in 0..30 {
            let rng = &mut ChaCha8Rng::seed_from_u64(seed);
            let rows = |film: Canvas| {
                let rows: Vec<f32> = film.values.into_iter().filter(|row| *row > 0.0).collect();
                (rows[0], rows[rows.len() - 1])
            };
            let (first, last) = rows(cut_off(&film, End::Apices, rng));
            assert!((26.0..=46.0).contains(&first) && last == 100.0, "{first}");
            let (first, last) = rows(cut_off(&film, End::Bases, rng));
            assert!((55.0..=75.0).contains(&last) && first == 1.0, "{last}");
        }
    }

    #[test]
    fn a_framed_film_keeps_its_middle() {
        let film = Canvas::drawn(100, 100, |x, y| if (x, y) == (50, 50) { 9.0 } else { 0.5 });
        for seed in 0..30 {
            let framed = framed(film.clone(), &mut ChaCha8Rng::seed_from_u64(seed));
            assert!(framed.values.contains(&9.0));
            assert!((94..=124).contains(&framed.width) && (94..=124).contains(&framed.height));
        }
    }
}
