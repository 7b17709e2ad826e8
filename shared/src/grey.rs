//! Stored values to a film's grey, in the order of the DICOM pipeline: modality transform (PS3.3
//! C.11.1), VOI transform (C.11.2), inversion of MONOCHROME1 (C.7.6.3.1.2).
//!
//! A stored value has at most 16 bits, so the whole transform is one table of 65536 greys, made in
//! fixed point: every processor gives the same bytes. Only the sigmoid needs floats, in software.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use crate::film::{Film, FilmError};

/// The brightest grey.
const WHITE: i128 = 65535;

/// The pixels that the robust percentiles leave out at each end, in thousandths of all: 0.5 %.
const TAIL_THOUSANDTHS: u64 = 5;

/// A number in steps of 2^-32, from -2^31 to 2^31.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fixed(i64);

impl Fixed {
    const FRACTION: u32 = 32;

    /// Zero.
    pub const ZERO: Self = Self(0);

    /// One.
    pub const ONE: Self = Self(1 << Self::FRACTION);

    /// Returns the nearest number.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / (1u64 << Self::FRACTION) as f64
    }

    /// Returns the nearest step to `value`; none if it is no number or out of range.
    pub fn from_f64(value: f64) -> Option<Self> {
        let steps = libm::round(value * (1u64 << Self::FRACTION) as f64);
        let end = (1u64 << 63) as f64;
        (-end..end).contains(&steps).then_some(Self(steps as i64))
    }
}

/// The format of a stored value in its 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Bits Stored, 1 to 16: the bits above are ignored.
    pub bits: u8,
    /// Pixel Representation 1: two's complement.
    pub signed: bool,
}

impl Stored {
    /// Returns the number that all bits of `word` stand for.
    fn whole(self, word: u16) -> i32 {
        match self.signed {
            true => i32::from(word as i16),
            false => i32::from(word),
        }
    }

    /// Returns the number that the stored bits of `word` stand for.
    pub(crate) fn value(self, word: u16) -> i32 {
        let unused = 16 - u32::from(self.bits.clamp(1, 16));
        if self.signed {
            i32::from(((word << unused) as i16) >> unused)
        } else {
            i32::from((word << unused) >> unused)
        }
    }
}

/// A lookup table (PS3.3 C.11.1.1.1 and C.11.2.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lut {
    /// The value of the first entry; smaller values take the first entry too, and those past the
    /// end the last.
    pub first: i32,
    /// Bits of an entry, 1 to 16.
    pub bits: u8,
    /// The entries; an empty table gives 0.
    pub entries: Vec<u16>,
}

impl Lut {
    fn at(&self, value: i128) -> i128 {
        let last = self.entries.len().saturating_sub(1);
        let index = (value - i128::from(self.first)).clamp(0, last as i128) as usize;
        self.entries.get(index).copied().unwrap_or(0).into()
    }
}

/// The modality transform: stored values to physical or device-independent values (PS3.3
/// C.11.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModalityTransform {
    /// value = slope * stored + intercept (Rescale Slope, Rescale Intercept).
    Rescale {
        /// Rescale Slope.
        slope: Fixed,
        /// Rescale Intercept.
        intercept: Fixed,
    },
    /// Modality LUT Sequence.
    Lut(Lut),
}

impl ModalityTransform {
    /// No change.
    pub const IDENTITY: Self = Self::Rescale {
        slope: Fixed::ONE,
        intercept: Fixed::ZERO,
    };

    /// Returns true if a value of the format `stored` may become negative.
    pub(crate) fn may_be_negative(&self, stored: Stored) -> bool {
        let values = match (stored.signed, stored.bits.clamp(1, 16)) {
            (true, bits) => [-(1 << (bits - 1)), (1 << (bits - 1)) - 1],
            (false, bits) => [0, (1 << bits) - 1],
        };
        // A table's entries are never negative (PS3.3, C.11.1.1.1).
        matches!(self, Self::Rescale { .. }) && values.map(|v| self.value(v)).iter().any(|v| *v < 0)
    }

    /// Transforms a stored value; the result is in steps of [`Fixed`].
    fn value(&self, stored: i32) -> i128 {
        match self {
            Self::Rescale { slope, intercept } => {
                i128::from(slope.0) * i128::from(stored) + i128::from(intercept.0)
            }
            Self::Lut(lut) => lut.at(i128::from(stored)) << Fixed::FRACTION,
        }
    }
}

/// VOI LUT Function (PS3.3 C.11.2.1.3), for window centre c and width w, y from 0 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoiLutFunction {
    /// y = 65535 ((x - (c - 0.5)) / (w - 1) + 0.5), clamped (C.11.2.1.2.1).
    Linear,
    /// y = 65535 ((x - c) / w + 0.5), clamped (C.11.2.1.3.2).
    LinearExact,
    /// y = 65535 / (1 + exp(-4 (x - c) / w)) (C.11.2.1.3.1).
    Sigmoid,
}

/// The VOI transform: the values of interest and their brightness (PS3.3 C.11.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VoiTransform {
    /// Window Centre and Window Width.
    Window {
        /// Window Centre, c.
        centre: Fixed,
        /// Window Width, w: at least 1 for [`VoiLutFunction::Linear`], more than 0 for the others; a
        /// narrower one is a step at the centre.
        width: Fixed,
        /// VOI LUT Function.
        function: VoiLutFunction,
    },
    /// VOI LUT Sequence: entries of 0 to 2^bits - 1 are spread over 0 to 65535.
    Lut(Lut),
    /// No window is given: the values at 0.5 % and 99.5 % of the pixels become 0 and 65535, those
    /// between are stretched evenly and those beyond clamped. If the two are one value, the least
    /// and the greatest take their place; a constant picture is black.
    Percentiles,
}

/// The transform from stored values to grey.
///
/// ```
/// use plumbline_shared::grey::{Fixed, GreyscaleTransform, VoiLutFunction, VoiTransform};
///
/// let transform = GreyscaleTransform {
///     voi: VoiTransform::Window {
///         centre: Fixed::from_f64(50.0).unwrap(),
///         width: Fixed::from_f64(100.0).unwrap(),
///         function: VoiLutFunction::LinearExact,
///     },
///     ..GreyscaleTransform::of_picture(8)
/// };
/// let film = transform.film(4, 1, vec![0, 50, 100, 200])?;
/// assert_eq!(film.pixels(), [0, 32768, 65535, 65535]);
/// # Ok::<(), plumbline_shared::film::FilmError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GreyscaleTransform {
    /// The format of stored values.
    pub stored: Stored,
    /// The modality transform.
    pub modality: ModalityTransform,
    /// The VOI transform.
    pub voi: VoiTransform,
    /// MONOCHROME1: the least value is the brightest.
    pub inverted: bool,
    /// Stored values that pad the picture (PS3.3 C.7.5.1.1.2): they are air and become 0, whatever
    /// the other steps would give, and the percentiles do not count them.
    pub padding: Option<RangeInclusive<i32>>,
}

impl GreyscaleTransform {
    /// Returns the transform of pictures with no DICOM attributes: robust percentiles of unsigned
    /// values.
    pub fn of_picture(bits: u8) -> Self {
        Self {
            stored: Stored {
                bits,
                signed: false,
            },
            modality: ModalityTransform::IDENTITY,
            voi: VoiTransform::Percentiles,
            inverted: false,
            padding: None,
        }
    }

    /// Makes a film of `stored` values, row-major, in the low bits of each `u16`.
    ///
    /// # Errors
    /// If the size is refused by [`Film::check_size`] or is not the number of values.
    pub fn film(&self, width: u32, height: u32, mut stored: Vec<u16>) -> Result<Film, FilmError> {
        let table = self.table(&stored);
        for value in &mut stored {
            *value = table[usize::from(*value)];
        }
        Film::new(width, height, stored)
    }

    /// Returns the grey of every possible word; percentiles are those of the `stored` values.
    fn table(&self, stored: &[u16]) -> Vec<u16> {
        let values: Vec<Option<i128>> = (0..=u16::MAX)
            .map(|word| {
                let value = self.stored.value(word);
                // Padding may lie outside of Bits Stored.
                let whole = self.stored.whole(word);
                let pads = (self.padding.as_ref())
                    .is_some_and(|p| p.contains(&value) || p.contains(&whole));
                (!pads).then(|| self.modality.value(value))
            })
            .collect();
        let curve = match &self.voi {
            VoiTransform::Window {
                centre,
                width,
                function,
            } => Curve::window(*centre, *width, *function),
            VoiTransform::Lut(lut) => Curve::Lut(lut),
            VoiTransform::Percentiles => Curve::percentiles(&values, stored),
        };
        let grey = |value: Option<i128>| match (value.map(|value| curve.at(value)), self.inverted) {
            (None, _) => 0,
            (Some(grey), false) => grey,
            (Some(grey), true) => u16::MAX - grey,
        };
        values.into_iter().map(grey).collect()
    }
}

/// A function of values, in steps of [`Fixed`], to grey.
enum Curve<'a> {
    /// 0 up to `low`, 65535 from `high` on, and a straight line between.
    Line {
        low: i128,
        high: i128,
    },
    Sigmoid {
        centre: i128,
        width: i128,
    },
    Lut(&'a Lut),
    Black,
}

impl<'a> Curve<'a> {
    fn window(centre: Fixed, width: Fixed, function: VoiLutFunction) -> Self {
        let (centre, width) = (i128::from(centre.0), i128::from(width.0));
        // Ends are a half step apart from the mean of an odd sum at most.
        let line = |centre: i128, width: i128| {
            let width = width.max(0);
            let low = centre - width / 2;
            Curve::Line {
                low,
                high: low + width,
            }
        };
        let one = i128::from(Fixed::ONE.0);
        match function {
            VoiLutFunction::Linear => line(centre - one / 2, width - one),
            VoiLutFunction::LinearExact => line(centre, width),
            VoiLutFunction::Sigmoid => Curve::Sigmoid {
                centre,
                width: width.max(1),
            },
        }
    }

    fn percentiles(values: &[Option<i128>], stored: &[u16]) -> Self {
        let mut seen: Vec<(i128, u64)> = (values.iter().zip(counts(stored)))
            .filter(|(_, count)| *count > 0)
            .filter_map(|(value, count)| Some(((*value)?, count)))
            .collect();
        seen.sort_unstable();
        let pixels: u64 = seen.iter().map(|(_, count)| count).sum();
        let tail = pixels * TAIL_THOUSANDTHS / 1000;
        let Some((&(least, _), &(greatest, _))) = seen.first().zip(seen.last()) else {
            return Curve::Black;
        };
        let low = at_rank(seen.iter(), tail).unwrap_or(least);
        let high = at_rank(seen.iter().rev(), tail).unwrap_or(greatest);
        if low < high {
            Curve::Line { low, high }
        } else if least < greatest {
            Curve::Line {
                low: least,
                high: greatest,
            }
        } else {
            Curve::Black
        }
    }

    fn at(&self, value: i128) -> u16 {
        let grey = match self {
            Curve::Line { low, .. } if value <= *low => 0,
            Curve::Line { high, .. } if value >= *high => WHITE,
            Curve::Line { low, high } => nearest((value - low) * WHITE, high - low),
            Curve::Sigmoid { centre, width } => {
                let x = (value - centre) as f64 / *width as f64;
                libm::round(WHITE as f64 / (1.0 + libm::exp(-4.0 * x))) as i128
            }
            Curve::Lut(lut) => {
                let top = (1 << lut.bits.clamp(1, 16)) - 1;
                let whole = nearest(value, Fixed::ONE.0.into());
                nearest(lut.at(whole).min(top) * WHITE, top)
            }
            Curve::Black => 0,
        };
        grey.clamp(0, WHITE) as u16
    }
}

/// Returns numbers of any range as grey, stretched as by [`VoiTransform::Percentiles`]. Those that
/// are no numbers are black, and the percentiles do not count them.
pub fn stretched(values: &[f64]) -> Vec<u16> {
    let mut ranked: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    ranked.sort_unstable_by(f64::total_cmp);
    let tail = (ranked.len() as u64 * TAIL_THOUSANDTHS / 1000) as usize;
    let between = |first: usize| Some((*ranked.get(first)?, *ranked.iter().nth_back(first)?));
    let distinct = |ends: &(f64, f64)| ends.0 < ends.1;
    let ends = between(tail)
        .filter(distinct)
        .or(between(0).filter(distinct));
    let grey = |value: &f64| match ends {
        Some((low, high)) if value.is_finite() => {
            let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
            libm::floor(share * WHITE as f64 + 0.5) as u16
        }
        _ => 0,
    };
    values.iter().map(grey).collect()
}

/// Counts the pixels of each word.
fn counts(stored: &[u16]) -> Vec<u64> {
    // Neighbours are often equal, and adding twice to one count waits for the first addition: so
    // every other pixel is counted elsewhere.
    let mut counts = vec![[0u64; 2]; 1 << 16];
    let (pairs, last) = stored.as_chunks::<2>();
    for [even, odd] in pairs {
        counts[usize::from(*even)][0] += 1;
        counts[usize::from(*odd)][1] += 1;
    }
    for word in last {
        counts[usize::from(*word)][0] += 1;
    }
    counts.into_iter().map(|[even, odd]| even + odd).collect()
}

/// Returns the value of the pixel that has `rank` pixels before it.
fn at_rank<'a>(seen: impl Iterator<Item = &'a (i128, u64)>, rank: u64) -> Option<i128> {
    let mut before = 0;
    for (value, count) in seen {
        before += count;
        if before > rank {
            return Some(*value);
        }
    }
    None
}

/// Returns the whole number nearest to `dividend / divisor`, halves up.
fn nearest(dividend: i128, divisor: i128) -> i128 {
    (2 * dividend + divisor).div_euclid(2 * divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(value: f64) -> Fixed {
        Fixed::from_f64(value).unwrap()
    }

    fn greys(grey: &GreyscaleTransform, values: &[u16]) -> Vec<u16> {
        let film = grey.film(values.len() as u32, 1, values.to_vec()).unwrap();
        film.pixels().to_vec()
    }

    fn window(centre: f64, width: f64, function: VoiLutFunction) -> GreyscaleTransform {
        GreyscaleTransform {
            voi: VoiTransform::Window {
                centre: fixed(centre),
                width: fixed(width),
                function,
            },
            ..GreyscaleTransform::of_picture(16)
        }
    }

    #[test]
    fn windows_follow_their_formulas() {
        // PS3.3 C.11.2.1.2.1's own example: centre 2048, width 4096 shows 0 to 4095.
        let linear = greys(
            &window(2048.0, 4096.0, VoiLutFunction::Linear),
            &[0, 1, 2048, 4095, 5000],
        );
        assert_eq!(linear, [0, 16, 32776, 65535, 65535]);
        let exact = greys(
            &window(2048.0, 4096.0, VoiLutFunction::LinearExact),
            &[0, 1, 2048, 4095, 4096],
        );
        assert_eq!(exact, [0, 16, 32768, 65519, 65535]);
        // 65535 / (1 + e^4), / 2, / (1 + e^-2).
        let sigmoid = greys(
            &window(100.0, 100.0, VoiLutFunction::Sigmoid),
            &[0, 100, 150],
        );
        assert_eq!(sigmoid, [1179, 32768, 57723]);
        // Width 1: a threshold, the centre itself white (x > c - 0.5).
        assert_eq!(
            greys(&window(7.0, 1.0, VoiLutFunction::Linear), &[6, 7]),
            [0, 65535]
        );
    }

    #[test]
    fn percentiles_leave_half_a_percent_at_each_end() {
        let mut values: Vec<u16> = (1000..2000).collect();
        values[0] = 0;
        values[999] = 60000;
        let greys = greys(&GreyscaleTransform::of_picture(16), &values);
        // Ranks 5 and 994 of 1000.
        assert_eq!((greys[4], greys[5], greys[6]), (0, 0, 66));
        assert_eq!((greys[993], greys[994], greys[999]), (65469, 65535, 65535));
    }

    #[test]
    fn numbers_are_stretched_as_words_are() {
        let mut words: Vec<u16> = (0..2000).map(|at| at * 31 % 1999).collect();
        words[7] = 60_000;
        let expected = greys(&GreyscaleTransform::of_picture(16), &words);
        let numbers: Vec<f64> = words.iter().map(|w| f64::from(*w) * 1e-3 - 7.0).collect();
        for (ours, expected) in stretched(&numbers).into_iter().zip(expected) {
            assert!(ours.abs_diff(expected) <= 1);
        }
        assert_eq!(
            stretched(&[f64::NAN, 1.0, f64::INFINITY, 3.0]),
            [0, 0, 0, 65_535]
        );
        assert_eq!(stretched(&[5.0; 3]), [0; 3]);
        assert_eq!(stretched(&[f64::NAN]), [0]);
    }

    #[test]
    fn flat_pictures_are_black_and_a_spot_on_one_is_seen() {
        assert_eq!(greys(&GreyscaleTransform::of_picture(8), &[9; 50]), [0; 50]);
        let mut values = [9; 500];
        values[3] = 11;
        assert_eq!(greys(&GreyscaleTransform::of_picture(8), &values)[3], 65535);
        let mut grey = GreyscaleTransform::of_picture(8);
        grey.padding = Some(9..=9);
        assert_eq!(greys(&grey, &[9; 50]), [0; 50]);
    }

    #[test]
    fn inversion_mirrors_every_grey_but_padding() {
        let mut grey = GreyscaleTransform::of_picture(8);
        grey.padding = Some(255..=255);
        let values = [1, 2, 3, 4, 255];
        let plain = greys(&grey, &values);
        assert_eq!(plain, [0, 21845, 43690, 65535, 0]);
        grey.inverted = true;
        assert_eq!(greys(&grey, &values), [65535, 43690, 21845, 0, 0]);
    }

    #[test]
    fn a_negative_slope_turns_the_picture() {
        let mut grey = GreyscaleTransform::of_picture(8);
        grey.modality = ModalityTransform::Rescale {
            slope: fixed(-0.25),
            intercept: fixed(1000.0),
        };
        assert_eq!(greys(&grey, &[1, 2, 3, 4]), [65535, 43690, 21845, 0]);
    }

    #[test]
    fn signed_values_of_any_width_are_read() {
        let stored = Stored {
            bits: 12,
            signed: true,
        };
        assert_eq!(stored.value(0x0fff), -1);
        assert_eq!(stored.value(0xf7ff), 2047);
        assert_eq!(stored.value(0x0800), -2048);
        let stored = Stored {
            bits: 12,
            signed: false,
        };
        assert_eq!(stored.value(0xffff), 4095);
    }

    #[test]
    fn tables_end_in_their_first_and_last_entries() {
        let mut grey = GreyscaleTransform::of_picture(16);
        grey.voi = VoiTransform::Lut(Lut {
            first: 10,
            bits: 12,
            entries: vec![0, 1000, 4095],
        });
        let expected = [0, 0, 16004, 65535, 65535];
        assert_eq!(greys(&grey, &[0, 10, 11, 12, 60000]), expected);
        grey.modality = ModalityTransform::Lut(Lut {
            first: 100,
            bits: 16,
            entries: vec![12, 11, 10],
        });
        assert_eq!(
            greys(&grey, &[0, 100, 101, 102, 103]),
            [65535, 65535, 16004, 0, 0]
        );
    }

    #[test]
    fn numbers_out_of_range_are_none() {
        assert_eq!(Fixed::from_f64(1.0), Some(Fixed::ONE));
        for value in [f64::NAN, f64::INFINITY, 1e10, -1e10] {
            assert_eq!(Fixed::from_f64(value), None);
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        let most = fixed(-2147483648.0);
        for function in [
            VoiLutFunction::Linear,
            VoiLutFunction::LinearExact,
            VoiLutFunction::Sigmoid,
        ] {
            let mut grey = window(-2147483648.0, -2147483648.0, function);
            grey.modality = ModalityTransform::Rescale {
                slope: most,
                intercept: most,
            };
            greys(&grey, &[0, 1, 65535]);
        }
    }
}
