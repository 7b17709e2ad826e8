//! The films that a network learns from or is measured on.

use std::sync::Arc;

use crate::cohort::{Cache, Entry, FilmsError};

/// Films as the networks see them, 256 x 256, with their labels; the pixels stay in the cohort's
/// packed films.
pub struct PreparedFilms {
    cache: Arc<Cache>,
    places: Vec<usize>,
    labels: Vec<bool>,
    cobb_degrees: Vec<Option<f32>>,
}

/// The Cobb angle from which a film is positive (Scoliosis Research Society).
const POSITIVE_DEGREES: f32 = 10.0;

impl PreparedFilms {
    /// The films of `entries`, which have these `labels`, in the cohort's packed films.
    ///
    /// # Errors
    /// The first film that cannot be used, in the cohort's order.
    pub fn new(
        cache: Arc<Cache>,
        entries: &[&Entry],
        labels: Vec<bool>,
    ) -> Result<Self, FilmsError> {
        let places = entries.iter().map(|entry| cache.place(&entry.film));
        Ok(Self {
            places: places.collect::<Result<_, _>>()?,
            cobb_degrees: entries.iter().map(|entry| entry.cobb_degrees).collect(),
            cache,
            labels,
        })
    }

    /// How many films there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The labels in order.
    pub fn labels(&self) -> &[bool] {
        &self.labels
    }

    /// The films whose Cobb angle is not known to be nearer than `margin` degrees to the one that
    /// divides the classes.
    pub fn clear_of(&self, margin: f32) -> Vec<usize> {
        let clear =
            |cobb: &Option<f32>| cobb.is_none_or(|d| (d - POSITIVE_DEGREES).abs() >= margin);
        let films = self.cobb_degrees.iter().enumerate();
        films
            .filter(|(_, cobb)| clear(cobb))
            .map(|(index, _)| index)
            .collect()
    }

    /// Film `index`, 256 x 256, 0 to 65535.
    pub fn grey(&self, index: usize) -> &[u16] {
        self.cache.grey(self.places[index])
    }
}
