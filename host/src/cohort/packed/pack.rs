//! Packing: films decoded, prepared and written into one file.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use plumbline_shared::durable::{Disk, Unfinished, remove_unfinished};
use rayon::prelude::*;

use super::error::PackError;
use super::index::{self, FILM, GREYS, Row, Stamp};
use super::packed_films::{PACKED, PackedFilms};
use crate::cohort::duplicates::Hash;
use crate::cohort::films::{FilmsError, prepare_file};

/// The outcome of packing.
#[derive(Debug)]
#[non_exhaustive]
pub struct Packing {
    /// The packed films.
    pub packed: PackedFilms,
    /// The films that cannot be used, by their place in the list given, in its order.
    pub failures: Vec<(usize, FilmsError)>,
    /// The reason for which the file could not be kept beside the cohort, if it could not; it then
    /// serves this process alone.
    pub unkept: Option<io::Error>,
}

/// Decodes, prepares and packs `films`, paths relative to the cohort's `folder`, on all cores, and
/// calls `done` after each. Memory holds a film for each core, however many there are.
///
/// Films that packed films in the folder hold already, unchanged, are taken from there. Where the
/// folder cannot be written the file is a nameless temporary one.
///
/// # Errors
/// If there is no room for the file. Films that cannot be used are no error.
pub fn pack(
    folder: &Path,
    films: &[PathBuf],
    done: impl Fn() + Sync,
) -> Result<Packing, PackError> {
    if cfg!(target_endian = "big") {
        return Err(PackError::BigEndian);
    }
    let names: Vec<&str> = films
        .iter()
        .map(|film| {
            let unnamed = || PackError::Name { film: film.clone() };
            film.to_str().ok_or_else(unnamed)
        })
        .collect::<Result<_, _>>()?;
    let room = GREYS + FILM * films.len() as u64;
    let failed = |source| PackError::File {
        folder: folder.to_owned(),
        bytes: room,
        source,
    };
    let before = PackedFilms::read(folder).ok();
    let place = Place::create(folder).map_err(failed)?;
    let file = place.file();
    file.set_len(room).map_err(failed)?;
    let (rows, failures) =
        write_films(file, folder, &names, before.as_ref(), done).map_err(failed)?;
    write_index(file, room, &rows).map_err(failed)?;
    Ok(Packing {
        packed: PackedFilms::new(folder, file, rows).map_err(failed)?,
        failures,
        unkept: place.keep(),
    })
}

/// The file that films are packed into.
enum Place {
    /// A file beside its place in the cohort's folder.
    Kept(Unfinished),
    /// A nameless file in the temporary folder, and the reason for it.
    Temporary(File, io::Error),
}

impl Place {
    fn create(folder: &Path) -> io::Result<Self> {
        remove_unfinished(folder);
        match Unfinished::create(&Disk, &folder.join(PACKED)) {
            Ok(unfinished) => Ok(Self::Kept(unfinished)),
            Err(reason) => Ok(Self::Temporary(tempfile::tempfile()?, reason)),
        }
    }

    fn file(&self) -> &File {
        match self {
            Self::Kept(unfinished) => unfinished.file(),
            Self::Temporary(file, _) => file,
        }
    }

    /// Gives the file its name, or returns the reason for which it has none.
    fn keep(self) -> Option<io::Error> {
        match self {
            Self::Kept(unfinished) => unfinished.finish(&Disk).err(),
            Self::Temporary(_, reason) => Some(reason),
        }
    }
}

/// Failures by the place of the film.
type Failures = Vec<(usize, FilmsError)>;

/// Writes the greys of all films, and returns their rows.
fn write_films(
    file: &File,
    folder: &Path,
    names: &[&str],
    before: Option<&PackedFilms>,
    done: impl Fn() + Sync,
) -> io::Result<(Vec<Row>, Failures)> {
    let file = Mutex::new(file);
    let packed: Vec<(Row, Option<FilmsError>)> = names
        .par_iter()
        .enumerate()
        .map(|(place, name)| {
            let (row, grey, failure) = pack_film(folder, name, before);
            if let Some(grey) = grey {
                let file = file.lock().unwrap_or_else(PoisonError::into_inner);
                write_at(&file, GREYS + FILM * place as u64, &grey)?;
            }
            done();
            Ok((row, failure))
        })
        .collect::<io::Result<_>>()?;
    let (rows, failures): (Vec<_>, Vec<_>) = packed.into_iter().unzip();
    let failures = failures.into_iter().enumerate();
    Ok((
        rows,
        failures.filter_map(|(at, f)| Some((at, f?))).collect(),
    ))
}

/// Writes the index after the greys, then the header before them, and syncs the file.
fn write_index(file: &File, room: u64, rows: &[Row]) -> io::Result<()> {
    let (header, index) = index::encode(rows);
    write_at(file, room, &index)?;
    write_at(file, 0, &header)?;
    file.sync_all()
}

/// Makes one film's row and greys, or takes them from `before` if that has them.
fn pack_film(
    folder: &Path,
    name: &str,
    before: Option<&PackedFilms>,
) -> (Row, Option<Vec<u8>>, Option<FilmsError>) {
    let row = |stamp, hash| Row {
        film: name.to_owned(),
        stamp,
        hash,
    };
    let path = folder.join(name);
    // Taken first, so that a film that changes meanwhile does not look fresh.
    let stamp = Stamp::of(&path).unwrap_or(Stamp::NONE);
    if let Some((hash, grey)) = before.and_then(|before| before.fresh(name, stamp)) {
        return (row(stamp, Some(hash)), Some(bytes(grey)), None);
    }
    match prepare_file(&path) {
        Ok(prepared) => {
            let grey = prepared.grey();
            (row(stamp, Some(Hash::of(grey))), Some(bytes(grey)), None)
        }
        // Another attempt may succeed where the system failed, but not where the file is bad.
        Err(failure) if failure.is_of_the_system() => (row(Stamp::NONE, None), None, Some(failure)),
        Err(failure) => (row(stamp, None), None, Some(failure)),
    }
}

fn bytes(grey: &[u16]) -> Vec<u8> {
    grey.iter().flat_map(|grey| grey.to_le_bytes()).collect()
}

fn write_at(mut file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}
