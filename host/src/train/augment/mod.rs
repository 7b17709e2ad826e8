//! Films varied anew each time they are drawn.

mod placement;
mod processing;

use plumbline_shared::preprocess::SIDE;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use placement::{Placement, averaged};
use processing::Processing;

/// The ranges of random changes to films; none by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Rotated by up to this many degrees either way.
    pub rotation_degrees: f32,
    /// Moved by up to this share of the side, each way.
    pub shift: f32,
    /// Scaled by up to this share, larger or smaller.
    pub scale: f32,
    /// Mirrored half of the time. Off unless asked for: sides matter.
    pub mirror: bool,
    /// Differences from the middle grey stretched or shrunk by up to this share.
    pub contrast: f32,
    /// Brightened or darkened by up to this share of the range from black to white.
    pub brightness: f32,
    /// Normal noise added to each pixel, with a deviation of up to this share of that range.
    pub noise: f32,
    /// Widened or narrowed by up to this share, the height as it was: 1 doubles or halves widths.
    #[serde(skip_serializing_if = "is_zero")]
    pub squash: f32,
    /// Greys changed along a rising curve of six random pieces; those that rise most and least
    /// differ by a factor of up to `e` to two times this.
    #[serde(skip_serializing_if = "is_zero")]
    pub curve: f32,
    /// Differences from the mean of a neighbourhood of random size stretched or shrunk by up to
    /// this share: edges sharpened or softened, large differences evened or raised.
    #[serde(skip_serializing_if = "is_zero")]
    pub local_contrast: f32,
    /// Blurred with a deviation of up to this many pixels of 256 across the film.
    #[serde(skip_serializing_if = "is_zero")]
    pub blur: f32,
    /// Compressed half of the time by JPEG, of a quality down to 100 less a hundred times this.
    #[serde(skip_serializing_if = "is_zero")]
    pub jpeg: f32,
    /// Up to this many rectangles covered by one grey, up to a fifth of the side long.
    #[serde(skip_serializing_if = "is_zero")]
    pub cutouts: usize,
}

/// The most rectangles that a film may be covered by.
const MOST_CUTOUTS: usize = 32;

impl Augmentation {
    /// The first value that is out of range, in words.
    pub(super) fn fault(&self) -> Option<String> {
        if !(0.0..=45.0).contains(&self.rotation_degrees) {
            Some(format!(
                "a rotation of {} degrees: give 0 to 45",
                self.rotation_degrees
            ))
        } else if !(0.0..=0.5).contains(&self.shift) || !(0.0..=0.5).contains(&self.scale) {
            Some(format!(
                "a shift of {} and a scale of {}: give 0 to 0.5",
                self.shift, self.scale
            ))
        } else if [self.contrast, self.brightness, self.noise]
            .iter()
            .any(|share| !(0.0..=0.5).contains(share))
        {
            Some("a contrast, a brightness or a noise that is not 0 to 0.5".into())
        } else if !(0.0..=2.0).contains(&self.curve) {
            Some(format!("a curve of {}: give 0 to 2", self.curve))
        } else if [self.squash, self.local_contrast]
            .iter()
            .any(|share| !(0.0..=1.0).contains(share))
        {
            Some("a squash or a local_contrast that is not 0 to 1".into())
        } else if !(0.0..=8.0).contains(&self.blur) {
            Some(format!("a blur of {} pixels: give 0 to 8", self.blur))
        } else if !(0.0..=0.95).contains(&self.jpeg) {
            Some(format!("a jpeg of {}: give 0 to 0.95", self.jpeg))
        } else if self.cutouts > MOST_CUTOUTS {
            Some(format!(
                "{} cutouts: give 0 to {MOST_CUTOUTS}",
                self.cutouts
            ))
        } else {
            None
        }
    }

    /// A variation drawn within these bounds.
    pub(super) fn draw(&self, rng: &mut ChaCha8Rng) -> Variation {
        let placement = self.placement(rng);
        let contrast = 1.0 + rng.random_range(-1.0f32..=1.0) * self.contrast;
        let brightness = rng.random_range(-1.0f32..=1.0) * self.brightness;
        let noise = rng.random_range(0.0f32..=1.0) * self.noise;
        Variation {
            placement,
            contrast,
            brightness: brightness * WHITE,
            noise: noise * WHITE,
            seed: rng.random(),
            processing: Processing::draw(self, rng),
        }
    }

    fn placement(&self, rng: &mut ChaCha8Rng) -> Placement {
        let mut between = |bound: f32| rng.random_range(-1.0f32..=1.0) * bound;
        let angle = between(self.rotation_degrees).to_radians();
        let (right, down) = (between(self.shift), between(self.shift));
        let scale = 1.0 + between(self.scale);
        let mirrored = self.mirror && rng.random();
        let narrowing = match self.squash > 0.0 {
            true => (rng.random_range(-1.0f32..=1.0) * self.squash.ln_1p()).exp(),
            false => 1.0,
        };
        Placement {
            cosine: angle.cos() / scale,
            sine: angle.sin() / scale,
            right: right * SIDE as f32,
            down: down * SIDE as f32,
            mirrored,
            narrowing,
        }
    }
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The brightest grey.
const WHITE: f32 = 65_535.0;

/// One way to vary a film.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Variation {
    placement: Placement,
    /// Factor of the differences from the middle grey.
    contrast: f32,
    /// Grey added.
    brightness: f32,
    /// Deviation of the noise, in grey, and the seed that draws it.
    noise: f32,
    seed: u64,
    processing: Processing,
}

impl Variation {
    /// The film as it is.
    pub(super) fn as_is() -> Self {
        Self {
            placement: Placement::AS_IS,
            contrast: 1.0,
            brightness: 0.0,
            noise: 0.0,
            seed: 0,
            processing: Processing::default(),
        }
    }

    /// `grey` (`SIDE x SIDE`) varied and reduced to `side x side`, from 0 to 65535.
    pub(super) fn apply(&self, grey: &[u16], side: usize) -> Vec<f32> {
        let mut varied = match self.processing.is_none() {
            true => self.placement.place(grey, side),
            false => {
                let mut whole = self.placement.place(grey, SIDE);
                self.processing.apply(&mut whole);
                averaged(whole.into_iter(), side)
            }
        };
        if self.contrast != 1.0 || self.brightness != 0.0 {
            let middle = WHITE / 2.0;
            for value in &mut varied {
                *value = (*value - middle) * self.contrast + middle + self.brightness;
            }
        }
        if self.noise > 0.0 {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            for value in &mut varied {
                let normal: f32 = StandardNormal.sample(&mut rng);
                *value += normal * self.noise;
            }
        }
        if *self != Self::as_is() {
            for value in &mut varied {
                *value = value.clamp(0.0, WHITE);
            }
        }
        varied
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outside_has_the_border_s_level() {
        let mut film = vec![30_000; SIDE * SIDE];
        film[100 * SIDE + 100] = 60_000;
        let bounds = Augmentation {
            rotation_degrees: 45.0,
            shift: 0.2,
            ..Default::default()
        };
        for seed in 0..8 {
            let variation = bounds.draw(&mut ChaCha8Rng::seed_from_u64(seed));
            let placed = variation.apply(&film, SIDE);
            assert!(placed.iter().all(|v| (29_999.0..=60_000.0).contains(v)));
        }
    }

    #[test]
    fn draws_stay_within_bounds_and_repeat() {
        let bounds = Augmentation {
            rotation_degrees: 10.0,
            mirror: true,
            ..Default::default()
        };
        let draw = |seed| bounds.draw(&mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(draw(5), draw(5));
        let limit = 10f32.to_radians().sin() + 1e-6;
        assert!((0..200).all(|seed| draw(seed).placement.sine.abs() <= limit));
        assert!(
            (0..200).any(|seed| draw(seed).placement.mirrored)
                && (0..200).any(|s| !draw(s).placement.mirrored)
        );
    }

    #[test]
    fn greys_vary_as_far_as_asked() {
        let film = vec![40_000; SIDE * SIDE];
        let bounds = Augmentation {
            contrast: 0.2,
            brightness: 0.1,
            noise: 0.05,
            ..Default::default()
        };
        let mut means = Vec::new();
        for seed in 0..40 {
            let variation = bounds.draw(&mut ChaCha8Rng::seed_from_u64(seed));
            let varied = variation.apply(&film, SIDE);
            assert_eq!(varied, variation.apply(&film, SIDE));
            let count = varied.len() as f32;
            let mean = varied.iter().sum::<f32>() / count;
            let middle = (40_000.0 - WHITE / 2.0) * variation.contrast + WHITE / 2.0;
            assert!((mean - middle - variation.brightness).abs() < 60.0);
            let square = varied.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / count;
            assert!((square.sqrt() - variation.noise).abs() < 0.02 * WHITE * bounds.noise + 1.0);
            assert!(varied.iter().all(|v| (0.0..=WHITE).contains(v)));
            means.push(mean);
        }
        let least = means.iter().copied().fold(f32::MAX, f32::min);
        let greatest = means.iter().copied().fold(f32::MIN, f32::max);
        assert!(greatest - least > 0.12 * WHITE && greatest - least < 0.25 * WHITE);
    }
}
