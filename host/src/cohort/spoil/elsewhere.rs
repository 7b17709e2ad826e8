//! Pictures that are no films of a chest: parts of films, several films in one, and drawings.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::cohort::canvas::{Canvas, Sides};

/// Side of drawn pictures in pixels.
const SIDE: usize = 384;

/// A picture made of a film of a chest that is none any more.
pub(super) fn not_a_chest(film: &Canvas, rng: &mut ChaCha8Rng) -> Canvas {
    match rng.random_range(0..9) {
        0 | 1 => window(film, rng),
        2 | 3 => whole_spine(film, rng),
        4 => shuffled(film, rng),
        5 => several(film, rng),
        6 => shapes(rng),
        7 => clouds(rng),
        _ => text(rng),
    }
}

/// A film of nothing: noise, stretched or not, with the beam's falling off and shutters.
pub(super) fn blank(rng: &mut ChaCha8Rng) -> Canvas {
    let level = rng.random_range(0.0..1.0);
    let noise = if rng.random::<bool>() {
        rng.random_range(0.0..0.4)
    } else {
        rng.random_range(0.0..0.03)
    };
    let slope = [
        rng.random_range(-0.2..0.2f32),
        rng.random_range(-0.2..0.2f32),
    ];
    let shutter = if rng.random::<bool>() {
        rng.random_range(0..SIDE / 6)
    } else {
        0
    };
    let outside = if rng.random::<bool>() { 0.0 } else { 1.0 };
    let height = SIDE * rng.random_range(80..=125) / 100;
    Canvas::drawn(SIDE, height, |x, y| {
        let inside = |at: usize, side: usize| (shutter..side - shutter).contains(&at);
        if !inside(x, SIDE) || !inside(y, height) {
            return outside;
        }
        let middle = |at: usize, side: usize| at as f32 / side as f32 - 0.5;
        let falling = slope[0] * middle(x, SIDE) + slope[1] * middle(y, height);
        // The sum of uniform numbers is nearly normal.
        let normal: f32 = (0..4).map(|_| rng.random_range(-0.87..0.87f32)).sum();
        level + falling + normal * noise
    })
}

/// A small part of the film.
fn window(film: &Canvas, rng: &mut ChaCha8Rng) -> Canvas {
    let mut cut = |side: usize| {
        let kept = (side as f32 * rng.random_range(0.12..0.36)) as usize;
        let before = rng.random_range(0..=side - kept);
        (before, side - kept - before)
    };
    let ((left, right), (top, bottom)) = (cut(film.width), cut(film.height));
    film.trimmed(Sides {
        left,
        top,
        right,
        bottom,
    })
}

/// A chest on a film that goes on below, as films of a whole spine do: the belly is drawn out.
fn whole_spine(film: &Canvas, rng: &mut ChaCha8Rng) -> Canvas {
    let from = film.height * rng.random_range(80..90) / 100;
    let drawn_out = rng.random_range(4..8);
    let below = (film.height - from) * drawn_out;
    let waist = rng.random_range(0.0..0.3f32);
    let side = rng.random_range(0..film.width / 5 + 1);
    let long = Canvas::drawn(film.width, from + below, |x, y| {
        let Some(beyond) = y.checked_sub(from) else {
            return film.at(x, y);
        };
        // Bodies and discs follow one another down the middle.
        let share = beyond as f32 / below as f32;
        let across = x as f32 / film.width as f32 - 0.5;
        let narrow = 1.0 + waist * (share * std::f32::consts::PI).sin();
        let source = ((across * narrow + 0.5).clamp(0.0, 1.0) * (film.width - 1) as f32) as usize;
        let value = film.at(source, from + beyond / drawn_out);
        let spine = (-(across / 0.06).powi(2)).exp();
        value + 0.1 * spine * (share * 40.0).sin()
    });
    let long = long.trimmed(Sides {
        left: side,
        right: side,
        ..Sides::default()
    });
    // Collections squash such films into squares.
    match rng.random::<bool>() {
        true => long.resized(SIDE * rng.random_range(60..=110) / 100, SIDE),
        false => long,
    }
}

/// The film's tiles in another order.
fn shuffled(film: &Canvas, rng: &mut ChaCha8Rng) -> Canvas {
    let tiles = rng.random_range(2..=5);
    let (width, height) = (film.width / tiles, film.height / tiles);
    let mut order: Vec<usize> = (0..tiles * tiles).collect();
    while order
        .iter()
        .enumerate()
        .filter(|(at, to)| at == *to)
        .count()
        > 1
    {
        order.shuffle(rng);
    }
    Canvas::drawn(width * tiles, height * tiles, |x, y| {
        let from = order[(y / height) * tiles + x / width];
        let (left, top) = (from % tiles * width, from / tiles * height);
        film.at(left + x % width, top + y % height)
    })
}

/// The film several times in one picture, as on a light box or a page.
fn several(film: &Canvas, rng: &mut ChaCha8Rng) -> Canvas {
    let (columns, rows) = [(2, 1), (1, 2), (2, 2), (3, 2)][rng.random_range(0..4)];
    let (width, height) = (SIDE / columns.max(rows), SIDE / columns.max(rows));
    let small = film.resized(width, height);
    let turned = [small.clone(), small.mirrored(), small.map(|v| 1.0 - v)];
    let choice: Vec<usize> = (0..columns * rows)
        .map(|_| rng.random_range(0..3))
        .collect();
    Canvas::drawn(width * columns, height * rows, |x, y| {
        turned[choice[(y / height) * columns + x / width]].at(x % width, y % height)
    })
}

/// Ellipses and rectangles that hide one another ("dead leaves", whose statistics are those of
/// photographs: Lee, Mumford and Huang, International Journal of Computer Vision 41, 2001).
fn shapes(rng: &mut ChaCha8Rng) -> Canvas {
    let background = rng.random_range(0.0..1.0);
    let mut canvas = Canvas::plain(SIDE, SIDE, background);
    let count = (rng.random_range(0f32..6.0)).exp() as usize + 1;
    for _ in 0..count {
        let size = SIDE as f32 * 0.5 * rng.random_range(0.02f32..1.0).powi(2);
        let stretch = rng.random_range(0.3f32..1.0);
        let (cx, cy) = (rng.random_range(0..SIDE), rng.random_range(0..SIDE));
        let angle = rng.random_range(0.0..std::f32::consts::PI);
        let (sine, cosine) = angle.sin_cos();
        let round = rng.random::<bool>();
        let (grey, slope) = (
            rng.random_range(0.0..1.0f32),
            rng.random_range(-0.3..0.3f32),
        );
        let reach = size as usize + 1;
        for y in cy.saturating_sub(reach)..(cy + reach).min(SIDE) {
            for x in cx.saturating_sub(reach)..(cx + reach).min(SIDE) {
                let (dx, dy) = (x as f32 - cx as f32, y as f32 - cy as f32);
                let u = (cosine * dx + sine * dy) / size;
                let v = (cosine * dy - sine * dx) / (size * stretch);
                let inside = match round {
                    true => u * u + v * v < 1.0,
                    false => u.abs() < 0.7 && v.abs() < 0.7,
                };
                if inside {
                    canvas.values[y * SIDE + x] = grey + slope * u;
                }
            }
        }
    }
    canvas
}

/// Clouds: noise of every size, the coarser the stronger.
fn clouds(rng: &mut ChaCha8Rng) -> Canvas {
    let mut canvas = Canvas::plain(SIDE, SIDE, 0.5);
    let falling = rng.random_range(0.4..0.8f32);
    let mut strength = rng.random_range(0.3..0.8f32);
    for cells in [2, 4, 8, 16, 32, 64, 128] {
        let points = cells + 2;
        let grid: Vec<f32> = (0..points * points)
            .map(|_| rng.random_range(-0.5..0.5f32) * strength)
            .collect();
        for (at, value) in canvas.values.iter_mut().enumerate() {
            let place = |at: usize| {
                let place = at as f32 * cells as f32 / SIDE as f32;
                (place as usize, place.fract())
            };
            let ((column, right), (row, lower)) = (place(at % SIDE), place(at / SIDE));
            let line = |row: usize| {
                let from = &grid[row * points + column..];
                from[0] + (from[1] - from[0]) * right
            };
            *value += line(row) + (line(row + 1) - line(row)) * lower;
        }
        strength *= falling;
    }
    canvas
}

/// A page: lines of words, dark on light or light on dark, and perhaps a picture's frame.
fn text(rng: &mut ChaCha8Rng) -> Canvas {
    let (paper, ink) = if rng.random::<bool>() {
        (rng.random_range(0.7..1.0), rng.random_range(0.0..0.3))
    } else {
        (rng.random_range(0.0..0.3), rng.random_range(0.7..1.0))
    };
    let mut page = Canvas::plain(SIDE, SIDE * rng.random_range(70..=140) / 100, paper);
    let letter = rng.random_range(3..12usize);
    let margin = rng.random_range(8..60usize);
    let mut top = margin;
    while top + letter < page.height.saturating_sub(margin) {
        let mut left = margin;
        let end = SIDE - margin - rng.random_range(0..SIDE / 3);
        while left + letter < end {
            let wide = rng.random_range(letter / 2 + 1..=letter);
            for y in top..top + letter {
                for x in left..(left + wide).min(SIDE) {
                    // Letters are strokes, with paper between.
                    if rng.random_range(0.0..1.0) < 0.55 {
                        page.values[y * SIDE + x] = ink;
                    }
                }
            }
            let gap = if rng.random_range(0.0..1.0) < 0.2 {
                letter
            } else {
                1
            };
            left += wide + gap;
        }
        top += letter * rng.random_range(15..30) / 10;
    }
    page
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn every_picture_is_drawn_and_repeats() {
        let film = Canvas::drawn(120, 140, |x, y| ((x * 7 + y * 3) % 50) as f32 / 50.0);
        for seed in 0..60 {
            let draw = || not_a_chest(&film, &mut ChaCha8Rng::seed_from_u64(seed));
            let picture = draw();
            assert_eq!(picture, draw());
            assert!(picture.values.iter().all(|value| value.is_finite()));
            assert_ne!(picture, film);
            assert!(picture.width >= 14 && picture.height >= 16);
        }
    }

    #[test]
    fn a_blank_film_has_no_shapes() {
        for seed in 0..20 {
            let film = blank(&mut ChaCha8Rng::seed_from_u64(seed));
            let inner = film.trimmed(Sides {
                left: SIDE / 5,
                top: SIDE / 4,
                right: SIDE / 5,
                bottom: SIDE / 4,
            });
            // Its quarters have nearly one mean.
            let mean = |x: usize, y: usize| {
                let (w, h) = (inner.width / 2, inner.height / 2);
                let part = Canvas::drawn(w, h, |u, v| inner.at(x * w + u, y * h + v));
                part.values.iter().sum::<f32>() / part.values.len() as f32
            };
            let means = [mean(0, 0), mean(1, 0), mean(0, 1), mean(1, 1)];
            let spread = means.iter().fold(0f32, |s, m| s.max((m - means[0]).abs()));
            assert!(spread < 0.2, "{spread}");
        }
    }
}
