//! The films that a network learns from or is measured on.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use crate::cohort::phantom::curve::SCOLIOSIS_DEGREES;
use crate::cohort::{Cache, Entry, FilmsError};

/// Films as the networks see them, 256 x 256, with their labels; the pixels stay in the cohort's
/// packed films.
pub struct PreparedFilms {
    cache: Arc<Cache>,
    places: Vec<usize>,
    labels: Vec<bool>,
    /// Whether each film shows each of some findings, film by film, if findings are to be told.
    findings: Option<(usize, Vec<bool>)>,
    cobb_degrees: Vec<Option<f32>>,
}

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
            findings: None,
        })
    }

    /// The films of `entries`, whose findings are known, for telling the findings `names`. Positive
    /// is a film that shows any of them.
    ///
    /// # Errors
    /// The first film that cannot be used, in the cohort's order.
    pub fn of_findings(
        cache: Arc<Cache>,
        entries: &[&Entry],
        names: &[String],
    ) -> Result<Self, FilmsError> {
        let shown = |entry: &&Entry| {
            let found = entry.findings.as_deref().unwrap_or_default();
            names
                .iter()
                .map(|name| found.contains(name))
                .collect::<Vec<_>>()
        };
        let shown: Vec<Vec<bool>> = entries.iter().map(shown).collect();
        let labels = shown.iter().map(|film| film.contains(&true)).collect();
        Ok(Self {
            findings: Some((names.len(), shown.concat())),
            ..Self::new(cache, entries, labels)?
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

    /// What is to be told, output by output: labels, or whether each finding is shown.
    pub fn outputs(&self) -> Vec<Vec<bool>> {
        match &self.findings {
            None => vec![self.labels.clone()],
            Some((count, shown)) => (0..*count)
                .map(|output| shown.iter().copied().skip(output).step_by(*count).collect())
                .collect(),
        }
    }

    /// What is to be told of some films, 0 or 1, on the CPU: `N` labels, or `N x` findings.
    ///
    /// # Errors
    /// Candle's.
    pub fn targets(&self, films: &[usize]) -> candle_core::Result<Tensor> {
        let number = |shown: &bool| f32::from(u8::from(*shown));
        let Some((count, shown)) = &self.findings else {
            let labels = films.iter().map(|film| number(&self.labels[*film]));
            return Tensor::from_vec(labels.collect(), films.len(), &Device::Cpu);
        };
        let rows = films
            .iter()
            .flat_map(|film| &shown[film * count..][..*count]);
        Tensor::from_vec(
            rows.map(number).collect(),
            (films.len(), *count),
            &Device::Cpu,
        )
    }

    /// The films whose Cobb angle is not known to be nearer than `margin` degrees to the one that
    /// divides the classes.
    pub fn clear_of(&self, margin: f32) -> Vec<usize> {
        let clear = |cobb: &Option<f32>| {
            cobb.is_none_or(|d| (d - SCOLIOSIS_DEGREES as f32).abs() >= margin)
        };
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
