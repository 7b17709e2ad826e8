//! Cohorts of spoilt films: good films as they are, and with the faults that a station's gate must
//! find, made of the same films. The gate's network learns from such a cohort and is measured on
//! another.
//!
//! Every film of a new cohort is made of one of an old one's, whose patient and split it keeps.
//! Films that a reader should refuse keep their reason and are varied alone.

mod elsewhere;
mod exposure;
mod framing;

use std::path::PathBuf;

use plumbline_shared::clinical::Refusal;
use plumbline_shared::decode::{ErrorKind, decode};
use plumbline_shared::film::Film;
use plumbline_shared::preprocess::{SIDE, prepare};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Cohort;
use super::canvas::Canvas;
use super::derived::{DerivedError, Made, deal, derive, encoded, nothing};
use super::films::{FilmsError, decode_file};
use super::manifest::{Entry, Row};
use framing::End;

/// The faults that films are given, each as often as the others.
pub const FAULTS: [Refusal; 11] = [
    Refusal::Inverted,
    Refusal::NotAChest,
    Refusal::Blank,
    Refusal::OverExposed,
    Refusal::UnderExposed,
    Refusal::UpsideDown,
    Refusal::TurnedLeft,
    Refusal::TurnedRight,
    Refusal::Mirrored,
    Refusal::ApicesMissing,
    Refusal::BasesMissing,
];

/// A cohort to be made.
#[derive(Clone, Debug)]
pub struct SpoilOptions {
    /// Number of films.
    pub films: u64,
    /// Share of films to be read that are given no fault, 0 to 1.
    pub good: f64,
    /// Draws the films and their faults.
    pub seed: u64,
    /// True for films of their own size, false for films as the networks see them, 256 x 256.
    pub whole: bool,
    /// The folder to write, new or empty.
    pub out: PathBuf,
}

/// Makes the cohort of `options` from `sources`, each of which gives the same number of films, and
/// calls `progress` after each film, from any thread. The same call gives the same bytes.
///
/// Returns the number of films that were left out, as nothing was left of them.
///
/// # Errors
/// If a source has no films, one of them cannot be read, or the folder cannot be written.
pub fn spoil(
    sources: &[Cohort],
    options: &SpoilOptions,
    progress: impl Fn() + Sync,
) -> Result<usize, DerivedError> {
    let films = deal(sources, options.films, options.seed, |_| true)?;
    let make = |index: u64| {
        let entry = films[index as usize];
        let mut hash = options.seed;
        hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index;
        let mut rng = ChaCha8Rng::seed_from_u64(hash);
        let good = rng.random_range(0.0..1.0) < options.good;
        let fault = match entry.refusal {
            None if good => None,
            None => Some(FAULTS[rng.random_range(0..FAULTS.len())]),
            own => own,
        };
        let Some(film) = film(entry, fault, options.whole, &mut rng)? else {
            return Ok(None);
        };
        let name = format!("films/{index:06}.png");
        let row = Row {
            study: entry.study.clone(),
            refusal: fault,
            age: entry.age,
            sex: entry.sex,
            ..Row::new(name, entry.patient.clone(), entry.split)
        };
        Ok(Some(Made {
            row,
            film,
            mask: None,
        }))
    };
    derive(&options.out, options.films, make, progress)
}

/// The PNG file of a film of `entry` with a `fault`; its own if it has one. None if so little is left of
/// it that no decoder gives it: such a file never gets to the gate.
fn film(
    entry: &Entry,
    fault: Option<Refusal>,
    whole: bool,
    rng: &mut ChaCha8Rng,
) -> Result<Option<Vec<u8>>, DerivedError> {
    let decoded = match decode_file(&entry.film) {
        Err(FilmsError::Undecodable { source, .. })
            if source.kind() == ErrorKind::Blank && entry.refusal.is_some() =>
        {
            return Ok(None);
        }
        decoded => decoded?,
    };
    let canvas = Canvas::of(&decoded);
    let made = match entry.refusal {
        Some(_) => varied(canvas, rng),
        None => spoilt(canvas, fault, rng),
    };
    let film = made.film().map_err(nothing(entry))?;
    let film = match whole {
        true => film,
        false => {
            let grey = prepare(&film).grey().to_vec();
            Film::new(SIDE as u32, SIDE as u32, grey).map_err(nothing(entry))?
        }
    };
    let encoded = encoded(entry, &film)?;
    let nothing_left = decode(&encoded).is_err_and(|error| error.kind() == ErrorKind::Blank);
    Ok((!nothing_left).then_some(encoded))
}

/// A good film with a fault, or without.
fn spoilt(film: Canvas, fault: Option<Refusal>, rng: &mut ChaCha8Rng) -> Canvas {
    let film = shaded(film, rng);
    match fault {
        None => framing::framed(film, rng),
        Some(Refusal::ApicesMissing) => {
            framing::framed(framing::cut_off(&film, End::Apices, rng), rng)
        }
        Some(Refusal::BasesMissing) => {
            framing::framed(framing::cut_off(&film, End::Bases, rng), rng)
        }
        Some(Refusal::Inverted) => framing::framed(film, rng).map(|value| 1.0 - value),
        Some(Refusal::OverExposed) => framing::framed(exposure::over_exposed(film, rng), rng),
        Some(Refusal::UnderExposed) => framing::framed(exposure::under_exposed(film, rng), rng),
        Some(Refusal::UpsideDown) => {
            let turned = framing::framed(film, rng).upside_down();
            match rng.random_range(0..4) {
                0 => turned.mirrored(),
                _ => turned,
            }
        }
        Some(Refusal::TurnedLeft) => framing::framed(film, rng).turned_left(),
        Some(Refusal::TurnedRight) => framing::framed(film, rng).turned_right(),
        Some(Refusal::Mirrored) => framing::framed(film, rng).mirrored(),
        Some(Refusal::Blank) => elsewhere::blank(rng),
        // No lateral film comes of a frontal one.
        Some(Refusal::NotAChest | Refusal::Lateral) => elsewhere::not_a_chest(&film, rng),
    }
}

/// A film that is refused for what it is, in another look.
fn varied(film: Canvas, rng: &mut ChaCha8Rng) -> Canvas {
    let film = framing::framed(shaded(film, rng), rng);
    match rng.random::<bool>() {
        true => film.mirrored(),
        false => film,
    }
}

/// Another unit's greys: curve, contrast, level and a little noise.
fn shaded(film: Canvas, rng: &mut ChaCha8Rng) -> Canvas {
    let mut film = film;
    if rng.random_range(0.0..1.0) < 0.5 {
        let gamma = rng.random_range(-0.35..0.35f32).exp();
        film = film.map(|value| value.powf(gamma));
    }
    if rng.random_range(0.0..1.0) < 0.4 {
        let contrast = rng.random_range(0.6..1.0f32);
        let level = rng.random_range(0.0..1.0) * (1.0 - contrast);
        film = film.map(|value| value * contrast + level);
    }
    if rng.random_range(0.0..1.0) < 0.2 {
        let quanta = rng.random_range(1500f32.ln()..20_000f32.ln()).exp();
        film = exposure::with_quanta(film, quanta, rng);
    }
    film
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::phantom::tests::options;
    use super::super::phantom::{PhantomOptions, generate};
    use super::*;

    #[test]
    fn cohorts_are_spoilt_alike_and_keep_patients_and_splits() {
        let folder = tempfile::tempdir().unwrap();
        let phantoms = folder.path().join("phantoms");
        let drawn = PhantomOptions {
            refused: 5,
            prevalence: 0.5,
            ..options(&phantoms, 6, 3)
        };
        generate(&drawn, |_| {}).unwrap();
        let source = Cohort::open(&phantoms).unwrap();
        let make = |name: &str| {
            let options = SpoilOptions {
                films: 60,
                good: 0.3,
                seed: 5,
                whole: false,
                out: folder.path().join(name),
            };
            spoil(std::slice::from_ref(&source), &options, || {}).unwrap();
            (Cohort::open(&options.out).unwrap(), options)
        };
        let ((one, options), (other, _)) = (make("one"), make("other"));
        assert_eq!(one.fingerprint(), other.fingerprint());
        for (a, b) in one.entries().iter().zip(other.entries()) {
            assert_eq!(fs::read(&a.film).unwrap(), fs::read(&b.film).unwrap());
            let own = source.entries().iter().find(|e| e.patient == a.patient);
            let own = own.unwrap();
            assert_eq!(own.split, a.split);
            assert!(own.refusal.is_none() || own.refusal == a.refusal);
            let film = super::super::prepare_file(&a.film);
            assert!(film.is_ok() || a.refusal.is_some());
        }
        let kinds: std::collections::BTreeSet<_> =
            one.entries().iter().map(|entry| entry.refusal).collect();
        assert!(kinds.len() > 8, "{kinds:?}");
        let again = spoil(&[source], &options, || {});
        assert!(matches!(again, Err(DerivedError::Occupied(_))));
    }
}
