//! The cohort's folder while it is unfinished.
//!
//! All that is in it is synced before it gets its name, so that it is there whole or not at all
//! after a power cut, too.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
#[cfg(unix)]
use std::os::unix::fs::symlink;
#[cfg(windows)]
use std::os::windows::fs::symlink_dir as symlink;
use std::path::{Path, PathBuf};

use plumbline_shared::durable::{Disk, Medium, replace_file_on};

use super::error::ImportError;
use super::source::{Located, Source};
use crate::cohort::finishing::{Unwritten, create_folders, finishing};

/// Kept in an unfinished folder, so that the next import knows it for one.
const MARK: &str = "unfinished-import";

/// Name of the folder of copied films.
const FILMS: &str = "films";

/// A hidden folder beside the one to write, which takes its name when it is whole and vanishes
/// when it does not become so.
pub(super) struct Draft<'m> {
    medium: &'m (dyn Medium + Sync),
    out: PathBuf,
    folder: PathBuf,
    /// Folders that were made for it and are above it, the highest first.
    made: Vec<PathBuf>,
    finished: bool,
}

impl Draft<'static> {
    /// Begins a folder that is to be called `out`, which must be absent or empty and lie in no
    /// source. The folder of an interrupted import is removed.
    pub(super) fn begin(out: &Path, sources: &[Source]) -> Result<Self, ImportError> {
        Self::begin_on(&Disk, out, sources)
    }
}

impl<'m> Draft<'m> {
    /// [`Draft::begin`] on any medium.
    fn begin_on(
        medium: &'m (dyn Medium + Sync),
        out: &Path,
        sources: &[Source],
    ) -> Result<Self, ImportError> {
        let failed = |source| ImportError::Write {
            file: out.to_owned(),
            source,
        };
        let whole = absolute(out).map_err(failed)?;
        let (Some(parent), Some(name)) = (whole.parent(), whole.file_name()) else {
            return Err(ImportError::Occupied(out.to_owned()));
        };
        if let Some(source) = sources
            .iter()
            .find(|source| whole.starts_with(&source.root))
        {
            return Err(ImportError::Nested {
                out: out.to_owned(),
                source_folder: source.folder().to_owned(),
            });
        }
        let is_free = match fs::read_dir(&whole) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if !is_free {
            return Err(ImportError::Occupied(out.to_owned()));
        }
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".part");
        let folder = parent.join(hidden);
        if folder.symlink_metadata().is_ok() {
            if !folder.join(MARK).is_file() {
                return Err(ImportError::InTheWay(folder));
            }
            fs::remove_dir_all(&folder).map_err(failed)?;
        }
        let draft = Self {
            medium,
            made: create_folders(medium, parent).map_err(failed)?,
            out: whole.clone(),
            folder,
            finished: false,
        };
        fs::create_dir(&draft.folder).map_err(failed)?;
        draft.write(MARK, b"")?;
        Ok(draft)
    }

    /// Returns the unfinished folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ImportError> {
        replace_file_on(self.medium, &self.folder.join(name), bytes)
            .map_err(|source| self.failed(name, source))
    }

    /// Makes `name` a link to a folder.
    pub(super) fn link(&self, name: &str, folder: &Path) -> Result<(), ImportError> {
        symlink(folder, self.folder.join(name)).map_err(|source| self.failed(name, source))
    }

    /// Copies films, and returns their names in the order given.
    pub(super) fn copy_films(&self, films: &[&Located]) -> Result<Vec<String>, ImportError> {
        let folder = self.folder.join(FILMS);
        fs::create_dir_all(&folder).map_err(|source| self.failed(FILMS, source))?;
        let copied = finishing(self.medium, &[folder], |finisher| {
            let copy = |(number, film): (usize, &&Located)| {
                let extension = Path::new(&film.path).extension();
                let extension = extension.and_then(OsStr::to_str);
                let extension = extension.map(|e| format!(".{e}")).unwrap_or_default();
                let name = format!("{FILMS}/{number:06}{extension}");
                finisher.write(&self.folder.join(&name), |file| {
                    io::copy(&mut File::open(&film.file)?, file).map(drop)
                })?;
                Ok(name)
            };
            films.iter().enumerate().map(copy).collect()
        });
        copied.map_err(|Unwritten { file, source }| {
            let name = file.strip_prefix(&self.folder).unwrap_or(&file);
            ImportError::Write {
                file: self.out.join(name),
                source,
            }
        })
    }

    /// Removes a file that was copied.
    pub(super) fn remove(&self, name: &str) -> Result<(), ImportError> {
        fs::remove_file(self.folder.join(name)).map_err(|source| self.failed(name, source))
    }

    /// Gives the folder its name.
    pub(super) fn finish(mut self) -> Result<(), ImportError> {
        let failed = |source| ImportError::Write {
            file: self.out.clone(),
            source,
        };
        let parent = self.out.parent().unwrap_or(&self.out);
        self.medium.sync_folder(&self.folder).map_err(failed)?;
        self.medium
            .rename(&self.folder, &self.out)
            .map_err(failed)?;
        self.medium.sync_folder(parent).map_err(failed)?;
        self.finished = true;
        // The cohort is whole; the mark does no harm should it stay.
        fs::remove_file(self.out.join(MARK)).ok();
        Ok(())
    }

    fn failed(&self, name: &str, source: io::Error) -> ImportError {
        ImportError::Write {
            file: self.out.join(name),
            source,
        }
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // Nobody is left to be told of a failure; the next import tries again.
            let _ = fs::remove_dir_all(&self.folder);
            for folder in self.made.iter().rev() {
                let _ = fs::remove_dir(folder);
            }
        }
    }
}

/// Returns an absolute path; the part of it that is there already has no links.
fn absolute(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let mut rest = Vec::new();
    let mut there = path.as_path();
    loop {
        if let Ok(whole) = fs::canonicalize(there) {
            return Ok(rest.iter().rev().fold(whole, |path, name| path.join(name)));
        }
        match (there.parent(), there.file_name()) {
            (Some(parent), Some(name)) => {
                rest.push(name);
                there = parent;
            }
            _ => return Ok(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(file: PathBuf) -> Located {
        let path = "a.png".into();
        Located { path, file }
    }

    #[test]
    fn an_unfinished_folder_vanishes_and_its_sources_stay() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("a.png"), "a").unwrap();
        let out = folder.path().join("new/cohort");
        let begin = || {
            let draft = Draft::begin(&out, &[]).unwrap();
            draft.link("source-1", &source).unwrap();
            let copied = draft.copy_films(&[&located(source.join("a.png"))]).unwrap();
            assert_eq!(copied, ["films/000000.png"]);
            draft
        };
        drop(begin());
        assert!(!folder.path().join("new").exists());
        // An interrupted one is left, and cleared away by the next.
        std::mem::forget(begin());
        fs::write(folder.path().join("new/.cohort.part/old"), "").unwrap();
        begin().finish().unwrap();
        let names = |folder: &Path| fs::read_dir(folder).unwrap().count();
        assert_eq!((names(&folder.path().join("new")), names(&out)), (1, 2));
        assert_eq!(fs::read(source.join("a.png")).unwrap(), b"a");
        assert_eq!(fs::read(out.join("source-1/a.png")).unwrap(), b"a");
    }

    /// A folder that has its name is whole after a power cut at any step, whether the medium kept
    /// the last names or not.
    #[cfg(unix)]
    #[test]
    fn a_power_cut_leaves_a_whole_folder_or_none() {
        use crate::cohort::power_cut::PowerCut;

        for lose_names in [false, true] {
            let mut steps = 0;
            loop {
                let folder = tempfile::tempdir().unwrap();
                let film = folder.path().join("a.png");
                fs::write(&film, "film").unwrap();
                let out = folder.path().join("new/cohort");
                let medium = PowerCut::after(steps);
                let import = || {
                    let draft = Draft::begin_on(&medium, &out, &[])?;
                    draft.copy_films(&[&located(film.clone())])?;
                    draft.write("cohort.csv", b"manifest")?;
                    draft.finish()
                };
                let result = import();
                medium.lose_unsynced(lose_names);
                if out.exists() {
                    let read = |name: &str| fs::read(out.join(name)).unwrap_or_default();
                    assert_eq!(read("films/000000.png"), b"film", "{steps} steps");
                    assert_eq!(read("cohort.csv"), b"manifest", "{steps} steps");
                } else {
                    assert!(result.is_err(), "done after {steps} steps, and not there");
                }
                if result.is_ok() {
                    break;
                }
                steps += 1;
            }
            assert!(steps > 12, "{steps} steps");
        }
    }

    #[test]
    fn what_is_there_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["full/x", "empty", ".in-the-way.part/x"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("file"), "").unwrap();
        let sources = [Source::open(&at("full")).unwrap()];
        let begin = |name: &str| match Draft::begin(&at(name), &sources) {
            Ok(draft) => draft.finish().map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        assert_eq!(begin("empty"), Ok(()));
        for (name, words) in [
            ("full", "lies in the source"),
            ("full/x/../new", "lies in the source"),
            ("file", "not an empty folder"),
            ("in-the-way", "is in the way"),
            ("..", "not an empty folder"),
        ] {
            let message = begin(name).unwrap_err();
            assert!(message.contains(words), "{name}: {message}");
        }
        assert!(at("full/x").exists() && at(".in-the-way.part/x").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }
}
