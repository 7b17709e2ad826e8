//! Films on which nothing is to be seen.

use alloc::vec;
use alloc::vec::Vec;

use crate::film::Film;

/// Least share of pixels that have one of a few greys on a blank film.
const BLANK: f64 = 0.995;

/// Number of greys that a blank film may have: one value, and noise of one step around it.
const GREYS: usize = 3;

/// Number of pixels that are looked at first: nearly all films are seen to show something by them.
/// Of icons, which have fewer, nothing is said.
const GLANCE: usize = 1 << 12;

/// Returns the share of pixels that have the [`GREYS`] most frequent greys, if that is so great that
/// the film is blank. Black ones are left out where they are padding.
pub(super) fn blank_share(film: &Film, padded: bool) -> Option<f64> {
    let counted = |grey: &u16| !(padded && *grey == 0);
    let pixels = film.pixels();
    if pixels.len() < GLANCE {
        return None;
    }
    let glance = pixels
        .iter()
        .step_by(pixels.len().div_ceil(GLANCE))
        .copied();
    // A glance may miss small things on a blank film, and is believed only if it sees many.
    let share = share_of_few(glance.filter(counted));
    if share < 0.9 {
        return None;
    }
    let share = share_of_few(pixels.iter().copied().filter(counted));
    (share >= BLANK).then_some(share)
}

/// Returns the share of the [`GREYS`] most frequent greys; all of none.
fn share_of_few(pixels: impl Iterator<Item = u16>) -> f64 {
    let mut counts: Vec<u32> = vec![0; 1 << 16];
    let mut all = 0u32;
    for grey in pixels {
        counts[usize::from(grey)] += 1;
        all += 1;
    }
    if all == 0 {
        return 1.0;
    }
    counts.sort_unstable_by(|one, other| other.cmp(one));
    let few: u32 = counts[..GREYS].iter().sum();
    f64::from(few) / f64::from(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(pixels: impl Iterator<Item = u16>, padded: bool) -> Option<f64> {
        blank_share(&Film::new(100, 100, pixels.collect()).unwrap(), padded)
    }

    #[test]
    fn one_value_and_noise_around_it_are_blank() {
        assert_eq!(share((0..10_000).map(|_| 7), false), Some(1.0));
        assert_eq!(share((0..10_000).map(|at| 7 + at % 3), false), Some(1.0));
        assert_eq!(share((0..10_000).map(|at| at % 4), false), None);
        // A small mark on it.
        let mark = (0..10_000u16).map(|at| if at < 40 { at * 1000 } else { 65_535 });
        assert_eq!(share(mark, false), Some(0.9962));
        let object = (0..10_000u16).map(|at| if at < 200 { at * 300 } else { 65_535 });
        assert_eq!(share(object, false), None);
    }

    #[test]
    fn padding_does_not_count() {
        let halves = |inner: fn(u16) -> u16| {
            (0..10_000).map(move |at| if at < 6000 { 0 } else { inner(at) })
        };
        assert_eq!(share(halves(|_| 65_535), true), Some(1.0));
        assert_eq!(share(halves(|at| at), true), None);
        assert_eq!(share((0..10_000).map(|_| 0), true), Some(1.0));
    }
}
