//! A cohort's films as the networks see them, packed into one file that is mapped into memory.
//!
//! Decoding a film takes a thousand times as long as reading its 256 x 256 greys, so they are
//! made once, on all cores, and kept in `films.packed` beside the manifest:
//!
//! | from byte | bytes | |
//! |---|---|---|
//! | 0 | 8 | `PLUMBPAK` |
//! | 8 | 4 | version of this layout, `u32` |
//! | 12 | 4 | 0 |
//! | 16 | 64 | [`FINGERPRINT`](plumbline_shared::preprocess::FINGERPRINT) of the preprocessing, in hexadecimal |
//! | 80 | 8 | number of films n, `u64` |
//! | 88 | 8 | bytes of the index, `u64` |
//! | 96 | 32 | SHA-256 of the bytes 0 to 95 and the index |
//! | 4096 | 131072 n | greys of each film, 256 x 256 `u16`, row-major; zeros for a film that cannot be used |
//! | 4096 + 131072 n | | the index, a row for each film in the order of the greys |
//!
//! A row of the index:
//!
//! | bytes | |
//! |---|---|
//! | 4 | bytes of the path p, `u32` |
//! | p | the film's path relative to the cohort's folder, UTF-8 |
//! | 8 | bytes of the film's file, `u64` |
//! | 8 | its last modification, in nanoseconds since 1970, `i64` |
//! | 1 | 1, or 0 where the film cannot be used |
//! | 32 | its [perceptual hash](super::duplicates::Hash) |
//!
//! All numbers are little endian. The file is made under another name, synced and renamed, so it
//! is there whole or not at all; the checksum notices a copy that is not. It is as fresh as the
//! sizes and times of the films' files say, so a film replaced by one of the same size and time
//! goes unnoticed: delete `films.packed` then.

mod index;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use memmap2::Mmap;
use rayon::prelude::*;
use tempfile::TempPath;

use super::duplicates::Hash;
use super::films::{FilmsError, MOST_LEFT_OUT_PER_CENT, TooManyUnusable, prepare_file};
use super::manifest::Entry;
use index::{FILM, GREYS, Row, Stamp};

/// Name of the packed films in a cohort's folder.
pub const PACKED: &str = "films.packed";

/// Why films could not be packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// Greys are stored little endian and read in place.
    #[error("packed films need a little-endian processor; train on another computer")]
    BigEndian,
    /// A path is no text.
    #[error("the film's path {} is not UTF-8; rename it", film.display())]
    Name {
        /// The path.
        film: PathBuf,
    },
    /// Neither the cohort's folder nor the temporary one takes them.
    #[error(
        "cannot pack the films of {}, which needs {} MiB: {source}; free that space there or, where \
         that folder is read-only, in the temporary one (TMPDIR)",
        folder.display(), bytes.div_ceil(1 << 20)
    )]
    File {
        /// The cohort's folder.
        folder: PathBuf,
        /// Bytes of the whole file.
        bytes: u64,
        /// The system's reason.
        source: io::Error,
    },
}

/// Why packed films cannot be used as they are; packing again is the remedy for all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// None yet.
    #[error("the films are not packed yet")]
    Absent,
    /// The file cannot be read.
    #[error("the packed films cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The layout is another one.
    #[error("the films were packed by another version of plumbline")]
    Version,
    /// The preprocessing is another one.
    #[error("the films were packed with another preprocessing")]
    Preprocessing,
    /// The file is not whole.
    #[error("the file of packed films is damaged: {0}")]
    Torn(&'static str),
    /// A film is not among them.
    #[error("the film {} has been added", .0.display())]
    Added(PathBuf),
    /// A film's file is another one than was packed.
    #[error("the film {} has changed", .0.display())]
    Changed(PathBuf),
}

/// Packed films, mapped into memory: reading one is a look at the page cache.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    map: Mmap,
    rows: Vec<Row>,
    places: HashMap<String, usize>,
}

/// What [`Cache::build`] made.
#[derive(Debug)]
#[non_exhaustive]
pub struct Built {
    /// The packed films.
    pub cache: Cache,
    /// The films that cannot be used, by their place in the list given, in its order.
    pub failures: Vec<(usize, FilmsError)>,
    /// Why the file is not kept beside the cohort, where it could not be; it then serves this
    /// process alone.
    pub unkept: Option<io::Error>,
}

impl Cache {
    /// Decodes, prepares and packs `films`, paths relative to the cohort's `folder`, on all cores,
    /// telling `done` after each. Memory holds a film for each core, however many there are.
    ///
    /// Films that packed films in the folder hold already, unchanged, are taken from there. Where
    /// the folder cannot be written the file is a nameless temporary one.
    ///
    /// # Errors
    /// If there is no room for the file. Films that cannot be used are no error.
    pub fn build(
        folder: &Path,
        films: &[PathBuf],
        done: impl Fn() + Sync,
    ) -> Result<Built, CacheError> {
        if cfg!(target_endian = "big") {
            return Err(CacheError::BigEndian);
        }
        let names: Vec<&str> = films
            .iter()
            .map(|film| {
                let unnamed = || CacheError::Name { film: film.clone() };
                film.to_str().ok_or_else(unnamed)
            })
            .collect::<Result<_, _>>()?;
        let room = GREYS + FILM * films.len() as u64;
        let failed = |source| CacheError::File {
            folder: folder.to_owned(),
            bytes: room,
            source,
        };
        let before = Self::read(folder).ok();
        let (file, path, mut unkept) = scratch(folder).map_err(failed)?;
        file.set_len(room).map_err(failed)?;
        let file = Mutex::new(file);
        let packed: Vec<(Row, Option<FilmsError>)> = names
            .par_iter()
            .enumerate()
            .map(|(place, name)| {
                let (row, grey, failure) = pack(folder, name, before.as_ref());
                if let Some(grey) = grey {
                    write_at(&file, GREYS + FILM * place as u64, &grey)?;
                }
                done();
                Ok((row, failure))
            })
            .collect::<io::Result<_>>()
            .map_err(failed)?;
        let (rows, failures): (Vec<_>, Vec<_>) = packed.into_iter().unzip();
        let (header, index) = index::encode(&rows);
        write_at(&file, room, &index).map_err(failed)?;
        write_at(&file, 0, &header).map_err(failed)?;
        let file = file.into_inner().unwrap_or_else(|error| error.into_inner());
        file.sync_all().map_err(failed)?;
        if let Some(path) = path {
            unkept = keep(path, folder).err();
        }
        let failures = failures.into_iter().enumerate();
        Ok(Built {
            cache: Self::new(folder, &file, rows).map_err(failed)?,
            failures: failures.filter_map(|(at, f)| Some((at, f?))).collect(),
            unkept,
        })
    }

    /// Opens the packed films of the cohort in `folder` if they hold all of `films`, paths
    /// relative to it, as their files are now. Others that they hold do not matter.
    ///
    /// # Errors
    /// Why they must be packed first.
    pub fn open(folder: &Path, films: &[PathBuf]) -> Result<Self, Unusable> {
        let cache = Self::read(folder)?;
        films.par_iter().try_for_each(|film| {
            let place = film.to_str().and_then(|name| cache.places.get(name));
            let row = place.map(|place| &cache.rows[*place]);
            let row = row.ok_or_else(|| Unusable::Added(film.clone()))?;
            match Stamp::of(&folder.join(film)) {
                Ok(stamp) if stamp == row.stamp => Ok(()),
                _ => Err(Unusable::Changed(film.clone())),
            }
        })?;
        Ok(cache)
    }

    /// The packed films in `folder`, whatever has become of the films.
    fn read(folder: &Path) -> Result<Self, Unusable> {
        if cfg!(target_endian = "big") {
            // Packing, which then comes next, says that there can be none.
            return Err(Unusable::Absent);
        }
        let file = File::open(folder.join(PACKED)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Unusable::Absent,
            _ => Unusable::Unreadable(error),
        })?;
        // SAFETY: as in `new`.
        let rows = index::decode(&unsafe { Mmap::map(&file) }?)?;
        Ok(Self::new(folder, &file, rows)?)
    }

    fn new(folder: &Path, file: &File, rows: Vec<Row>) -> io::Result<Self> {
        // SAFETY: a map is sound while nobody writes to its file or shortens it. This program does
        // neither: a packed file is complete before it gets its name or is mapped, and is replaced
        // by renaming another over it, which leaves this one's content to those who hold it. A
        // file that another program overwrites in place would give wrong greys, and one that it
        // shortens ends this process by a signal at the next look past the end; nothing that can
        // be checked beforehand prevents that.
        let map = unsafe { Mmap::map(file) }?;
        let places = rows.iter().enumerate();
        Ok(Self {
            folder: folder.to_owned(),
            map,
            places: places.map(|(at, row)| (row.film.clone(), at)).collect(),
            rows,
        })
    }

    /// How many films there are, those that cannot be used included.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The place of a film, given with or without the cohort's folder.
    ///
    /// # Errors
    /// Why the film cannot be used, as decoding it says again, or that it is not among these.
    pub fn place(&self, film: &Path) -> Result<usize, FilmsError> {
        let relative = film.strip_prefix(&self.folder).unwrap_or(film);
        let place = relative.to_str().and_then(|name| self.places.get(name));
        match place {
            Some(place) if self.rows[*place].hash.is_some() => Ok(*place),
            _ => {
                let path = self.folder.join(relative);
                prepare_file(&path)?;
                Err(FilmsError::Unpacked { path })
            }
        }
    }

    /// Those of `entries` that can be used, with their places, and why the others cannot.
    ///
    /// # Errors
    /// If more cannot than may be left out.
    pub fn usable<'a>(
        &self,
        entries: Vec<&'a Entry>,
    ) -> Result<(Vec<(&'a Entry, usize)>, Vec<FilmsError>), TooManyUnusable> {
        let films = entries.len();
        let (mut usable, mut left_out) = (Vec::with_capacity(films), Vec::new());
        for entry in entries {
            match self.place(&entry.film) {
                Ok(place) => usable.push((entry, place)),
                Err(error) => left_out.push(error),
            }
        }
        let unusable = left_out.len();
        if unusable > (films * MOST_LEFT_OUT_PER_CENT / 100).max(1) {
            let first = Box::new(left_out.swap_remove(0));
            return Err(TooManyUnusable {
                unusable,
                films,
                first,
            });
        }
        Ok((usable, left_out))
    }

    /// The film at a place of these, 256 x 256 greys from 0 to 65535, straight from the map.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn grey(&self, place: usize) -> &[u16] {
        assert!(place < self.rows.len(), "no film at place {place}");
        let start = GREYS as usize + place * FILM as usize;
        // SAFETY: every two bytes are a `u16`. A map begins at a page and the films in it at
        // multiples of two bytes, so none are left over, which the assertion checks.
        let (before, grey, after) =
            unsafe { self.map[start..start + FILM as usize].align_to::<u16>() };
        assert!(before.is_empty() && after.is_empty());
        grey
    }

    /// The perceptual hash of a film, given with or without the cohort's folder; none if it is not
    /// among these or cannot be used.
    pub fn hash(&self, film: &Path) -> Option<Hash> {
        let relative = film.strip_prefix(&self.folder).unwrap_or(film);
        let place = relative.to_str().and_then(|name| self.places.get(name))?;
        self.rows[*place].hash
    }
}

/// One film's row and greys, from `before` where that has them.
fn pack(
    folder: &Path,
    name: &str,
    before: Option<&Cache>,
) -> (Row, Option<Vec<u8>>, Option<FilmsError>) {
    let row = |stamp, hash| Row {
        film: name.to_owned(),
        stamp,
        hash,
    };
    let path = folder.join(name);
    // Taken first, so that a film that changes meanwhile does not look fresh.
    let stamp = Stamp::of(&path).unwrap_or(Stamp::NONE);
    let known = before.and_then(|cache| Some((cache, *cache.places.get(name)?)));
    if let Some((cache, place)) = known
        && cache.rows[place].stamp == stamp
        && let Some(hash) = cache.rows[place].hash
    {
        return (row(stamp, Some(hash)), Some(bytes(cache.grey(place))), None);
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

fn write_at(file: &Mutex<File>, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let mut file = file.lock().unwrap_or_else(|error| error.into_inner());
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

/// How the file is called while it is made, before random letters.
const UNFINISHED: &str = ".films.packed.";

/// A file to pack into: in `folder` with its path, or else a nameless one in the temporary folder
/// and why. It is locked while this process lives.
fn scratch(folder: &Path) -> io::Result<(File, Option<TempPath>, Option<io::Error>)> {
    remove_abandoned(folder);
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    // As files are made by default: other users of the cohort may read it.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    match builder.tempfile_in(folder) {
        Ok(made) => {
            let (file, path) = made.into_parts();
            // Only keeps others from removing it; not every file system can lock.
            file.try_lock().ok();
            Ok((file, Some(path), None))
        }
        Err(reason) => Ok((tempfile::tempfile()?, None, Some(reason))),
    }
}

/// Removes what processes left that were stopped while packing.
fn remove_abandoned(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let unfinished = entry.file_name().to_string_lossy().starts_with(UNFINISHED);
        let lock = |path: &Path| File::open(path).is_ok_and(|file| file.try_lock().is_ok());
        if unfinished && lock(&entry.path()) {
            std::fs::remove_file(entry.path()).ok();
        }
    }
}

/// Gives the file its name.
fn keep(path: TempPath, folder: &Path) -> io::Result<()> {
    path.persist(folder.join(PACKED))
        .map_err(|error| error.error)?;
    // The name is on disk when the folder is.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}
