//! The orientation of a picture, and turning it head up with the patient's left on the right.

use alloc::vec::Vec;
use core::fmt;

use crate::film::{Film, FilmError};

/// A turn of a picture: one of the eight ways to lay it on a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// First, rows become columns.
    pub transposed: bool,
    /// Then left and right change places.
    pub mirrored: bool,
    /// Then top and bottom change places.
    pub flipped: bool,
}

impl Turn {
    /// Returns the turn that Exif's Orientation, 1 to 8, asks for (TIFF 6.0, tag 274, is the same);
    /// none for other numbers.
    pub(super) fn of_exif(orientation: u16) -> Option<Self> {
        // Top and left of the picture are where the first row and the first column are.
        let (transposed, mirrored, flipped) = match orientation {
            1 => (false, false, false),
            2 => (false, true, false),
            3 => (false, true, true),
            4 => (false, false, true),
            5 => (true, false, false),
            6 => (true, true, false),
            7 => (true, true, true),
            8 => (true, false, true),
            _ => return None,
        };
        Some(Self {
            transposed,
            mirrored,
            flipped,
        })
    }

    /// Returns the turn that brings the head up, and the patient's left to the right of a frontal
    /// film, from Patient Orientation (PS3.3, C.7.6.1.1.1): the directions of the rows and of the
    /// columns. None if they do not say where the head is.
    pub(super) fn of_patient(orientation: &str) -> Option<Self> {
        let mut directions = orientation.split('\\').map(str::trim);
        let (row, column) = (directions.next()?, directions.next()?);
        let (row, column) = (row.chars().next()?, column.chars().next()?);
        let is_vertical = |direction| matches!(direction, 'H' | 'F');
        let transposed = is_vertical(row);
        let (row, column) = match transposed {
            true => (column, row),
            false => (row, column),
        };
        (is_vertical(column) && !is_vertical(row)).then_some(Self {
            transposed,
            mirrored: row == 'R',
            flipped: column == 'H',
        })
    }

    /// Returns true if the picture stays as it is.
    pub(super) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Turns a film.
    pub(super) fn apply(self, film: Film) -> Result<Film, FilmError> {
        if self.is_none() {
            return Ok(film);
        }
        let (width, height) = (film.width() as usize, film.height() as usize);
        let (turned_width, turned_height) = match self.transposed {
            true => (height, width),
            false => (width, height),
        };
        let pixels = film.pixels();
        let mut turned = Vec::with_capacity(pixels.len());
        for y in 0..turned_height {
            let y = if self.flipped {
                turned_height - 1 - y
            } else {
                y
            };
            for x in 0..turned_width {
                let x = if self.mirrored {
                    turned_width - 1 - x
                } else {
                    x
                };
                let (column, row) = if self.transposed { (y, x) } else { (x, y) };
                turned.push(pixels[row * width + column]);
            }
        }
        Film::new(turned_width as u32, turned_height as u32, turned)
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match (self.transposed, self.mirrored, self.flipped) {
            (false, false, false) => "not turned",
            (false, true, false) => "turned over, left to right",
            (false, false, true) => "turned over, top to bottom",
            (false, true, true) => "turned by 180 degrees",
            (true, true, false) => "turned by 90 degrees clockwise",
            (true, false, true) => "turned by 90 degrees anticlockwise",
            (true, false, false) => "turned by 90 degrees clockwise and over, left to right",
            (true, true, true) => "turned by 90 degrees clockwise and over, top to bottom",
        };
        f.write_str(words)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// A film whose pixels are numbered:
    ///
    /// 0 1 2
    /// 3 4 5
    fn turned(turn: Turn) -> (u32, Vec<u16>) {
        let film = turn
            .apply(Film::new(3, 2, vec![0, 1, 2, 3, 4, 5]).unwrap())
            .unwrap();
        (film.width(), film.pixels().to_vec())
    }

    #[test]
    fn exif_orientations_are_undone() {
        // As Pillow's exif_transpose does it.
        let expected = [
            (3, [0, 1, 2, 3, 4, 5]),
            (3, [2, 1, 0, 5, 4, 3]),
            (3, [5, 4, 3, 2, 1, 0]),
            (3, [3, 4, 5, 0, 1, 2]),
            (2, [0, 3, 1, 4, 2, 5]),
            (2, [3, 0, 4, 1, 5, 2]),
            (2, [5, 2, 4, 1, 3, 0]),
            (2, [2, 5, 1, 4, 0, 3]),
        ];
        for (number, (width, pixels)) in (1..).zip(expected) {
            let turn = Turn::of_exif(number).unwrap();
            assert_eq!(turned(turn), (width, pixels.to_vec()), "{number}: {turn}");
        }
        assert_eq!((Turn::of_exif(0), Turn::of_exif(9)), (None, None));
    }

    #[test]
    fn the_head_comes_up_and_the_left_side_to_the_right() {
        let of = |text: &str| Turn::of_patient(text).map(turned);
        let unchanged = Some((3, vec![0, 1, 2, 3, 4, 5]));
        for text in ["L\\F", "A\\F", "P\\FR", "LP \\ F"] {
            assert_eq!(of(text), unchanged, "{text}");
        }
        assert_eq!(of("R\\F"), Some((3, vec![2, 1, 0, 5, 4, 3])));
        assert_eq!(of("L\\H"), Some((3, vec![3, 4, 5, 0, 1, 2])));
        assert_eq!(of("R\\H"), Some((3, vec![5, 4, 3, 2, 1, 0])));
        assert_eq!(of("P\\H"), Some((3, vec![3, 4, 5, 0, 1, 2])));
        // Rows run to the feet and columns to the left: the first row is the patient's right.
        assert_eq!(of("F\\L"), Some((2, vec![0, 3, 1, 4, 2, 5])));
        assert_eq!(of("F\\R"), Some((2, vec![3, 0, 4, 1, 5, 2])));
        assert_eq!(of("H\\L"), Some((2, vec![2, 5, 1, 4, 0, 3])));
        for text in ["", "L", "\\", "L\\P", "F\\H", "X\\Y"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
