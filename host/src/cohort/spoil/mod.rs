//! Cohorts of spoilt films: good films as they are, and with the faults that a station's gate must
//! find, made of the same films. The gate's network learns from such a cohort and is measured on
//! another.
//!
//! Every film of a new cohort is made of one of an old one's, whose patient and split it keeps.
//! Films that a reader should refuse keep their reason and are varied alone.

mod canvas;
mod elsewhere;
mod exposure;
mod framing;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use plumbline_phantom::{Size, Variates, files};
use plumbline_shared::clinical::Refusal;
use plumbline_shared::decode::{ErrorKind, decode, read_file};
use plumbline_shared::durable::{Disk, replace_file_on};
use plumbline_shared::film::{Film, FilmError};
use plumbline_shared::preprocess::{SIDE, prepare};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::finishing::{Unwritten, create_folders, finishing};
use super::manifest::{self, Entry, MANIFEST, Row};
use super::{Cohort, FilmsError};
use canvas::Canvas;
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

/// An error of spoiling films.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoilError {
    /// The sources have no films of a frontal chest or to be refused.
    #[error("{} has no films to spoil; give another cohort", .0.display())]
    NoFilms(PathBuf),
    /// The folder is in use.
    #[error("{} is not empty; give a new folder", .0.display())]
    Occupied(PathBuf),
    /// A film of a source.
    #[error(transparent)]
    Film(#[from] FilmsError),
    /// A film that came to nothing.
    #[error("a spoilt film of {film} has no pixels ({error}); report it", film = film.display())]
    Nothing {
        /// The source.
        film: PathBuf,
        /// The reason.
        error: FilmError,
    },
    /// A file that cannot be written.
    #[error("{} cannot be written ({error}); make room there, or give another folder", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// The reason.
        error: io::Error,
    },
}

impl From<Unwritten> for SpoilError {
    fn from(unwritten: Unwritten) -> Self {
        Self::Write {
            file: unwritten.file,
            error: unwritten.source,
        }
    }
}

/// Makes the cohort of `options` from `sources`, each of which gives the same number of films, and
/// calls `progress` after each film, from any thread. The same call gives the same bytes.
///
/// # Errors
/// If a source has no films, one of them cannot be read, or the folder cannot be written.
pub fn spoil(
    sources: &[Cohort],
    options: &SpoilOptions,
    progress: impl Fn() + Sync,
) -> Result<(), SpoilError> {
    let out = &options.out;
    let folder = out.join("films");
    create_folders(&Disk, &folder).map_err(unwritten(&folder))?;
    let mut there = fs::read_dir(out).map_err(unwritten(out))?;
    if there.any(|entry| entry.is_ok_and(|entry| entry.file_name() != "films"))
        || fs::read_dir(&folder)
            .map_err(unwritten(&folder))?
            .next()
            .is_some()
    {
        return Err(SpoilError::Occupied(out.clone()));
    }
    let films = order(sources, options)?;
    let rows: Vec<Option<Row>> = finishing(&Disk, &[folder], |finisher| {
        let made = films.par_iter().enumerate().map(|(index, entry)| {
            let mut hash = options.seed;
            hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index as u64;
            let mut rng = ChaCha8Rng::seed_from_u64(hash);
            let good = rng.random_range(0.0..1.0) < options.good;
            let fault = match entry.refusal {
                None if good => None,
                None => Some(FAULTS[rng.random_range(0..FAULTS.len())]),
                own => own,
            };
            let name = format!("films/{index:06}.png");
            let path = out.join(&name);
            let Some(bytes) = film(entry, fault, options.whole, &mut rng)? else {
                progress();
                return Ok(None);
            };
            finisher.write(&path, |file| file.write_all(&bytes))?;
            progress();
            Ok::<_, SpoilError>(Some(Row {
                study: entry.study.clone(),
                refusal: fault,
                age: entry.age,
                sex: entry.sex,
                ..Row::new(name, entry.patient.clone(), entry.split)
            }))
        });
        made.collect()
    })?;
    let rows: Vec<Row> = rows.into_iter().flatten().collect();
    let file = out.join(MANIFEST);
    let unencoded = |error: csv::Error| unwritten(&file)(io::Error::other(error));
    let bytes = manifest::write(&rows).map_err(unencoded)?;
    replace_file_on(&Disk, &file, &bytes).map_err(unwritten(&file))
}

/// The source of each film: the sources in turn, the films of each in a random order, again and
/// again.
fn order<'a>(sources: &'a [Cohort], options: &SpoilOptions) -> Result<Vec<&'a Entry>, SpoilError> {
    let mut rng = Variates::new(options.seed, 0);
    let mut decks = Vec::new();
    for cohort in sources {
        let mut films: Vec<&Entry> = cohort.entries().iter().collect();
        if films.is_empty() {
            return Err(SpoilError::NoFilms(cohort.folder().to_owned()));
        }
        rng.shuffle(&mut films);
        decks.push(films);
    }
    let number = |index: u64| index as usize;
    let films = (0..options.films).map(|index| {
        let deck = &decks[number(index) % decks.len()];
        deck[number(index) / decks.len() % deck.len()]
    });
    Ok(films.collect())
}

/// The PNG file of a film of `entry` with a `fault`; its own if it has one. None if so little is left of
/// it that no decoder gives it: such a file never gets to the gate.
fn film(
    entry: &Entry,
    fault: Option<Refusal>,
    whole: bool,
    rng: &mut ChaCha8Rng,
) -> Result<Option<Vec<u8>>, SpoilError> {
    let decoded = read_file(&entry.film).and_then(|bytes| decode(&bytes));
    let decoded = match decoded {
        Err(error) if error.kind() == ErrorKind::Blank && entry.refusal.is_some() => {
            return Ok(None);
        }
        decoded => decoded.map_err(|source| FilmsError::Undecodable {
            path: entry.film.clone(),
            source,
        })?,
    };
    let nothing = |error| SpoilError::Nothing {
        film: entry.film.clone(),
        error,
    };
    let canvas = Canvas::of(&decoded.film);
    let made = match entry.refusal {
        Some(_) => varied(canvas, rng),
        None => spoilt(canvas, fault, rng),
    };
    let film = made.film().map_err(nothing)?;
    let film = match whole {
        true => film,
        false => {
            let grey = prepare(&film).grey().to_vec();
            Film::new(SIDE as u32, SIDE as u32, grey).map_err(nothing)?
        }
    };
    let size = Size {
        width: film.width() as usize,
        height: film.height() as usize,
    };
    let encoded = files::png16(size, film.pixels());
    let encoded = encoded.map_err(|error| SpoilError::Write {
        file: entry.film.clone(),
        error: io::Error::other(error),
    })?;
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

fn unwritten(file: &Path) -> impl Fn(io::Error) -> SpoilError {
    let file = file.to_owned();
    move |error| SpoilError::Write {
        file: file.clone(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::super::phantom::{Format, PhantomOptions, generate};
    use super::*;

    #[test]
    fn cohorts_are_spoilt_alike_and_keep_patients_and_splits() {
        let folder = tempfile::tempdir().unwrap();
        let phantoms = folder.path().join("phantoms");
        let drawn = PhantomOptions {
            films: 6,
            refused: 5,
            prevalence: 0.5,
            seed: 3,
            out: phantoms.clone(),
            format: Format::Png,
            side: 96,
            square: false,
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
        assert!(matches!(again, Err(SpoilError::Occupied(_))));
    }
}
