//! The amount of work that a training has still to do.

use std::ops::AddAssign;

use super::checkpoint::Progress;
use super::recipe::{Recipe, Round, Trained};

/// Films, and how much computing they are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Films that are learnt from, or whose frozen features are computed; one counts each time.
    pub films: usize,
    /// Their pixels, once each time these go through the features' layers: forward to compute
    /// features, and backward, which is two times as much, to learn.
    pub pixels: usize,
}

impl Work {
    /// Learning from films. Steps on frozen features cost next to nothing.
    pub(super) fn learning(round: &Round, films: usize) -> Self {
        let passes = match round.train {
            Trained::All => 3,
            Trained::LastLayer => 0,
        };
        Self::passes(round, films, passes)
    }

    /// Computing the features that a round keeps frozen.
    pub(super) fn freezing(round: &Round, films: usize) -> Self {
        Self::passes(round, films, 1)
    }

    fn passes(round: &Round, films: usize, passes: usize) -> Self {
        Self {
            films,
            pixels: films * round.side * round.side * passes,
        }
    }

    /// The work of `recipe` from `progress` on, should no round lose its patience. Validation is left
    /// out.
    pub(super) fn ahead(
        recipe: &Recipe,
        progress: Progress,
        training: usize,
        validation: usize,
    ) -> Self {
        let mut ahead = Self::default();
        let mut made = progress.epoch;
        for round in &recipe.rounds[progress.round..] {
            if round.train == Trained::LastLayer {
                let films = training * round.placements + validation;
                ahead += Self::freezing(round, films);
            }
            let films = round.films.unwrap_or(training);
            let drawn = films.div_ceil(round.batch) * round.batch;
            ahead += Self::learning(round, (round.epochs - made) * drawn);
            made = 0;
        }
        ahead
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, more: Self) {
        self.films += more.films;
        self.pixels += more.pixels;
    }
}
