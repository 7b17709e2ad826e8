//! A film as numbers that can be changed.

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma};
use plumbline_shared::film::{Film, FilmError};

/// A film as the image crate has it.
type Picture<'a> = ImageBuffer<Luma<f32>, &'a [f32]>;

/// Brightest grey of a film.
const WHITE: f32 = 65_535.0;

/// A film, row-major, from 0 (black, air) to 1 (white, dense).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Vec<f32>,
}

/// Numbers of columns or rows on each side of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sides {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) right: usize,
    pub(super) bottom: usize,
}

impl Canvas {
    pub(super) fn of(film: &Film) -> Self {
        let values = film.pixels().iter().map(|grey| f32::from(*grey) / WHITE);
        Self {
            width: film.width() as usize,
            height: film.height() as usize,
            values: values.collect(),
        }
    }

    /// A canvas of one grey.
    pub(super) fn plain(width: usize, height: usize, value: f32) -> Self {
        Self {
            width,
            height,
            values: vec![value; width * height],
        }
    }

    /// The film; what is beyond black or white becomes these.
    pub(super) fn film(&self) -> Result<Film, FilmError> {
        let grey = |value: &f32| (value.clamp(0.0, 1.0) * WHITE).round() as u16;
        let pixels = self.values.iter().map(grey).collect();
        Film::new(self.width as u32, self.height as u32, pixels)
    }

    /// The canvas at another size, each pixel a weighted mean of those that it covers.
    pub(super) fn averaged(&self, width: u32, height: u32) -> Self {
        let (own_width, own_height) = (self.width as u32, self.height as u32);
        let picture: Option<Picture> = ImageBuffer::from_raw(own_width, own_height, &self.values);
        let picture = picture.expect("a canvas has a value for each pixel");
        let resized = imageops::resize(&picture, width, height, FilterType::Triangle);
        Self {
            width: width as usize,
            height: height as usize,
            values: resized.into_raw(),
        }
    }

    /// The value at a place between pixels, whose middles lie at whole numbers and a half: Catmull and
    /// Rom's cubic through the four nearest of each axis. Beyond the film its last pixel goes on.
    pub(super) fn between(&self, [x, y]: [f64; 2]) -> f32 {
        let (columns, across) = nearest(x, self.width);
        let (rows, down) = nearest(y, self.height);
        let along = |row: &usize| -> f32 {
            let values = columns.iter().map(|column| self.at(*column, *row));
            values
                .zip(across)
                .map(|(value, weight)| value * weight)
                .sum()
        };
        rows.iter()
            .zip(down)
            .map(|(row, weight)| along(row) * weight)
            .sum()
    }

    pub(super) fn at(&self, x: usize, y: usize) -> f32 {
        self.values[y * self.width + x]
    }

    /// A canvas of another size, each of whose pixels is `from` its column and row.
    pub(super) fn drawn(
        width: usize,
        height: usize,
        mut from: impl FnMut(usize, usize) -> f32,
    ) -> Self {
        let places = (0..width * height).map(|at| (at % width, at / width));
        Self {
            width,
            height,
            values: places.map(|(x, y)| from(x, y)).collect(),
        }
    }

    pub(super) fn map(mut self, grey: impl Fn(f32) -> f32) -> Self {
        for value in &mut self.values {
            *value = grey(*value);
        }
        self
    }

    pub(super) fn upside_down(&self) -> Self {
        let (w, h) = (self.width, self.height);
        Self::drawn(w, h, |x, y| self.at(w - 1 - x, h - 1 - y))
    }

    pub(super) fn mirrored(&self) -> Self {
        let w = self.width;
        Self::drawn(w, self.height, |x, y| self.at(w - 1 - x, y))
    }

    /// Turned by a quarter so that its upper edge comes to the left.
    pub(super) fn turned_left(&self) -> Self {
        let w = self.width;
        Self::drawn(self.height, w, |x, y| self.at(w - 1 - y, x))
    }

    /// Turned by a quarter so that its upper edge comes to the right.
    pub(super) fn turned_right(&self) -> Self {
        let h = self.height;
        Self::drawn(h, self.width, |x, y| self.at(y, h - 1 - x))
    }

    /// Without so many columns and rows on each side; a pixel at least is left.
    pub(super) fn trimmed(&self, off: Sides) -> Self {
        let left = off.left.min(self.width - 1);
        let top = off.top.min(self.height - 1);
        let width = (self.width - left).saturating_sub(off.right).max(1);
        let height = (self.height - top).saturating_sub(off.bottom).max(1);
        Self::drawn(width, height, |x, y| self.at(left + x, top + y))
    }

    /// With so many columns and rows of one grey more on each side.
    pub(super) fn padded(&self, by: Sides, grey: f32) -> Self {
        let width = self.width + by.left + by.right;
        let height = self.height + by.top + by.bottom;
        Self::drawn(width, height, |x, y| {
            let (x, y) = (x.wrapping_sub(by.left), y.wrapping_sub(by.top));
            if x < self.width && y < self.height {
                self.at(x, y)
            } else {
                grey
            }
        })
    }

    /// In another size, by the nearest pixels.
    pub(super) fn resized(&self, width: usize, height: usize) -> Self {
        Self::drawn(width, height, |x, y| {
            self.at(x * self.width / width, y * self.height / height)
        })
    }

    /// The value below which this share of the film's middle lies, a tenth of each side left out, as
    /// collimators and air are there.
    pub(super) fn quantile_of_middle(&self, share: f32) -> f32 {
        let (left, top) = (self.width / 10, self.height / 10);
        let middle = self.trimmed(Sides {
            left,
            top,
            right: left,
            bottom: top,
        });
        let mut values = middle.values;
        let at = ((values.len() - 1) as f32 * share) as usize;
        *values.select_nth_unstable_by(at, f32::total_cmp).1
    }
}

/// The four pixels nearest to a place on an axis of so many, and their weights.
fn nearest(place: f64, pixels: usize) -> ([usize; 4], [f32; 4]) {
    let place = place - 0.5;
    let t = (place - place.floor()) as f32;
    let last = pixels as isize - 1;
    let first = place.floor() as isize - 1;
    let indices = [0, 1, 2, 3].map(|step| (first + step).clamp(0, last) as usize);
    let weights = [
        ((2.0 - t) * t - 1.0) * t,
        (3.0 * t - 5.0) * t * t + 2.0,
        ((4.0 - 3.0 * t) * t + 1.0) * t,
        (t - 1.0) * t * t,
    ];
    (indices, weights.map(|weight| weight / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canvas() -> Canvas {
        Canvas::drawn(3, 2, |x, y| (10 * y + x) as f32)
    }

    #[test]
    fn turns_go_where_they_say() {
        // The upper left corner is 0, the upper right one 2.
        let left = canvas().turned_left();
        assert_eq!((left.width, left.height), (2, 3));
        assert_eq!((left.at(0, 0), left.at(0, 2)), (2.0, 0.0));
        let right = canvas().turned_right();
        assert_eq!((right.at(1, 0), right.at(1, 2)), (0.0, 2.0));
        assert_eq!(left.turned_right(), canvas());
        assert_eq!(canvas().upside_down().at(2, 1), 0.0);
        assert_eq!(canvas().mirrored().at(2, 0), 0.0);
        assert_eq!(canvas().turned_left().turned_left(), canvas().upside_down());
    }

    #[test]
    fn trimming_takes_away_what_padding_adds() {
        let by = Sides {
            left: 1,
            top: 2,
            right: 3,
            bottom: 0,
        };
        let padded = canvas().padded(by, 7.0);
        assert_eq!((padded.width, padded.height, padded.at(0, 0)), (7, 4, 7.0));
        assert_eq!(padded.trimmed(by), canvas());
        let all = Sides {
            left: 9,
            top: 9,
            ..by
        };
        assert_eq!(canvas().trimmed(all).values, [12.0]);
    }

    #[test]
    fn cubics_go_through_pixels_and_follow_slopes() {
        let slope = Canvas::drawn(8, 6, |x, y| 0.1 * x as f32 + 0.05 * y as f32);
        for (x, y) in [(3.5, 2.5), (3.75, 2.5), (2.6, 3.3)] {
            let expected = 0.1 * (x - 0.5) + 0.05 * (y - 0.5);
            assert!((slope.between([x, y]) - expected as f32).abs() < 1e-6);
        }
        assert!((slope.between([99.0, 99.0]) - slope.at(7, 5)).abs() < 1e-6);
        let half = slope.averaged(4, 3);
        assert!((half.at(2, 1) - (slope.at(4, 2) + slope.at(5, 3)) / 2.0).abs() < 1e-6);
    }

    #[test]
    fn films_come_back() {
        let film = Film::new(2, 2, vec![0, 1, 40_000, 65_535]).unwrap();
        assert_eq!(Canvas::of(&film).film().unwrap(), film);
        let beyond = Canvas::plain(1, 1, 2.0).film().unwrap();
        assert_eq!(beyond.pixels(), [65_535]);
    }
}
