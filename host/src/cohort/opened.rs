//! A cohort that is open: its films in the manifest's order, and what is asked of them.

use std::path::{Path, PathBuf};

use plumbline_shared::manifest::sha256;

use super::duplicates;
use super::error::CohortError;
use super::manifest::{self, Entry, MANIFEST, Split};
use super::packed::{self, PackError, PackedFilms, Packing, StaleReason};
use super::split;
use super::summary::Summary;

/// A cohort on disk: a folder with films, and a manifest that says what they show.
///
/// ```
/// use plumbline_host::cohort::{Cohort, Split};
///
/// let folder = std::env::temp_dir().join(format!("cohort-{}", std::process::id()));
/// std::fs::create_dir_all(&folder)?;
/// std::fs::write(folder.join("film.png"), "")?;
/// std::fs::write(
///     folder.join("cohort.csv"),
///     "film,patient,split,label,cobb_degrees\nfilm.png,A,test,1,23.5\n",
/// )?;
///
/// let cohort = Cohort::open(&folder)?;
/// let (films, labels) = cohort.labelled(Some(Split::Test));
/// assert_eq!(labels, [true]);
/// assert_eq!(films[0].cobb_degrees, Some(23.5));
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cohort {
    folder: PathBuf,
    entries: Vec<Entry>,
    fingerprint: String,
}

impl Cohort {
    /// Opens the cohort in a folder.
    ///
    /// # Errors
    ///
    /// If the manifest is unreadable, lacks a column or has a row that cannot be used, if a listed
    /// file is absent, or if a patient is in two splits.
    pub fn open(folder: &Path) -> Result<Self, CohortError> {
        let file = folder.join(MANIFEST);
        let bytes = std::fs::read(&file).map_err(|source| CohortError::Manifest {
            file: file.clone(),
            source,
        })?;
        let entries = manifest::read(folder, &bytes)?;
        check_files(&entries)?;
        if let Some(patient) = split::patient_in_two_splits(&entries) {
            return Err(CohortError::SplitPatient {
                file,
                patient: patient.to_owned(),
            });
        }
        let fingerprint = sha256(&bytes);
        Ok(Self {
            folder: folder.to_owned(),
            entries,
            fingerprint,
        })
    }

    /// Opens the cohorts in several folders.
    ///
    /// # Errors
    /// Of the first that cannot be opened, as [`Cohort::open`] says it.
    pub fn open_all(folders: &[PathBuf]) -> Result<Vec<Self>, CohortError> {
        folders.iter().map(|folder| Self::open(folder)).collect()
    }

    /// Returns the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns all films, in the manifest's order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the films that a screening network learns from or is measured on, of one split or
    /// of all, in the manifest's order, and their labels: films whose label is known and that no
    /// reader should refuse.
    pub fn labelled(&self, split: Option<Split>) -> (Vec<&Entry>, Vec<bool>) {
        self.entries
            .iter()
            .filter(|entry| split.is_none_or(|split| entry.split == split))
            .filter(|entry| entry.refusal.is_none())
            .filter_map(|entry| Some((entry, entry.label?)))
            .unzip()
    }

    /// Returns the films of one split that a network is pretrained on, in the manifest's order:
    /// films whose findings are known and that no reader should refuse.
    pub fn with_findings(&self, split: Split) -> Vec<&Entry> {
        let of_split = self.entries.iter().filter(|entry| entry.split == split);
        of_split
            .filter(|entry| entry.refusal.is_none() && entry.findings.is_some())
            .collect()
    }

    /// Returns the SHA-256 of the manifest, in hexadecimal.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Returns the packed films of all entries, if they are there and fresh.
    ///
    /// # Errors
    /// The reason for which they must be packed first.
    pub fn packed(&self) -> Result<PackedFilms, StaleReason> {
        PackedFilms::open(&self.folder, &self.films())
    }

    /// Packs the films of all entries, and calls `done` after each.
    ///
    /// # Errors
    /// If there is no room for them. Films that cannot be used are listed beside the rest, by
    /// their place among the entries.
    pub fn pack(&self, done: impl Fn() + Sync) -> Result<Packing, PackError> {
        packed::pack(&self.folder, &self.films(), done)
    }

    /// Returns the films' paths relative to the folder.
    fn films(&self) -> Vec<PathBuf> {
        let films = self.entries.iter().map(|entry| &entry.film);
        films
            .map(|film| film.strip_prefix(&self.folder).unwrap_or(film).to_owned())
            .collect()
    }

    /// Returns a report, in words, of films of different splits that look alike.
    pub fn near_duplicates(&self, packed: &PackedFilms) -> String {
        let films = self.entries.iter().map(|entry| packed.hash(&entry.film));
        let hashes: Vec<_> = films.collect();
        let pairs = duplicates::across_splits(&self.entries, &hashes);
        let unchecked = hashes.iter().filter(|hash| hash.is_none()).count();
        duplicates::report(&self.entries, &pairs, unchecked)
    }

    /// Counts films by split and each property, and the Cobb angles.
    pub fn summary(&self) -> Summary {
        Summary::new(&self.entries)
    }
}

/// Checks that all listed films and masks are there.
fn check_files(entries: &[Entry]) -> Result<(), CohortError> {
    let files = entries
        .iter()
        .flat_map(|entry| [Some(&entry.film), entry.mask.as_ref()]);
    let mut listed = files.flatten();
    match listed.find(|file| !file.is_file()) {
        Some(file) => Err(CohortError::Absent { file: file.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_checks_files_and_patients() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Cohort::open(folder.path()).map_err(|error| error.to_string());
        assert!(open().unwrap_err().contains("cohort.csv"));
        let write = |text: &str| std::fs::write(folder.path().join(MANIFEST), text).unwrap();
        write("film,patient,split,label\na.png,p,train,1\nb.png,p,test,1\n");
        assert!(open().unwrap_err().contains("a.png"));
        for name in ["a.png", "b.png"] {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        assert!(open().unwrap_err().contains("two splits"));
        write("film,patient,split,label\na.png,p,train,1\nb.png,q,test,0\n");
        let cohort = open().unwrap();
        assert_eq!(cohort.labelled(Some(Split::Test)).1, [false]);
        assert_eq!(cohort.labelled(None).1, [true, false]);
        assert!(cohort.labelled(Some(Split::Val)).0.is_empty());
        assert_eq!(cohort.fingerprint().len(), 64);
        write("film,patient,split,label,refusal\na.png,p,train,1,blank\nb.png,q,test,,\n");
        let cohort = open().unwrap();
        assert_eq!(cohort.entries().len(), 2);
        assert!(cohort.labelled(None).0.is_empty());
    }
}
