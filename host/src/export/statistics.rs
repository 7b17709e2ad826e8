//! The statistics of what a bundle's network knows, added to a bundle that has none.

use std::fs;
use std::path::Path;

use plumbline_reader::{Bundle, BundleError, MANIFEST};
use plumbline_shared::features::{self, FeatureStatistics};
use plumbline_shared::manifest::Manifest;
use plumbline_shared::preprocess::tensor;
use rayon::prelude::*;

use super::bundle::{features_file, write_files};
use super::error::ExportError;
use crate::cohort::{Cohort, Entry, PackedFilms, Split};
use crate::evaluate::{EvaluateError, Step};

/// Directions in which known films may vary: those of the curve, the build and the unit.
const DIRECTIONS: usize = 16;

/// The statistics of `bundle`'s features over the films of one split of `cohort`, or of all, that are
/// to be read.
///
/// # Errors
/// If there are too few films or the network cannot be run.
pub fn statistics(
    bundle: &Bundle,
    cohort: &Cohort,
    packed: &PackedFilms,
    split: Option<Split>,
    progress: impl Fn(Step) + Sync,
) -> Result<FeatureStatistics, ExportError> {
    let films = cohort.entries().iter();
    let taken = |entry: &&Entry| split.is_none_or(|split| entry.split == split);
    let films = films.filter(taken).filter(|entry| entry.refusal.is_none());
    let (films, _) = packed
        .usable(films.collect())
        .map_err(EvaluateError::from)?;
    progress(Step::Begin {
        split: split.map_or("whole", Split::name),
        films: films.len() as u64,
    });
    let features = films.par_iter().map(|(_, place)| {
        let features = bundle.pooled_features(&tensor(packed.grey(*place)));
        progress(Step::Film);
        features
    });
    let features: Vec<Vec<f32>> = features.collect::<Result<_, BundleError>>()?;
    FeatureStatistics::of(&features, DIRECTIONS).ok_or(ExportError::TooFewFilms)
}

/// Writes the bundle of folder `from` with `statistics` as the bundle `to`, which may be the same
/// folder; nothing else of it changes.
///
/// # Errors
/// If `from` is no bundle or `to` cannot be written.
pub fn with_statistics(
    from: &Path,
    statistics: &FeatureStatistics,
    to: &Path,
) -> Result<Manifest, ExportError> {
    let read = |name: &str| {
        let path = from.join(name);
        fs::read(&path).map_err(|error| BundleError::File { path, error })
    };
    let manifest = Manifest::parse(&read(MANIFEST)?)?;
    let names = manifest.files.keys();
    let names = names.filter(|name| *name != features::FILE).cloned();
    let kept: Vec<(String, Vec<u8>)> = names
        .map(|name| read(&name).map(|bytes| (name, bytes)))
        .collect::<Result<_, _>>()?;
    let json = features_file(statistics)?;
    let mut files: Vec<(&str, &[u8])> = kept
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    files.push((features::FILE, &json));
    write_files(to, manifest.clone(), &files)
}
