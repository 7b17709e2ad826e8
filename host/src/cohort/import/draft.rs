//! The cohort's folder while it is unfinished.

use std::fs;
use std::io;
#[cfg(unix)]
use std::os::unix::fs::symlink;
#[cfg(windows)]
use std::os::windows::fs::symlink_dir as symlink;
use std::path::{Path, PathBuf};

use super::error::ImportError;
use super::source::Source;

/// Kept in an unfinished folder, so that the next import knows it for one.
const MARK: &str = "unfinished-import";

/// A hidden folder beside the one to write, which takes its name when it is whole and vanishes
/// when it does not become so.
pub(super) struct Draft {
    out: PathBuf,
    folder: PathBuf,
    /// Folders above it that were made for it, the highest first.
    made: Vec<PathBuf>,
    finished: bool,
}

impl Draft {
    /// Begins a folder that is to be called `out`, which must be absent or empty and lie in no
    /// source. What an interrupted import left is removed.
    pub(super) fn begin(out: &Path, sources: &[Source]) -> Result<Self, ImportError> {
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
        let above = parent.ancestors().take_while(|folder| !folder.exists());
        let mut made: Vec<PathBuf> = above.map(Path::to_owned).collect();
        made.reverse();
        let draft = Self {
            out: whole.clone(),
            folder,
            made,
            finished: false,
        };
        fs::create_dir_all(&draft.folder).map_err(failed)?;
        draft.write(MARK, b"")?;
        Ok(draft)
    }

    /// The unfinished folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ImportError> {
        fs::write(self.folder.join(name), bytes).map_err(|source| self.failed(name, source))
    }

    /// Makes `name` a link to a folder.
    pub(super) fn link(&self, name: &str, folder: &Path) -> Result<(), ImportError> {
        symlink(folder, self.folder.join(name)).map_err(|source| self.failed(name, source))
    }

    /// Copies a file to `name`.
    pub(super) fn copy(&self, name: &str, file: &Path) -> Result<(), ImportError> {
        let to = self.folder.join(name);
        let parent = to.parent().unwrap_or(&self.folder);
        fs::create_dir_all(parent)
            .and_then(|()| fs::copy(file, &to))
            .map(drop)
            .map_err(|source| self.failed(name, source))
    }

    /// Removes a file that was copied.
    pub(super) fn remove(&self, name: &str) -> Result<(), ImportError> {
        fs::remove_file(self.folder.join(name)).map_err(|source| self.failed(name, source))
    }

    /// Gives the folder its name.
    pub(super) fn finish(mut self) -> Result<(), ImportError> {
        self.remove(MARK)?;
        fs::rename(&self.folder, &self.out).map_err(|source| ImportError::Write {
            file: self.out.clone(),
            source,
        })?;
        self.finished = true;
        Ok(())
    }

    fn failed(&self, name: &str, source: io::Error) -> ImportError {
        ImportError::Write {
            file: self.out.join(name),
            source,
        }
    }
}

impl Drop for Draft {
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

/// An absolute path, in which what is there already has no links.
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
            draft.copy("films/0.png", &source.join("a.png")).unwrap();
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
