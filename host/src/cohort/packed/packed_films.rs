//! Packed films, opened.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use rayon::prelude::*;

use super::error::StaleReason;
use super::index::{self, FILM, GREYS, Row, Stamp};
use crate::cohort::duplicates::Hash;
use crate::cohort::films::{FilmsError, MOST_LEFT_OUT_PER_CENT, TooManyUnusable, prepare_file};
use crate::cohort::manifest::Entry;

/// Name of the packed films in a cohort's folder.
pub const PACKED: &str = "films.packed";

/// Films that can be used, with their places among packed ones, and the faults of the others.
pub type Usable<'a> = (Vec<(&'a Entry, usize)>, Vec<FilmsError>);

/// Packed films, mapped into memory: reading one is a look at the page cache.
#[derive(Debug)]
pub struct PackedFilms {
    folder: PathBuf,
    map: Mmap,
    rows: Vec<Row>,
    places: HashMap<String, usize>,
}

impl PackedFilms {
    /// Opens the packed films of the cohort in `folder` if they hold all of `films`, paths
    /// relative to it, as their files are now. Others that they hold do not matter.
    ///
    /// # Errors
    /// The reason for which they must be packed first.
    pub fn open(folder: &Path, films: &[PathBuf]) -> Result<Self, StaleReason> {
        let packed = Self::read(folder)?;
        films.par_iter().try_for_each(|film| {
            let place = film.to_str().and_then(|name| packed.places.get(name));
            let row = place.map(|place| &packed.rows[*place]);
            let row = row.ok_or_else(|| StaleReason::Added(film.clone()))?;
            match Stamp::of(&folder.join(film)) {
                Ok(stamp) if stamp == row.stamp => Ok(()),
                _ => Err(StaleReason::Changed(film.clone())),
            }
        })?;
        Ok(packed)
    }

    /// Opens the packed films in `folder`, whatever has become of the films.
    pub(super) fn read(folder: &Path) -> Result<Self, StaleReason> {
        if cfg!(target_endian = "big") {
            // Packing, which then comes next, says that there can be none.
            return Err(StaleReason::Absent);
        }
        let file = File::open(folder.join(PACKED)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StaleReason::Absent,
            _ => StaleReason::Unreadable(error),
        })?;
        // SAFETY: as in `new`.
        let rows = index::decode(&unsafe { Mmap::map(&file) }?)?;
        Ok(Self::new(folder, &file, rows)?)
    }

    /// Maps a packed file with these rows.
    pub(super) fn new(folder: &Path, file: &File, rows: Vec<Row>) -> io::Result<Self> {
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

    /// Returns the number of films, those that cannot be used included.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns true if there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the place of a film, given with or without the cohort's folder.
    ///
    /// # Errors
    /// The film's fault, as decoding it says again, or that it is not among these.
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

    /// Returns those of `entries` that can be used, with their places, and the faults of the
    /// others.
    ///
    /// # Errors
    /// If more cannot be used than may be left out.
    pub fn usable<'a>(&self, entries: Vec<&'a Entry>) -> Result<Usable<'a>, TooManyUnusable> {
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

    /// Returns the film at a place of these, 256 x 256 greys from 0 to 65535, straight from the map.
    ///
    /// # Panics
    /// If there are fewer films.
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

    /// Returns the perceptual hash of a film, given with or without the cohort's folder; none if it is not
    /// among these or cannot be used.
    pub fn hash(&self, film: &Path) -> Option<Hash> {
        let relative = film.strip_prefix(&self.folder).unwrap_or(film);
        let place = relative.to_str().and_then(|name| self.places.get(name))?;
        self.rows[*place].hash
    }

    /// Returns the hash and the greys of a film if its file is still the one that was packed.
    pub(super) fn fresh(&self, name: &str, stamp: Stamp) -> Option<(Hash, &[u16])> {
        let place = *self.places.get(name)?;
        let row = &self.rows[place];
        let hash = row.hash.filter(|_| row.stamp == stamp)?;
        Some((hash, self.grey(place)))
    }
}
