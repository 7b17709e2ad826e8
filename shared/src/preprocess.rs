//! Preprocessing, from a film to the networks' input: letterboxed to a square and averaged down to
//! 256 x 256, in integer arithmetic, so that every processor gives the same bytes.
//!
//! The picture is never squashed, as angles are the signal: the longer side becomes 256, the
//! shorter one its nearest whole number, and the rest of the square is 0 (air). Each output pixel
//! is the exact mean of the rectangle of the film that it covers, parts of pixels counted by their
//! area: with the sides cut into `film side x output side` equal steps, all areas are whole
//! numbers.

use alloc::vec;
use alloc::vec::Vec;

use crate::film::Film;

/// The side of the networks' input in pixels.
pub const SIDE: usize = 256;

/// ImageNet's mean of each channel, on a scale of 0 to 1 (torchvision's).
pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];

/// ImageNet's standard deviation of each channel, on the same scale.
pub const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// The fingerprint of everything between a film's file and the network's input: the SHA-256 of the
/// greys of fixed golden files, decoded and prepared (`tests/fingerprint.rs`). A bundle carries the
/// fingerprint it was trained with, and a reader refuses it unless it [`is_compatible`].
pub const FINGERPRINT: &str = "b9477af35ad82fe418ab0246c4280253fbb4f29a73998ccec3a0d73b95651247";

/// Earlier fingerprints whose preprocessing gives the same greys as today's for every film that
/// both read rightly.
///
/// - `c464a74d`: the SHA-256 of [`prepare`]'s outputs alone, for the synthetic films of this
///   module's tests, which still prove it. When it was replaced, every golden file had the greys
///   that it has today. Two kinds of films were read wrongly then: those with unreadable numbers or
///   with more bits than Bits Stored are refused today, and compressed ones whose stored bits are
///   not the lowest ones are read.
const EARLIER: [&str; 1] = ["c464a74d8f93e459935240e4903fab3e0a878429b611c77848e047bbbb23bf71"];

/// Returns true if a network that was trained with the preprocessing of this fingerprint can read
/// films that were prepared by today's.
///
/// ```
/// use plumbline_shared::preprocess::{FINGERPRINT, is_compatible};
///
/// assert!(is_compatible(FINGERPRINT));
/// assert!(!is_compatible("of another preprocessing"));
/// ```
pub fn is_compatible(fingerprint: &str) -> bool {
    fingerprint == FINGERPRINT || EARLIER.contains(&fingerprint)
}

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rect {
    /// Number of columns left of it.
    pub left: u32,
    /// Number of rows above it.
    pub top: u32,
    /// Number of its columns.
    pub width: u32,
    /// Number of its rows.
    pub height: u32,
}

/// A preprocessed film.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    grey: Vec<u16>,
    content: Rect,
}

impl Prepared {
    /// Returns the 256 x 256 greys, row-major.
    pub fn grey(&self) -> &[u16] {
        &self.grey
    }

    /// Returns the part of the square that the film fills.
    pub fn content(&self) -> Rect {
        self.content
    }

    /// Returns the networks' input: 3 x 256 x 256, three equal channels from 0 to 1, normalised by
    /// [`MEAN`] and [`DEVIATION`].
    pub fn tensor(&self) -> Vec<f32> {
        tensor(&self.grey)
    }
}

/// Returns the networks' input for 256 x 256 greys, as [`Prepared::tensor`] does.
pub fn tensor(grey: &[u16]) -> Vec<f32> {
    let mut tensor = Vec::with_capacity(3 * grey.len());
    for (mean, deviation) in MEAN.into_iter().zip(DEVIATION) {
        let normalised = |grey: &u16| (f32::from(*grey) / 65535.0 - mean) / deviation;
        tensor.extend(grey.iter().map(normalised));
    }
    tensor
}

/// Letterboxes `film` to a square and averages it down (or spreads it up) to 256 x 256.
///
/// ```
/// use plumbline_shared::film::Film;
/// use plumbline_shared::preprocess::prepare;
///
/// let film = Film::new(2, 4, vec![65_535; 8])?;
/// let prepared = prepare(&film);
/// assert_eq!((prepared.content().left, prepared.content().width), (64, 128));
/// assert_eq!(prepared.grey()[128], 65_535);
/// assert_eq!(prepared.grey()[0], 0);
/// assert_eq!(prepared.tensor().len(), 3 * 256 * 256);
/// # Ok::<(), plumbline_shared::film::FilmError>(())
/// ```
pub fn prepare(film: &Film) -> Prepared {
    let content = letterbox(film.width(), film.height());
    let columns = shares(film.width(), content.width);
    let rows = shares(film.height(), content.height);
    let area = u64::from(film.width()) * u64::from(film.height());
    let (width, left) = (film.width() as usize, content.left as usize);
    let mut grey = vec![0; SIDE * SIDE];
    // Down the columns first: whole lines are added at once.
    let mut column_sums = vec![0; width];
    for (row, share) in rows.iter().enumerate() {
        share.add_lines(film.pixels(), &mut column_sums);
        let line = &mut grey[(content.top as usize + row) * SIDE + left..][..columns.len()];
        for (grey, share) in line.iter_mut().zip(&columns) {
            // At most 65535, as the weights of each output pixel add up to `area`.
            *grey = ((share.sum(&column_sums) + area / 2) / area) as u16;
        }
    }
    Prepared { grey, content }
}

/// Returns the part of the square that a film of this size fills.
pub fn letterbox(width: u32, height: u32) -> Rect {
    let longer = u64::from(width.max(height));
    let side = SIDE as u64;
    let scaled = |length: u32| {
        let nearest = (u64::from(length) * side + longer / 2) / longer;
        nearest.max(1) as u32
    };
    let (width, height) = (scaled(width), scaled(height));
    Rect {
        left: (SIDE as u32 - width) / 2,
        top: (SIDE as u32 - height) / 2,
        width,
        height,
    }
}

/// The pixels of one film line under one output pixel: the first and the last with part of their
/// length, those between with all of it.
struct Share {
    first: usize,
    first_weight: u32,
    between: u32,
    last: usize,
    last_weight: u32,
}

/// Divides a line of `film` pixels among `output` ones. Lengths are in steps of which a film pixel
/// has `output` and an output pixel `film`.
fn shares(film: u32, output: u32) -> Vec<Share> {
    let (film, step) = (u64::from(film), u64::from(output));
    (0..step)
        .map(|index| {
            let (start, end) = (index * film, (index + 1) * film);
            let (first, last) = (start / step, (end - 1) / step);
            let (first_weight, last_weight) = if first == last {
                (end - start, 0)
            } else {
                ((first + 1) * step - start, end - last * step)
            };
            Share {
                first: first as usize,
                first_weight: first_weight as u32,
                between: output,
                last: last as usize,
                last_weight: last_weight as u32,
            }
        })
        .collect()
}

impl Share {
    /// Returns the weighted sum of values along a line.
    fn sum(&self, line: &[u64]) -> u64 {
        let between = line.get(self.first + 1..self.last).unwrap_or_default();
        line[self.first] * u64::from(self.first_weight)
            + line[self.last] * u64::from(self.last_weight)
            + between.iter().sum::<u64>() * u64::from(self.between)
    }

    /// Sets each of `sums` to the weighted sum of its column in `pixels`, lines of their length.
    fn add_lines(&self, pixels: &[u16], sums: &mut [u64]) {
        let width = sums.len();
        let line = |at: usize| &pixels[at * width..][..width];
        let ends = line(self.first).iter().zip(line(self.last));
        for (sum, (first, last)) in sums.iter_mut().zip(ends) {
            *sum = u64::from(*first) * u64::from(self.first_weight)
                + u64::from(*last) * u64::from(self.last_weight);
        }
        let between: Vec<&[u16]> = (self.first + 1..self.last).map(line).collect();
        // As many greys as a u32 is sure to hold the sum of.
        for lines in between.chunks(65_536) {
            let mut unweighted = vec![0u32; width];
            for line in lines {
                for (sum, pixel) in unweighted.iter_mut().zip(*line) {
                    *sum += u32::from(*pixel);
                }
            }
            for (sum, unweighted) in sums.iter_mut().zip(&unweighted) {
                *sum += u64::from(*unweighted) * u64::from(self.between);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// Deterministic noise over a gradient.
    fn film(width: u32, height: u32) -> Film {
        let pixels = (0..width * height)
            .map(|i| {
                let noise = i.wrapping_mul(2_654_435_761) >> 18;
                ((i % width * 40_000 / width) + noise) as u16
            })
            .collect();
        Film::new(width, height, pixels).unwrap()
    }

    const SIZES: [(u32, u32); 9] = [
        (256, 256),
        (512, 512),
        (1024, 1024),
        (2048, 2500),
        (1955, 1841),
        (300, 257),
        (64, 64),
        (1, 700),
        (700, 1),
    ];

    #[test]
    fn the_first_fingerprint_is_that_of_the_outputs() {
        let mut hash = Sha256::new();
        for (width, height) in SIZES {
            let prepared = prepare(&film(width, height));
            for grey in prepared.grey() {
                hash.update(grey.to_le_bytes());
            }
        }
        let digest = crate::manifest::hexadecimal(&hash.finalize());
        assert_eq!(digest, EARLIER[0]);
        assert!(is_compatible(&digest));
    }

    #[test]
    fn a_film_of_the_right_size_is_unchanged() {
        let film = film(256, 256);
        assert_eq!(prepare(&film).grey(), film.pixels());
    }

    #[test]
    fn means_are_exact() {
        // Against the definition, in rational arithmetic with a common denominator.
        for (width, height) in SIZES {
            let film = film(width, height);
            let prepared = prepare(&film);
            let content = prepared.content();
            let covered = |side: u32, output: u32, index: u32, pixel: u32| {
                let (start, end) = (index * side, (index + 1) * side);
                let (from, to) = (pixel * output, (pixel + 1) * output);
                u64::from(end.min(to).saturating_sub(start.max(from)))
            };
            for index in (0..content.width * content.height).step_by(997) {
                let (x, y) = (index % content.width, index / content.width);
                let mut sum = 0;
                for row in 0..height {
                    let down = covered(height, content.height, y, row);
                    if down == 0 {
                        continue;
                    }
                    for column in 0..width {
                        let across = covered(width, content.width, x, column);
                        let pixel = film.pixels()[(row * width + column) as usize];
                        sum += u64::from(pixel) * across * down;
                    }
                }
                let area = u64::from(width) * u64::from(height);
                let at = (content.top + y) as usize * SIDE + (content.left + x) as usize;
                assert_eq!(u64::from(prepared.grey()[at]), (sum + area / 2) / area);
            }
        }
    }

    #[test]
    fn the_shorter_side_is_centred_on_air() {
        let white = Film::new(100, 200, vec![65_535; 20_000]).unwrap();
        let prepared = prepare(&white);
        let content = prepared.content();
        assert_eq!((content.left, content.top), (64, 0));
        assert_eq!((content.width, content.height), (128, 256));
        for (at, grey) in prepared.grey().iter().enumerate() {
            let inside = (64..192).contains(&(at % SIDE));
            assert_eq!(*grey, if inside { 65_535 } else { 0 });
        }
    }

    #[test]
    fn the_tensor_is_normalised() {
        let white = Film::new(256, 256, vec![65_535; 65_536]).unwrap();
        let tensor = prepare(&white).tensor();
        assert_eq!(tensor.len(), 3 * 65_536);
        for channel in 0..3 {
            let expected = (1.0 - MEAN[channel]) / DEVIATION[channel];
            assert_eq!(tensor[channel * 65_536], expected);
        }
    }
}
