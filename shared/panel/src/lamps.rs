//! The six lamps: their places in the row, and the rhythms that tell them apart without colour.

use crate::time::{MILLISECOND, Micros};

/// A lamp of the panel, in its place from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Lamp {
    /// The station takes the next film.
    Ready = 0,
    /// A film is being received or read, or is missing.
    Busy = 1,
    /// The newest film needs a specialist's look.
    Refer = 2,
    /// The newest film shows no sign of scoliosis.
    NoSign = 3,
    /// The newest film cannot be used: take it again.
    TakeAgain = 4,
    /// Do not trust the other lamps; look at the computer.
    Fault = 5,
}

impl Lamp {
    /// All lamps, from left to right.
    pub const ALL: [Self; 6] = [
        Self::Ready,
        Self::Busy,
        Self::Refer,
        Self::NoSign,
        Self::TakeAgain,
        Self::Fault,
    ];
    /// The lamps that say what became of a film.
    pub const RESULTS: [Self; 3] = [Self::Refer, Self::NoSign, Self::TakeAgain];
}

/// A set of lamps: bit n is the n-th lamp from the left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lamps(pub u8);

impl Lamps {
    /// No lamp.
    pub const NONE: Self = Self(0);
    /// All six.
    pub const ALL: Self = Self(0b11_1111);

    /// Whether the set holds `lamp`.
    pub const fn has(self, lamp: Lamp) -> bool {
        self.0 >> lamp as u8 & 1 == 1
    }

    /// The set and `lamp`.
    #[must_use]
    pub const fn with(self, lamp: Lamp) -> Self {
        Self(self.0 | 1 << lamp as u8)
    }
}

/// How a lamp is lit over time, as a lighthouse is: an operator who sees no colours, or one lamp in
/// the dark, still knows which it is.
///
/// All rhythms begin lit. None flashes more than three times a second, which could harm
/// photosensitive people (WCAG 2.2, success criterion 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rhythm {
    /// Lit.
    Steady,
    /// As long lit as dark: 1 s each.
    Even,
    /// One short flash in 2 s.
    OneFlash,
    /// Two short flashes in 2 s.
    TwoFlashes,
    /// Three short flashes in 2 s.
    ThreeFlashes,
    /// Lit, with a short break every 2 s.
    Winking,
    /// 2.5 short flashes a second, without a pause.
    Quick,
}

impl Rhythm {
    /// All rhythms.
    pub const ALL: [Self; 7] = [
        Self::Steady,
        Self::Even,
        Self::OneFlash,
        Self::TwoFlashes,
        Self::ThreeFlashes,
        Self::Winking,
        Self::Quick,
    ];

    /// Milliseconds lit, dark, lit, ..., from the rhythm's begin; then again.
    pub const fn steps(self) -> &'static [u16] {
        match self {
            Self::Steady => &[2000],
            Self::Even => &[1000, 1000],
            Self::OneFlash => &[200, 1800],
            Self::TwoFlashes => &[200, 200, 200, 1400],
            Self::ThreeFlashes => &[200, 200, 200, 200, 200, 1000],
            Self::Winking => &[1800, 200],
            Self::Quick => &[200, 200],
        }
    }

    /// Whether a lamp is lit that has kept this rhythm for `since`, and for how much longer.
    pub fn at(self, since: Micros) -> (bool, Micros) {
        let steps = self.steps();
        let length = |step: &u16| Micros::from(*step) * MILLISECOND;
        let period: Micros = steps.iter().map(length).sum();
        let mut left = since % period;
        for (index, step) in steps.iter().enumerate() {
            if left < length(step) {
                return (index % 2 == 0, length(step) - left);
            }
            left -= length(step);
        }
        unreachable!("the steps fill the period")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec::Vec;

    /// Lit or dark in each tenth of a second of four seconds.
    fn seen(rhythm: Rhythm, from: u64) -> Vec<bool> {
        (0..40)
            .map(|tenth| rhythm.at((from + tenth) * 100 * MILLISECOND).0)
            .collect()
    }

    #[test]
    fn no_two_rhythms_look_alike_whenever_one_begins_to_look() {
        for one in Rhythm::ALL {
            for other in Rhythm::ALL {
                if one != other {
                    for from in 0..20 {
                        assert_ne!(seen(one, 0), seen(other, from), "{one:?} and {other:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn rhythms_begin_lit_and_flash_at_most_three_times_in_any_second() {
        for rhythm in Rhythm::ALL {
            assert!(rhythm.at(0).0, "{rhythm:?}");
            for from in 0..20 {
                let begun = seen(rhythm, from)
                    .windows(2)
                    .take(10)
                    .filter(|pair| !pair[0] && pair[1])
                    .count();
                assert!(begun <= 3, "{rhythm:?} begins {begun} flashes in a second");
            }
        }
    }

    #[test]
    fn a_step_lasts_as_long_as_it_says() {
        for rhythm in Rhythm::ALL {
            let mut at = 0;
            while at < 10_000 * MILLISECOND {
                let (lit, left) = rhythm.at(at);
                assert_eq!(rhythm.at(at + left - 1).0, lit, "{rhythm:?} at {at}");
                if rhythm != Rhythm::Steady {
                    assert_ne!(rhythm.at(at + left).0, lit, "{rhythm:?} at {at}");
                }
                at += left;
            }
        }
    }
}
