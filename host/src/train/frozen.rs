//! The features of films under frozen layers, computed once for all epochs of a round.

use std::ops::Range;

use candle_core::{Device, Result, Tensor};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::augment::Variation;
use super::batches::{as_is, assemble};
use super::films::PreparedFilms;
use plumbline_nets::{Traced, ops::global_average_pool};

/// Films of one batch while features are computed.
const BATCH: usize = 20;

/// The averages over the map of features, which both networks' heads begin with: of each training
/// film in some random placements, and of each validation film as it is.
pub(super) struct FrozenFeatures {
    placements: usize,
    channels: usize,
    /// Training film by film, its placements in turn.
    varied: Vec<f32>,
    as_is: Vec<f32>,
}

impl FrozenFeatures {
    /// None yet.
    pub(super) fn new(placements: usize) -> Self {
        Self {
            placements,
            channels: 0,
            varied: Vec::new(),
            as_is: Vec::new(),
        }
    }

    /// Computes those of the training films; `place` gives a film's placements.
    pub(super) fn add_varied(
        &mut self,
        films: &PreparedFilms,
        side: usize,
        place: impl Fn(usize, usize) -> Variation,
        device: &Device,
        features: &impl Fn(&Tensor) -> Result<Traced>,
        done: &mut impl FnMut(usize),
    ) -> Result<()> {
        let all: Vec<usize> = (0..films.len() * self.placements).collect();
        for batch in all.chunks(BATCH) {
            let varied: Vec<_> = batch
                .iter()
                .map(|at| {
                    let (film, placement) = (at / self.placements, at % self.placements);
                    (film, place(film, placement))
                })
                .collect();
            let x = assemble(films, &varied, side).tensor(device)?;
            let means = self.means(&x, features)?;
            self.varied.extend(means);
            done(batch.len());
        }
        Ok(())
    }

    /// Computes those of the validation films.
    pub(super) fn add_as_is(
        &mut self,
        films: &PreparedFilms,
        side: usize,
        device: &Device,
        features: &impl Fn(&Tensor) -> Result<Traced>,
        done: &mut impl FnMut(usize),
    ) -> Result<()> {
        for first in (0..films.len()).step_by(BATCH) {
            let batch = first..(first + BATCH).min(films.len());
            let count = batch.len();
            let x = as_is(films, batch, side).tensor(device)?;
            let means = self.means(&x, features)?;
            self.as_is.extend(means);
            done(count);
        }
        Ok(())
    }

    fn means(
        &mut self,
        x: &Tensor,
        features: &impl Fn(&Tensor) -> Result<Traced>,
    ) -> Result<Vec<f32>> {
        let means = global_average_pool(&features(x)?)?;
        self.channels = means.dim(1)?;
        means.value().flatten_all()?.to_vec1()
    }

    /// The features of training films, each in one of its placements, as a map of one pixel:
    /// `N x C x 1 x 1`.
    pub(super) fn draw(
        &self,
        films: &[usize],
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> Result<Tensor> {
        let mut values = Vec::with_capacity(films.len() * self.channels);
        for film in films {
            let at = film * self.placements + rng.random_range(0..self.placements);
            values.extend_from_slice(&self.varied[at * self.channels..][..self.channels]);
        }
        Tensor::from_vec(values, (films.len(), self.channels, 1, 1), device)
    }

    /// The features of validation films, `N x C x 1 x 1`.
    pub(super) fn validation(&self, films: Range<usize>, device: &Device) -> Result<Tensor> {
        let values = &self.as_is[films.start * self.channels..films.end * self.channels];
        Tensor::from_slice(values, (films.len(), self.channels, 1, 1), device)
    }
}
