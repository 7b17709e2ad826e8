//! The films of a cohort of phantoms before they are drawn: angles and splits.

use plumbline_phantom::{FilmSpec, Variates};
use plumbline_shared::clinical::SCOLIOSIS_DEGREES;

use super::options::PhantomOptions;
use crate::cohort::manifest::Split;
use crate::cohort::split::stratified;

/// Returns the specification and the split of every film.
pub(super) fn films(options: &PhantomOptions) -> Vec<(FilmSpec, Split)> {
    let degrees = angles(options);
    let labels: Vec<bool> = degrees.iter().map(|&d| d >= SCOLIOSIS_DEGREES).collect();
    let films = (0..).zip(degrees).zip(splits(options, &labels));
    films
        .map(|((index, degrees), split)| {
            let spec = FilmSpec {
                seed: options.seed,
                index,
                degrees,
                refusal: options.refusal(index),
                side: options.side as usize,
                frame: options.frame,
            };
            (spec, split)
        })
        .collect()
}

/// Returns the split of every film: films to be read are split by label, those to be refused on
/// their own.
fn splits(options: &PhantomOptions, labels: &[bool]) -> Vec<Split> {
    let (read, refused) = labels.split_at(options.films as usize);
    let mut splits = stratified(read, &mut Variates::new(options.seed, 0));
    let mut rng = Variates::new(options.seed, u64::MAX - 1);
    splits.extend(stratified(&vec![false; refused.len()], &mut rng));
    splits
}

/// Returns the Cobb angle of every film: exact quotas of both classes in random order, in whole
/// hundredths of a degree so that the manifest loses nothing. Films to be refused follow, with the
/// angles of negatives.
pub(super) fn angles(options: &PhantomOptions) -> Vec<f64> {
    let positives = (options.films as f64 * options.prevalence).round() as u64;
    let mut rng = Variates::new(options.seed, u64::MAX);
    let mut labels: Vec<bool> = (0..options.films).map(|i| i < positives).collect();
    rng.shuffle(&mut labels);
    labels.resize((options.films + options.refused) as usize, false);
    labels
        .into_iter()
        .map(|positive| angle(&mut rng, positive))
        .collect()
}

/// Draws the Cobb angle of a film of either class, in whole hundredths of a degree so that the
/// manifest loses nothing, up to 70 degrees. Most curves that screening finds are mild; most spines
/// have none to speak of.
pub(in crate::cohort) fn angle(rng: &mut Variates, positive: bool) -> f64 {
    let hundredths = |value: f64| (value * 100.0).round() / 100.0;
    loop {
        let angle = match positive {
            true => hundredths(SCOLIOSIS_DEGREES + rng.weibull(1.2, 15.5)),
            false => hundredths(rng.weibull(1.1, 3.2)),
        };
        if (angle >= SCOLIOSIS_DEGREES) == positive && angle <= 70.0 {
            return angle;
        }
    }
}
