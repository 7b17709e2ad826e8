//! The films that a network learns from or is measured on.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use plumbline_shared::clinical::{Refusal, SCOLIOSIS_DEGREES};

use crate::cohort::{Entry, PackedFilms, TooManyUnusable};

/// Films as the networks see them, 256 x 256, with their labels; the pixels stay in the cohort's
/// packed films.
pub struct PreparedFilms {
    packed: Arc<PackedFilms>,
    places: Vec<usize>,
    labels: Vec<bool>,
    /// The number of findings or of reasons to refuse a film, and for each film whether it shows each
    /// of them, where a network is trained on these.
    findings: Option<(usize, Vec<bool>)>,
    cobb_degrees: Vec<Option<f32>>,
    left_out: usize,
}

impl PreparedFilms {
    /// The labelled films of `entries`, in the cohort's packed films. Films that cannot be used are
    /// left out and counted.
    ///
    /// # Errors
    /// If too many cannot be used.
    pub fn new(packed: Arc<PackedFilms>, entries: Vec<&Entry>) -> Result<Self, TooManyUnusable> {
        Self::with(packed, entries, 0, |_| Vec::new())
    }

    /// The films of `entries`, whose findings are known, with the findings `names` as targets. A film
    /// is positive if it shows any of them. Films that cannot be used are left out and counted.
    ///
    /// # Errors
    /// If too many cannot be used.
    pub fn of_findings(
        packed: Arc<PackedFilms>,
        entries: Vec<&Entry>,
        names: &[String],
    ) -> Result<Self, TooManyUnusable> {
        Self::with(packed, entries, names.len(), |entry| {
            let found = entry.findings.as_deref().unwrap_or_default();
            names.iter().map(|name| found.contains(name)).collect()
        })
    }

    /// The films of `entries`, with the reasons to refuse them as targets. A film is positive if
    /// there is any. Films that cannot be used are left out and counted.
    ///
    /// # Errors
    /// If too many cannot be used.
    pub fn of_refusals(
        packed: Arc<PackedFilms>,
        entries: Vec<&Entry>,
    ) -> Result<Self, TooManyUnusable> {
        Self::with(packed, entries, Refusal::ALL.len(), |entry| {
            Refusal::ALL.map(|r| entry.refusal == Some(r)).to_vec()
        })
    }

    fn with(
        packed: Arc<PackedFilms>,
        entries: Vec<&Entry>,
        targets: usize,
        shown: impl Fn(&Entry) -> Vec<bool>,
    ) -> Result<Self, TooManyUnusable> {
        let (usable, left_out) = packed.usable(entries)?;
        let (entries, places): (Vec<&Entry>, Vec<usize>) = usable.into_iter().unzip();
        let findings: Option<Vec<Vec<bool>>> =
            (targets > 0).then(|| entries.iter().map(|entry| shown(entry)).collect());
        Ok(Self {
            places,
            labels: match &findings {
                None => entries.iter().map(|e| e.label == Some(true)).collect(),
                Some(films) => films.iter().map(|film| film.contains(&true)).collect(),
            },
            findings: findings.map(|films| (targets, films.concat())),
            cobb_degrees: entries.iter().map(|entry| entry.cobb_degrees).collect(),
            left_out: left_out.len(),
            packed,
        })
    }

    /// The number of films that were left out because they cannot be used.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The number of films.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Returns true if there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The labels in order.
    pub fn labels(&self) -> &[bool] {
        &self.labels
    }

    /// The targets of each output of the network: the labels, or whether each finding is shown.
    pub fn outputs(&self) -> Vec<Vec<bool>> {
        match &self.findings {
            None => vec![self.labels.clone()],
            Some((count, shown)) => (0..*count)
                .map(|output| shown.iter().copied().skip(output).step_by(*count).collect())
                .collect(),
        }
    }

    /// The targets of some films, 0 or 1, on the CPU: `N` labels, or `N x` findings.
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
        self.packed.grey(self.places[index])
    }
}
