//! Pictures in colour to grey: grey kept as colour, grey in a tint, and grey with some colour burnt
//! in. A picture that is none of these is refused.
//!
//! The pixels of a tinted grey film lie along one line in the space of colours, whatever the tint.
//! That line is fitted by the main axis of the pixels' covariance, four times over, each time
//! without the pixels that were far from it, so that burnt-in marks do not bend it.

use alloc::vec::Vec;

use super::error::DecodeError;
use super::note::Note;

/// Most by which the channels of a grey pixel may differ, of 255: the rounding of JPEG's conversion
/// to luminance and chrominance and back.
const CHANNEL_TOLERANCE: u16 = 4;

/// Greatest distance, of 255 a channel, from the line of a tint. Photographed films come up to 30
/// from it, by their compression.
const LINE_TOLERANCE: f64 = 32.0;

/// Greatest share of pixels away from the line: marks, stamps and letters.
const MOST_BURNT_IN: f64 = 0.05;

/// Least share of pixels away from the line that is told.
const TOLD_BURNT_IN: f64 = 0.0005;

/// Least component of a tint's direction: no channel falls while the others rise.
const LEAST_COMPONENT: f64 = -0.1;

/// Least luminance of the direction of a line on which a channel falls. From blue to yellow the
/// luminance still tells the pixels apart, from red to green it does not.
const LEAST_LUMINANCE: f64 = 0.3;

/// The luminance of red, green and blue, in thousandths (ITU-R BT.601, which JPEG uses too).
const LUMINANCE: [u32; 3] = [299, 587, 114];

/// Number of pixels by which the line is fitted.
const SAMPLES: usize = 1 << 18;

/// Rounds of fitting the line.
const ROUNDS: usize = 4;

/// Multiplications that bring a vector to the main axis.
const POWER_STEPS: usize = 64;

type Colour = [f64; 3];

/// The grey values of a picture, and what its reader should know of its colours.
pub(super) struct Grey {
    /// The values, with the bits of the colours.
    pub values: Vec<u16>,
    pub notes: Vec<Note>,
}

/// Returns the grey of red, green and blue, each of 8 or 16 `bits`.
///
/// # Errors
/// If the picture is in colour.
pub(super) fn to_grey(
    pixels: impl Iterator<Item = [u16; 3]> + Clone,
    bits: u8,
) -> Result<Grey, DecodeError> {
    // Of 16 bits a picture may use fewer.
    let greatest = || pixels.clone().flatten().max().unwrap_or(0);
    let unit = match bits > 8 {
        true => (greatest() / 255).max(1),
        false => 1,
    };
    let tolerance = CHANNEL_TOLERANCE * unit;
    if pixels.clone().all(|pixel| spread(pixel) <= tolerance) {
        let mean =
            |[r, g, b]: [u16; 3]| ((u32::from(r) + u32::from(g) + u32::from(b) + 1) / 3) as u16;
        return Ok(Grey {
            values: pixels.map(mean).collect(),
            notes: Vec::new(),
        });
    }
    let scaled = |pixel: [u16; 3]| pixel.map(|channel| f64::from(channel) / f64::from(unit));
    let count = pixels.clone().count();
    let samples = pixels.clone().step_by(count.div_ceil(SAMPLES)).map(scaled);
    let line = Line::fit(&samples.collect::<Vec<_>>()).ok_or(DecodeError::Colour)?;
    let (mut away, mut spreads) = (0usize, 0u64);
    for pixel in pixels.clone() {
        match line.distance(scaled(pixel)) > LINE_TOLERANCE {
            true => away += 1,
            false => spreads += u64::from(spread(pixel)),
        }
    }
    let share = away as f64 / count as f64;
    if share > MOST_BURNT_IN {
        return Err(DecodeError::Colour);
    }
    let mut notes = Vec::new();
    if spreads > (count - away) as u64 * u64::from(tolerance) {
        notes.push(Note::Tint);
    }
    if share >= TOLD_BURNT_IN {
        notes.push(Note::BurntInColour { share });
    }
    let luminance = |pixel: [u16; 3]| {
        let channels = pixel.iter().zip(LUMINANCE);
        let sum: u32 = channels
            .map(|(channel, part)| u32::from(*channel) * part)
            .sum();
        ((sum + 500) / 1000) as u16
    };
    Ok(Grey {
        values: pixels.map(luminance).collect(),
        notes,
    })
}

/// The difference of a pixel's greatest and least channel.
fn spread([r, g, b]: [u16; 3]) -> u16 {
    r.max(g).max(b) - r.min(g).min(b)
}

/// A line in the space of colours.
struct Line {
    point: Colour,
    /// Of length 1.
    direction: Colour,
}

impl Line {
    /// Fits the line; none if it is not one of brighter and darker pixels of a tint.
    fn fit(samples: &[Colour]) -> Option<Self> {
        let mut line = Self::through(samples.iter())?;
        for _ in 1..ROUNDS {
            let near = samples
                .iter()
                .filter(|s| line.distance(**s) <= LINE_TOLERANCE);
            line = Self::through(near)?;
        }
        let rising = line.direction.iter().all(|c| *c >= LEAST_COMPONENT);
        let luminance = dot(
            line.direction,
            LUMINANCE.map(|part| f64::from(part) / 1000.0),
        );
        (rising || luminance.abs() >= LEAST_LUMINANCE).then_some(line)
    }

    /// Returns the main axis of `samples`; none if they have one colour.
    fn through<'a>(samples: impl Iterator<Item = &'a Colour> + Clone) -> Option<Self> {
        let count = samples.clone().count();
        if count == 0 {
            return None;
        }
        let mut point = [0.0; 3];
        for sample in samples.clone() {
            for (sum, channel) in point.iter_mut().zip(sample) {
                *sum += channel;
            }
        }
        point = point.map(|sum| sum / count as f64);
        let mut covariance = [[0.0; 3]; 3];
        for sample in samples {
            let off = difference(*sample, point);
            for (row, y) in covariance.iter_mut().zip(off) {
                for (cell, x) in row.iter_mut().zip(off) {
                    *cell += y * x;
                }
            }
        }
        let mut direction = [libm::sqrt(1.0 / 3.0); 3];
        for _ in 0..POWER_STEPS {
            let next = covariance.map(|row| dot(row, direction));
            let length = libm::sqrt(dot(next, next));
            if length < f64::MIN_POSITIVE {
                // All samples have one colour, and the picture is not grey.
                return None;
            }
            direction = next.map(|component| component / length);
        }
        Some(Self { point, direction })
    }

    fn distance(&self, colour: Colour) -> f64 {
        let off = difference(colour, self.point);
        let along = dot(off, self.direction);
        libm::sqrt((dot(off, off) - along * along).max(0.0))
    }
}

fn dot(one: Colour, other: Colour) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

fn difference(one: Colour, other: Colour) -> Colour {
    core::array::from_fn(|channel| one[channel] - other[channel])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A film of 100 x 100 pixels from dark to bright in the colour of `tint`.
    fn film(tint: Colour) -> Vec<[u16; 3]> {
        let pixel = |at: u32| tint.map(|share| (f64::from(at % 256) * share) as u16);
        (0..10_000).map(pixel).collect()
    }

    fn grey(pixels: &[[u16; 3]]) -> Result<Grey, DecodeError> {
        to_grey(pixels.iter().copied(), 8)
    }

    #[test]
    fn tints_are_read_by_their_luminance() {
        for tint in [
            [1.0, 0.8, 0.5],
            [0.2, 0.3, 1.0],
            [0.0, 1.0, 0.0],
            [0.6, 1.0, 1.0],
        ] {
            let pixels = film(tint);
            let read = grey(&pixels).unwrap();
            assert_eq!(read.notes, [Note::Tint]);
            let [r, g, b] = pixels[200].map(f64::from);
            let luminance = 0.299 * r + 0.587 * g + 0.114 * b;
            assert!((f64::from(read.values[200]) - luminance).abs() <= 0.5);
        }
    }

    #[test]
    fn a_channel_may_fall_where_the_luminance_rises() {
        let pixels: Vec<_> = (0..10_000)
            .map(|at| [at % 256, at % 256, 255 - at % 256])
            .collect();
        assert_eq!(grey(&pixels).unwrap().notes, [Note::Tint]);
    }

    #[test]
    fn a_small_share_of_colour_is_told() {
        let mut pixels = film([1.0; 3]);
        pixels[..300].fill([250, 20, 20]);
        let read = grey(&pixels).unwrap();
        assert_eq!(read.notes, [Note::BurntInColour { share: 0.03 }]);
        assert_eq!((read.values[0], read.values[400]), (89, 144));
        pixels[..900].fill([250, 20, 20]);
        assert!(matches!(grey(&pixels), Err(DecodeError::Colour)));
    }

    #[test]
    fn colours_that_are_no_tint_are_refused() {
        // From green to red.
        let pixels: Vec<_> = (0..10_000)
            .map(|at| [at % 256, 255 - at % 256, 40])
            .collect();
        assert!(matches!(grey(&pixels), Err(DecodeError::Colour)));
        // All hues.
        let pixels: Vec<_> = (0..10_000u16)
            .map(|at| [at % 256, at / 7 % 256, at / 3 % 256])
            .collect();
        assert!(matches!(grey(&pixels), Err(DecodeError::Colour)));
    }

    #[test]
    fn grey_kept_as_colour_has_no_notes() {
        let read = grey(&[[7, 9, 8]; 10]).unwrap();
        assert_eq!((&*read.values, &*read.notes), (&[8; 10][..], &[][..]));
        assert!(matches!(grey(&[[7, 90, 8]; 10]), Err(DecodeError::Colour)));
    }
}
