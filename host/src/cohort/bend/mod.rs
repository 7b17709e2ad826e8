//! Cohorts of bent films: chest films of straight spines made into films with a curve of a known Cobb
//! angle, and into films that a similar field has moved around a spine that is straight still.
//!
//! A film is bent by a smooth field along the curves that phantoms have. Vertebrae turn with the curve;
//! ribs and mediastinum follow; arms, collimation and the film's borders stay. The Cobb angle is the
//! field's own, exact as far as the spine was straight before: films that are known to show scoliosis
//! are not taken.

mod field;
mod midline;
mod spine;

use std::path::PathBuf;

use plumbline_phantom::{Size, Variates, files};
use plumbline_shared::clinical::Projection;

use super::Cohort;
use super::canvas::Canvas;
use super::derived::{DerivedError, Made, deal, derive, encoded, nothing, unencoded};
use super::films::decode_file;
use super::manifest::{Entry, Row};
use super::phantom::angle;
use field::Field;
use midline::Midline;
use spine::BentSpine;

/// The largest Cobb angle of a spine that counts as straight, in degrees, where it is known.
const STRAIGHT: f32 = 2.0;

/// Fields that are drawn for a film before it counts as one that cannot be bent.
const TRIES: usize = 500;

/// The largest side of a film that can be bent, for one of the other side.
const LONGEST: usize = 4;

/// Half the width of the mask's band around the spine, as a share of the film's width.
const HALF_BAND: f64 = 0.04;

/// The mask's value in the band: the spine, of which no single vertebra is known.
const SPINE: u8 = 255;

/// A cohort to be made.
#[derive(Clone, Debug)]
pub struct BendOptions {
    /// Number of films; without, ten for each film of the sources.
    pub films: Option<u64>,
    /// Share of films with a Cobb angle of 10 degrees or more, 0 to 1.
    pub prevalence: f64,
    /// Draws the films and their curves.
    pub seed: u64,
    /// Pixels along the longer edge of a film; films that are smaller keep their size.
    pub side: u32,
    /// The folder to write, new or empty.
    pub out: PathBuf,
}

/// True of the films that can be bent: frontal chests that no reader should refuse and that are not
/// known to show scoliosis.
fn can_be_bent(entry: &Entry) -> bool {
    entry.refusal.is_none()
        && entry.label != Some(true)
        && entry.cobb_degrees.is_none_or(|degrees| degrees <= STRAIGHT)
        && entry.projection != Some(Projection::Lateral)
}

impl BendOptions {
    /// The number of films that are made of `sources`.
    pub fn films_of(&self, sources: &[Cohort]) -> u64 {
        let films = sources
            .iter()
            .flat_map(Cohort::entries)
            .filter(|e| can_be_bent(e));
        self.films.unwrap_or(10 * films.count() as u64)
    }
}

/// Makes the cohort of `options` from `sources`, each of which gives the same number of films, and
/// calls `progress` after each film, from any thread. The same call gives the same bytes. Returns the
/// number of films that were left out, as no field was found that bends them by the angle that was drawn.
///
/// # Errors
/// If a source has no films that can be bent, one of them cannot be read, or the folder cannot be
/// written.
pub fn bend(
    sources: &[Cohort],
    options: &BendOptions,
    progress: impl Fn() + Sync,
) -> Result<usize, DerivedError> {
    if !(0.0..=1.0).contains(&options.prevalence) {
        return Err(DerivedError::Options("prevalence must lie between 0 and 1"));
    }
    if !(64..=4096).contains(&options.side) {
        return Err(DerivedError::Options("side must be 64 to 4096 pixels"));
    }
    let count = options.films_of(sources);
    let films = deal(sources, count, options.seed, can_be_bent)?;
    let make = |index: u64| {
        let mut rng = Variates::new(options.seed, index + 1);
        make(films[index as usize], index, options, &mut rng)
    };
    derive(&options.out, count, make, progress)
}

/// Makes one film of an entry's; none if it cannot be bent by the angle that is drawn.
fn make(
    entry: &Entry,
    index: u64,
    options: &BendOptions,
    rng: &mut Variates,
) -> Result<Option<Made>, DerivedError> {
    let film = reduced(Canvas::of(&decode_file(&entry.film)?), options.side);
    let positive = rng.chance(options.prevalence);
    let size = [film.width, film.height];
    if size[0] > LONGEST * size[1] || size[1] > LONGEST * size[0] {
        return Ok(None);
    }
    let midline = Midline::of(&film);
    // A straight film is moved by a field as strong as a bent one's.
    let degrees = angle(rng, positive);
    let around = (!positive).then(|| angle(rng, true));
    let mut tries = (0..TRIES).map(|_| Field::draw(rng, midline, size, degrees, around));
    let Some(field) = tries.find_map(|field| field) else {
        return Ok(None);
    };
    let sampled = field.sampled();
    let middle = |x: usize, y: usize| [x as f64 + 0.5, y as f64 + 0.5];
    let bent = Canvas::drawn(film.width, film.height, |x, y| {
        film.between(sampled.at(middle(x, y)).0)
    });
    let half_band = HALF_BAND * film.width as f64;
    let places = (0..film.height).flat_map(|y| (0..film.width).map(move |x| (x, y)));
    let mask: Vec<u8> = places
        .map(
            |(x, y)| match sampled.at(middle(x, y)).1.abs() < half_band {
                true => SPINE,
                false => 0,
            },
        )
        .collect();
    let size = Size {
        width: film.width,
        height: film.height,
    };
    let mask = files::png8(size, &mask).map_err(unencoded(entry))?;
    Ok(Some(Made {
        row: row(entry, index, options.seed, degrees, field.spine()),
        film: encoded(entry, &bent.film().map_err(nothing(entry))?)?,
        mask: Some(mask),
    }))
}

/// The film with at most `side` pixels along its longer edge.
fn reduced(film: Canvas, side: u32) -> Canvas {
    let longer = film.width.max(film.height) as f64;
    let share = f64::from(side) / longer;
    if share >= 1.0 {
        return film;
    }
    let [width, height] = [film.width, film.height].map(|length| {
        let length = (length as f64 * share).round() as u32;
        length.max(1)
    });
    film.averaged(width, height)
}

/// The row of a film that was made of an entry's.
fn row(entry: &Entry, index: u64, seed: u64, degrees: f64, spine: &BentSpine) -> Row {
    let mut row = Row {
        mask: Some(format!("masks/{index:06}.png")),
        seed: Some(seed),
        ..Row::of(entry, format!("films/{index:06}.png"))
    };
    row.tell_curve(degrees, spine.kind, &spine.cobb, &spine.curves);
    row
}

#[cfg(test)]
mod tests {
    use std::fs;

    use plumbline_shared::clinical::SCOLIOSIS_DEGREES;

    use super::super::phantom::tests::options;
    use super::super::phantom::{PhantomOptions, generate};
    use super::*;

    #[test]
    fn films_are_bent_alike_and_keep_patients_splits_and_findings() {
        let folder = tempfile::tempdir().unwrap();
        let phantoms = folder.path().join("phantoms");
        let drawn = PhantomOptions {
            refused: 5,
            prevalence: 0.25,
            side: 160,
            ..options(&phantoms, 12, 3)
        };
        generate(&drawn, |_| {}).unwrap();
        let sources = [Cohort::open(&phantoms).unwrap()];
        let make = |name: &str| {
            let options = BendOptions {
                films: None,
                prevalence: 0.5,
                seed: 5,
                side: 128,
                out: folder.path().join(name),
            };
            assert_eq!(options.films_of(&sources) % 10, 0);
            assert_eq!(bend(&sources, &options, || {}).unwrap(), 0);
            Cohort::open(&options.out).unwrap()
        };
        let (one, other) = (make("one"), make("other"));
        assert_eq!(one.fingerprint(), other.fingerprint());
        let mut positives = 0;
        for (film, twin) in one.entries().iter().zip(other.entries()) {
            assert_eq!(fs::read(&film.film).unwrap(), fs::read(&twin.film).unwrap());
            let source = sources[0].entries().iter();
            let mut source = source.filter(|source| source.patient == film.patient);
            let source = source.next().unwrap();
            assert_eq!((source.label, source.refusal), (Some(false), None));
            assert_eq!(
                (source.split, &source.findings),
                (film.split, &film.findings)
            );
            let degrees = film.cobb_degrees.unwrap();
            let positive = f64::from(degrees) >= SCOLIOSIS_DEGREES;
            assert_eq!(film.label, Some(positive));
            assert_eq!(film.apex.is_some(), positive);
            positives += u32::from(positive);
            let pixels = decode_file(&film.film).unwrap();
            assert_eq!(pixels.width().max(pixels.height()), 128);
            let mask = image::open(film.mask.as_ref().unwrap())
                .unwrap()
                .into_luma8();
            assert_eq!(
                (mask.width(), mask.height()),
                (pixels.width(), pixels.height())
            );
            let band = mask
                .as_raw()
                .iter()
                .filter(|value| **value == SPINE)
                .count();
            let share = band as f64 / mask.as_raw().len() as f64;
            assert!((0.05..0.12).contains(&share), "{share}");
        }
        let share = f64::from(positives) / one.entries().len() as f64;
        assert!((0.3..0.7).contains(&share), "{share}");
    }

    #[test]
    fn options_that_make_no_cohort_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let options = BendOptions {
            films: Some(1),
            prevalence: 0.5,
            seed: 1,
            side: 512,
            out: folder.path().join("out"),
        };
        for wrong in [
            BendOptions {
                prevalence: f64::NAN,
                ..options.clone()
            },
            BendOptions {
                side: 63,
                ..options.clone()
            },
        ] {
            let refused = bend(&[], &wrong, || {});
            assert!(matches!(refused, Err(DerivedError::Options(_))));
        }
        assert!(!options.out.exists());
    }
}
