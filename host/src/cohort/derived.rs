//! Cohorts whose films are made of those of other cohorts: each keeps the patient and the split of the
//! film that it is made of.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use image::ImageError;
use plumbline_phantom::{Size, Variates, files};
use plumbline_shared::durable::{Disk, replace_file_on};
use plumbline_shared::film::{Film, FilmError};
use rayon::prelude::*;

use super::finishing::{Unwritten, create_folders, finishing};
use super::manifest::{self, Entry, MANIFEST, Row};
use super::{Cohort, FilmsError};

/// An error of making films of those of other cohorts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DerivedError {
    /// The options make no cohort.
    #[error("{0}")]
    Options(&'static str),
    /// A source has no films that others can be made of.
    #[error("{} has no films to make others of; give another cohort", .0.display())]
    NoFilms(PathBuf),
    /// A patient is in different splits of two cohorts.
    #[error(
        "the patient {0:?} is in two splits, so that networks would be measured on patients that they \
         have learnt from; if these are two patients, name them differently"
    )]
    SplitPatient(String),
    /// The folder is in use.
    #[error("{} is not empty; give a new folder", .0.display())]
    Occupied(PathBuf),
    /// A film of a source.
    #[error(transparent)]
    Film(#[from] FilmsError),
    /// A file of a source that cannot be read.
    #[error("cannot read {file} ({error})", file = file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// A film that cannot be encoded.
    #[error("a film made of {film} cannot be encoded ({what}); report it", film = film.display())]
    Encode {
        /// The source.
        film: PathBuf,
        /// The reason.
        what: String,
    },
    /// A film that came to nothing.
    #[error("a film made of {film} has no pixels ({error}); report it", film = film.display())]
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

impl From<Unwritten> for DerivedError {
    fn from(unwritten: Unwritten) -> Self {
        Self::Write {
            file: unwritten.file,
            error: unwritten.source,
        }
    }
}

/// A film that was made: its row, and the PNG files that the row names.
pub(super) struct Made {
    pub(super) row: Row,
    pub(super) film: Vec<u8>,
    pub(super) mask: Option<Vec<u8>>,
}

/// Makes a cohort in the new or empty folder `out` of what `make` gives for the numbers from 0 to
/// `films`, on all cores, and calls `progress` after each.
///
/// Returns how often `make` gave nothing.
///
/// # Errors
/// If there are to be no films, if the folder is in use or cannot be written, or the first of `make`.
pub(super) fn derive(
    out: &Path,
    films: u64,
    make: impl Fn(u64) -> Result<Option<Made>, DerivedError> + Sync,
    progress: impl Fn() + Sync,
) -> Result<usize, DerivedError> {
    if films == 0 {
        return Err(DerivedError::Options("films must be 1 or more"));
    }
    let folders = begin(out)?;
    let rows: Vec<Option<Row>> = finishing(&Disk, &folders, |finisher| {
        let made = (0..films).into_par_iter().map(|index| {
            let made = make(index)?;
            if let Some(made) = &made {
                let write = |name: &String, bytes: &[u8]| {
                    finisher.write(&out.join(name), |file| file.write_all(bytes))
                };
                write(&made.row.film, &made.film)?;
                if let (Some(name), Some(mask)) = (&made.row.mask, &made.mask) {
                    write(name, mask)?;
                }
            }
            progress();
            Ok::<_, DerivedError>(made.map(|made| made.row))
        });
        made.collect()
    })?;
    let rows: Vec<Row> = rows.into_iter().flatten().collect();
    finish(out, &rows)?;
    Ok(films as usize - rows.len())
}

/// Makes the folders of films and masks in the new or empty folder `out`.
pub(super) fn begin(out: &Path) -> Result<[PathBuf; 2], DerivedError> {
    let folders = ["films", "masks"].map(|name| out.join(name));
    let holds_something = |folder: &Path| match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(unwritten(folder)(error)),
    };
    if holds_something(out)? {
        return Err(DerivedError::Occupied(out.to_owned()));
    }
    for folder in &folders {
        create_folders(&Disk, folder).map_err(unwritten(folder))?;
    }
    Ok(folders)
}

/// Writes the manifest, which makes a folder a cohort, and takes away a folder that stayed empty.
pub(super) fn finish(out: &Path, rows: &[Row]) -> Result<(), DerivedError> {
    if rows.iter().all(|row| row.mask.is_none()) {
        let masks = out.join("masks");
        fs::remove_dir(&masks).map_err(unwritten(&masks))?;
    }
    let file = out.join(MANIFEST);
    let unencoded = |error: csv::Error| unwritten(&file)(io::Error::other(error));
    let bytes = manifest::write(rows).map_err(unencoded)?;
    replace_file_on(&Disk, &file, &bytes).map_err(unwritten(&file))
}

/// The film that each of `films` new ones is made of: the sources in turn, the `wanted` films of each in
/// a random order, again and again.
///
/// # Errors
/// If a source has none.
pub(super) fn deal(
    sources: &[Cohort],
    films: u64,
    seed: u64,
    wanted: impl Fn(&Entry) -> bool,
) -> Result<Vec<&Entry>, DerivedError> {
    if sources.is_empty() {
        return Err(DerivedError::Options("give a cohort whose films are taken"));
    }
    let mut rng = Variates::new(seed, 0);
    let mut decks = Vec::new();
    for cohort in sources {
        let entries = cohort.entries().iter();
        let mut films: Vec<&Entry> = entries.filter(|entry| wanted(entry)).collect();
        if films.is_empty() {
            return Err(DerivedError::NoFilms(cohort.folder().to_owned()));
        }
        rng.shuffle(&mut films);
        decks.push(films);
    }
    let number = |index: u64| index as usize;
    let films = (0..films).map(|index| {
        let deck = &decks[number(index) % decks.len()];
        deck[number(index) / decks.len() % deck.len()]
    });
    Ok(films.collect())
}

/// The error of a film that came to nothing.
pub(super) fn nothing(entry: &Entry) -> impl Fn(FilmError) -> DerivedError {
    |error| DerivedError::Nothing {
        film: entry.film.clone(),
        error,
    }
}

/// The PNG file of a film that was made of an entry's.
pub(super) fn encoded(entry: &Entry, film: &Film) -> Result<Vec<u8>, DerivedError> {
    let size = Size {
        width: film.width() as usize,
        height: film.height() as usize,
    };
    let encoded = files::png16(size, film.pixels());
    encoded.map_err(unencoded(entry))
}

/// The error of a film that cannot be encoded.
pub(super) fn unencoded(entry: &Entry) -> impl Fn(ImageError) -> DerivedError {
    |error| DerivedError::Encode {
        film: entry.film.clone(),
        what: error.to_string(),
    }
}

/// The error of a file that cannot be written.
fn unwritten(file: &Path) -> impl Fn(io::Error) -> DerivedError {
    move |error| DerivedError::Write {
        file: file.to_owned(),
        error,
    }
}
