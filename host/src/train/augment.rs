//! Films varied anew each time they are drawn.

use plumbline_shared::preprocess::SIDE;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

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
}

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
        }
    }

    fn placement(&self, rng: &mut ChaCha8Rng) -> Placement {
        let mut between = |bound: f32| rng.random_range(-1.0f32..=1.0) * bound;
        let angle = between(self.rotation_degrees).to_radians();
        let (right, down) = (between(self.shift), between(self.shift));
        let scale = 1.0 + between(self.scale);
        let mirrored = self.mirror && rng.random();
        Placement {
            cosine: angle.cos() / scale,
            sine: angle.sin() / scale,
            right: right * SIDE as f32,
            down: down * SIDE as f32,
            mirrored,
        }
    }
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
}

impl Variation {
    /// The film as it is.
    pub(super) const AS_IS: Self = Self {
        placement: Placement::AS_IS,
        contrast: 1.0,
        brightness: 0.0,
        noise: 0.0,
        seed: 0,
    };

    /// `grey` (`SIDE x SIDE`) varied and reduced to `side x side`, from 0 to 65535.
    pub(super) fn apply(&self, grey: &[u16], side: usize) -> Vec<f32> {
        let mut varied = self.placement.place(grey, side);
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
        if *self != Self::AS_IS {
            for value in &mut varied {
                *value = value.clamp(0.0, WHITE);
            }
        }
        varied
    }
}

/// The place in the film from which each pixel of the varied film is read.
#[derive(Clone, Debug, PartialEq)]
struct Placement {
    cosine: f32,
    sine: f32,
    right: f32,
    down: f32,
    mirrored: bool,
}

impl Placement {
    /// The film as it is.
    const AS_IS: Self = Self {
        cosine: 1.0,
        sine: 0.0,
        right: 0.0,
        down: 0.0,
        mirrored: false,
    };

    /// `grey` (`SIDE x SIDE`) placed anew and reduced to `side x side` by averaging, from 0 to
    /// 65535. What comes from outside the film has the level of the film's border.
    fn place(&self, grey: &[u16], side: usize) -> Vec<f32> {
        let step = SIDE / side;
        let mut out = vec![0.0; side * side];
        if *self == Self::AS_IS {
            for (at, grey) in grey.iter().enumerate() {
                out[at / SIDE / step * side + at % SIDE / step] += f32::from(*grey);
            }
        } else {
            let border = border_level(grey);
            let middle = (SIDE as f32 - 1.0) / 2.0;
            for row in 0..SIDE {
                let y = row as f32 - middle - self.down;
                for column in 0..SIDE {
                    let x = column as f32 - middle - self.right;
                    let x = if self.mirrored { -x } else { x };
                    let from_x = self.cosine * x + self.sine * y + middle;
                    let from_y = self.cosine * y - self.sine * x + middle;
                    out[row / step * side + column / step] += sample(grey, from_x, from_y, border);
                }
            }
        }
        let share = 1.0 / (step * step) as f32;
        for value in &mut out {
            *value *= share;
        }
        out
    }
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
