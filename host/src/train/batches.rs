//! Batches: the films of a step, and their tensors.

use candle_core::{Device, Result, Tensor};
use plumbline_shared::preprocess::{DEVIATION, MEAN};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::augment::{Augmentation, Variation};
use super::films::PreparedFilms;

/// A batch on its way to the network.
pub struct Batch {
    pixels: Vec<f32>,
    films: Vec<usize>,
    side: usize,
}

impl Batch {
    /// The films of the batch, by their index.
    pub fn films(&self) -> &[usize] {
        &self.films
    }

    /// Cut into `shares` of as many films, or one fewer towards the end.
    pub fn shares(self, shares: usize) -> Vec<Self> {
        if shares == 1 {
            return vec![self];
        }
        let film = 3 * self.side * self.side;
        let count = self.films.len();
        let cut = |share: usize| (share * count).div_ceil(shares);
        (0..shares)
            .map(|share| {
                let (from, to) = (cut(share), cut(share + 1));
                Self {
                    pixels: self.pixels[from * film..to * film].to_vec(),
                    films: self.films[from..to].to_vec(),
                    side: self.side,
                }
            })
            .collect()
    }

    /// The films, `N x 3 x side x side`, normalised.
    ///
    /// # Errors
    /// Candle's, if memory cannot be had.
    pub fn tensor(self, device: &Device) -> Result<Tensor> {
        let shape = (self.films.len(), 3, self.side, self.side);
        Tensor::from_vec(self.pixels, shape, device)
    }
}

/// The way in which the films of a batch are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    /// One half positive, the other negative. The rarer class is gone through again and again, each
    /// time in a new order.
    #[default]
    Balanced,
    /// All films in a random order.
    Shuffled,
}

impl Sampling {
    /// At least `films` of `among` drawn for one epoch, in batches. `among` must hold both classes.
    pub fn epoch(
        self,
        labels: &[bool],
        among: &[usize],
        films: usize,
        batch: usize,
        rng: &mut ChaCha8Rng,
    ) -> Vec<Vec<usize>> {
        let mut decks: Vec<Deck> = match self {
            Self::Balanced => [true, false]
                .map(|label| {
                    let of_label = among.iter().filter(|index| labels[**index] == label);
                    Deck::new(of_label.copied().collect())
                })
                .into(),
            Self::Shuffled => vec![Deck::new(among.to_vec())],
        };
        let share = batch / decks.len();
        (0..films.div_ceil(batch))
            .map(|_| {
                let mut drawn = Vec::with_capacity(batch);
                for deck in &mut decks {
                    drawn.extend((0..share).map(|_| deck.draw(rng)));
                }
                drawn
            })
            .collect()
    }
}

/// Films dealt in a random order, shuffled again when all are dealt.
struct Deck {
    films: Vec<usize>,
    next: usize,
}

impl Deck {
    fn new(films: Vec<usize>) -> Self {
        Self { films, next: 0 }
    }

    fn draw(&mut self, rng: &mut ChaCha8Rng) -> usize {
        if self.next == 0 {
            self.films.shuffle(rng);
        }
        let film = self.films[self.next];
        self.next = (self.next + 1) % self.films.len();
        film
    }
}

/// The films of `indices`, each varied within `augmentation`.
pub fn augmented(
    films: &PreparedFilms,
    indices: &[usize],
    side: usize,
    augmentation: &Augmentation,
    rng: &mut ChaCha8Rng,
) -> Batch {
    let varied: Vec<_> = indices
        .iter()
        .map(|index| (*index, augmentation.draw(rng)))
        .collect();
    assemble(films, &varied, side)
}

/// The films of `indices` as they are.
pub fn as_is(films: &PreparedFilms, indices: impl Iterator<Item = usize>, side: usize) -> Batch {
    let varied: Vec<_> = indices.map(|index| (index, Variation::as_is())).collect();
    assemble(films, &varied, side)
}

/// Films, each varied in its way.
pub(super) fn assemble(films: &PreparedFilms, varied: &[(usize, Variation)], side: usize) -> Batch {
    let map = side * side;
    let mut pixels = vec![0.0; varied.len() * 3 * map];
    pixels
        .par_chunks_mut(3 * map)
        .zip(varied)
        .for_each(|(pixels, (index, variation))| {
            let grey = variation.apply(films.grey(*index), side);
            for (channel, plane) in pixels.chunks_exact_mut(map).enumerate() {
                for (value, grey) in plane.iter_mut().zip(&grey) {
                    *value = (grey / 65535.0 - MEAN[channel]) / DEVIATION[channel];
                }
            }
        });
    Batch {
        pixels,
        films: varied.iter().map(|(index, _)| *index).collect(),
        side,
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn every_batch_is_half_positive_and_every_positive_is_used() {
        let labels: Vec<bool> = (0..103).map(|i| i % 10 == 0).collect();
        let all: Vec<usize> = (0..labels.len()).collect();
        let draw = |sampling: Sampling| {
            sampling.epoch(&labels, &all, 103, 20, &mut ChaCha8Rng::seed_from_u64(3))
        };
        let epoch = draw(Sampling::Balanced);
        assert_eq!(epoch.len(), 6);
        let mut drawn = vec![0; labels.len()];
        for batch in &epoch {
            assert_eq!(batch.iter().filter(|i| labels[**i]).count(), 10);
            batch.iter().for_each(|i| drawn[*i] += 1);
        }
        let positives = drawn.iter().zip(&labels).filter(|(_, label)| **label);
        // 60 draws of 11 positives: each 5 or 6 times.
        assert!(
            positives
                .map(|(count, _)| *count)
                .all(|count| matches!(count, 5 | 6))
        );
        assert_eq!(epoch, draw(Sampling::Balanced));

        let mut shuffled: Vec<usize> = draw(Sampling::Shuffled).concat();
        assert_ne!(shuffled[..103], all[..]);
        shuffled.truncate(103);
        shuffled.sort_unstable();
        assert_eq!(shuffled, all);
    }
}
