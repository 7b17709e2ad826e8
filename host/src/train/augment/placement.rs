//! Films turned, moved, scaled, squashed and mirrored.

use plumbline_shared::preprocess::SIDE;

/// The place in the film from which each pixel of the varied film is read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placement {
    pub(super) cosine: f32,
    pub(super) sine: f32,
    pub(super) right: f32,
    pub(super) down: f32,
    pub(super) mirrored: bool,
    /// Factor of widths in the film for widths in the varied film: less than 1 widens.
    pub(super) narrowing: f32,
}

impl Placement {
    /// The film as it is.
    pub(super) const AS_IS: Self = Self {
        cosine: 1.0,
        sine: 0.0,
        right: 0.0,
        down: 0.0,
        mirrored: false,
        narrowing: 1.0,
    };

    /// `grey` (`SIDE x SIDE`) placed anew and reduced to `side x side` by averaging, from 0 to
    /// 65535. What comes from outside the film has the level of the film's border.
    pub(super) fn place(&self, grey: &[u16], side: usize) -> Vec<f32> {
        if *self == Self::AS_IS {
            return averaged(grey.iter().copied().map(f32::from), side);
        }
        let border = border_level(grey);
        let middle = (SIDE as f32 - 1.0) / 2.0;
        let places = (0..SIDE).flat_map(|row| (0..SIDE).map(move |column| (row, column)));
        let placed = places.map(|(row, column)| {
            let y = row as f32 - middle - self.down;
            let x = (column as f32 - middle - self.right) * self.narrowing;
            let x = if self.mirrored { -x } else { x };
            let from_x = self.cosine * x + self.sine * y + middle;
            let from_y = self.cosine * y - self.sine * x + middle;
            sample(grey, from_x, from_y, border)
        });
        averaged(placed, side)
    }
}

/// A film of `SIDE x SIDE`, row by row, reduced to `side x side` by averaging.
pub(super) fn averaged(film: impl Iterator<Item = f32>, side: usize) -> Vec<f32> {
    let step = SIDE / side;
    let mut out = vec![0.0; side * side];
    for (at, value) in film.enumerate() {
        out[at / SIDE / step * side + at % SIDE / step] += value;
    }
    let share = 1.0 / (step * step) as f32;
    for value in &mut out {
        *value *= share;
    }
    out
}

/// The middle grey of the film's outermost pixels.
fn border_level(grey: &[u16]) -> f32 {
    let mut border: Vec<u16> = (0..SIDE)
        .flat_map(|i| [i, (SIDE - 1) * SIDE + i, i * SIDE, i * SIDE + SIDE - 1])
        .map(|at| grey[at])
        .collect();
    let middle = border.len() / 2;
    f32::from(*border.select_nth_unstable(middle).1)
}

/// Bilinear interpolation; `outside` beyond the film.
fn sample(grey: &[u16], x: f32, y: f32, outside: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (right_share, lower_share) = (x - left, y - top);
    let (left, top) = (left as i32, top as i32);
    let inside = 0..SIDE as i32;
    let at = |column: i32, row: i32| {
        if inside.contains(&column) && inside.contains(&row) {
            f32::from(grey[row as usize * SIDE + column as usize])
        } else {
            outside
        }
    };
    let upper = at(left, top) + (at(left + 1, top) - at(left, top)) * right_share;
    let lower = at(left, top + 1) + (at(left + 1, top + 1) - at(left, top + 1)) * right_share;
    upper + (lower - upper) * lower_share
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient() -> Vec<u16> {
        (0..SIDE * SIDE)
            .map(|at| (at % SIDE * 100 + at / SIDE * 7) as u16)
            .collect()
    }

    #[test]
    fn as_is_keeps_every_pixel_and_halves_by_averaging() {
        let film = gradient();
        let same = Placement::AS_IS.place(&film, SIDE);
        assert!(same.iter().zip(&film).all(|(a, b)| *a == f32::from(*b)));
        let half = Placement::AS_IS.place(&film, SIDE / 2);
        let four = [film[0], film[1], film[SIDE], film[SIDE + 1]].map(f32::from);
        assert_eq!(half[0], four.iter().sum::<f32>() / 4.0);
    }

    #[test]
    fn a_quarter_turn_moves_pixels_where_it_should() {
        let film = gradient();
        let turned = Placement {
            cosine: 0.0,
            sine: 1.0,
            ..Placement::AS_IS
        }
        .place(&film, SIDE);
        // The place (row, column) reads from (SIDE - 1 - column, row).
        for (row, column) in [(0, 0), (3, 200), (255, 7)] {
            let from = f32::from(film[(SIDE - 1 - column) * SIDE + row]);
            assert!((turned[row * SIDE + column] - from).abs() < 1.0);
        }
    }

    #[test]
    fn narrowing_by_two_shows_twice_the_width() {
        let film = gradient();
        let placement = Placement {
            narrowing: 2.0,
            ..Placement::AS_IS
        };
        let narrow = placement.place(&film, SIDE);
        // Columns 64 and 191 lie at the film's borders; rows stay.
        for row in [0, 100, 255] {
            let rise = narrow[row * SIDE + 190] - narrow[row * SIDE + 65];
            assert!((rise - 2.0 * 125.0 * 100.0).abs() < 1.0, "{rise}");
            let middle = narrow[row * SIDE + 127] + narrow[row * SIDE + 128];
            let as_is = film[row * SIDE + 127] + film[row * SIDE + 128];
            assert!((middle - f32::from(as_is)).abs() < 1.0);
        }
    }

    #[test]
    fn reducing_later_is_reducing_at_once() {
        let film = gradient();
        let whole = Placement::AS_IS.place(&film, SIDE);
        let at_once = Placement::AS_IS.place(&film, 64);
        let later = averaged(whole.into_iter(), 64);
        assert!(at_once.iter().zip(later).all(|(a, b)| (a - b).abs() < 0.1));
    }
}
