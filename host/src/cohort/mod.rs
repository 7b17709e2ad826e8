//! Where films come from: a folder of films and the manifest that says what they show.

pub mod cache;
pub mod duplicates;
mod films;
pub mod import;
pub mod manifest;
mod newlines;
pub mod phantom;
mod sheet;
mod split;
mod summary;

use std::path::{Path, PathBuf};

use plumbline_shared::manifest::sha256;

pub use cache::{Built, Cache, CacheError, Unusable};
pub use films::{FilmsError, TooManyUnusable, prepare_file};
pub use manifest::{Entry, MANIFEST, NO_FINDING, Split};
pub use split::Shares;
pub use summary::Summary;

/// Why a cohort cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CohortError {
    /// The manifest cannot be read.
    #[error("cannot read {}: {source}; give the folder that holds a cohort", file.display())]
    Manifest {
        /// The manifest.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A column is missing.
    #[error("{} has no column `{column}`; add it to the header", file.display())]
    MissingColumn {
        /// The manifest.
        file: PathBuf,
        /// The column.
        column: &'static str,
    },
    /// A row cannot be understood.
    #[error("line {line} of {} cannot be used: {what}", file.display())]
    Row {
        /// The manifest.
        file: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A film or mask is absent.
    #[error("{} is listed in the manifest but is not there; restore it or remove its row", file.display())]
    Absent {
        /// The file.
        file: PathBuf,
    },
    /// One patient's films are in two splits.
    #[error("patient {patient:?} in {} is in two splits; keep all films of a patient in one", file.display())]
    SplitPatient {
        /// The manifest.
        file: PathBuf,
        /// The patient.
        patient: String,
    },
}

/// A cohort on disk.
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
    /// When the manifest is unreadable, lacks a column or has a row that cannot be used, when a
    /// listed file is absent, or when a patient is in two splits.
    pub fn open(folder: &Path) -> Result<Self, CohortError> {
        let file = folder.join(MANIFEST);
        let bytes = std::fs::read(&file).map_err(|source| CohortError::Manifest {
            file: file.clone(),
            source,
        })?;
        let entries = manifest::read(folder, &bytes)?;
        for entry in &entries {
            for listed in [Some(&entry.film), entry.mask.as_ref()]
                .into_iter()
                .flatten()
            {
                if !listed.is_file() {
                    return Err(CohortError::Absent {
                        file: listed.clone(),
                    });
                }
            }
        }
        if let Some(patient) = split::torn_patient(&entries) {
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

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All films, in the manifest's order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The films that a screening network learns from or is measured on, of one split or of all,
    /// in the manifest's order: those whose label is known and that no reader should refuse.
    /// Beside them their labels.
    pub fn labelled(&self, split: Option<Split>) -> (Vec<&Entry>, Vec<bool>) {
        self.entries
            .iter()
            .filter(|entry| split.is_none_or(|split| entry.split == split))
            .filter(|entry| entry.refusal.is_none())
            .filter_map(|entry| Some((entry, entry.label?)))
            .unzip()
    }

    /// The films of one split whose findings are known, in the manifest's order, and that no reader
    /// should refuse: what a network is pretrained on.
    pub fn with_findings(&self, split: Split) -> Vec<&Entry> {
        let of_split = self.entries.iter().filter(|entry| entry.split == split);
        of_split
            .filter(|entry| entry.refusal.is_none() && entry.findings.is_some())
            .collect()
    }

    /// SHA-256 of the manifest, in hexadecimal.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The packed films of all entries, if they are there and fresh.
    ///
    /// # Errors
    /// Why they must be packed first.
    pub fn packed(&self) -> Result<Cache, Unusable> {
        Cache::open(&self.folder, &self.films())
    }

    /// Packs the films of all entries, telling `done` after each.
    ///
    /// # Errors
    /// If there is no room for them. Films that cannot be used are listed beside the rest, by
    /// their place among the entries.
    pub fn pack(&self, done: impl Fn() + Sync) -> Result<Built, CacheError> {
        Cache::build(&self.folder, &self.films(), done)
    }

    /// The films' paths relative to the folder.
    fn films(&self) -> Vec<PathBuf> {
        let films = self.entries.iter().map(|entry| &entry.film);
        films
            .map(|film| film.strip_prefix(&self.folder).unwrap_or(film).to_owned())
            .collect()
    }

    /// The films of different splits that look alike, in words.
    pub fn near_duplicates(&self, cache: &Cache) -> String {
        let films = self.entries.iter().map(|entry| cache.hash(&entry.film));
        let hashes: Vec<_> = films.collect();
        let pairs = duplicates::across_splits(&self.entries, &hashes);
        let unchecked = hashes.iter().filter(|hash| hash.is_none()).count();
        duplicates::report(&self.entries, &pairs, unchecked)
    }

    /// Counts by split and each property, and the Cobb angles.
    pub fn summary(&self) -> Summary {
        Summary::new(&self.entries)
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
