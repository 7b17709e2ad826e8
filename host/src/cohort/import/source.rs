//! The folders that films are imported from.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use plumbline_shared::decode::MAX_BYTES;

use super::error::ImportError;
use super::rejects::Reason;
use crate::cohort::manifest::within;

/// One SOURCE of the command line.
#[derive(Debug)]
pub(super) struct Source {
    /// The source as it was given.
    pub(super) given: PathBuf,
    /// The folder that films are looked for in: the source, or the folder of the table given.
    /// Absolute, without links.
    pub(super) root: PathBuf,
    /// The table, if a file was given.
    pub(super) table: Option<PathBuf>,
}

/// A film's file within a source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Located {
    /// Path relative to the source's root, plain names separated by slashes.
    pub(super) path: String,
    /// The file itself: absolute, without links.
    pub(super) file: PathBuf,
}

impl Source {
    /// Opens a folder, or the folder of a table.
    pub(super) fn open(given: &Path) -> Result<Self, ImportError> {
        let unreadable = |source| ImportError::Unreadable {
            path: given.to_owned(),
            source,
        };
        let path = fs::canonicalize(given).map_err(unreadable)?;
        let (root, table) = match path.parent() {
            Some(parent) if !path.is_dir() => (parent.to_owned(), Some(given.to_owned())),
            _ => (path, None),
        };
        fs::read_dir(&root).map_err(unreadable)?;
        Ok(Self {
            given: given.to_owned(),
            root,
            table,
        })
    }

    /// Returns the folder that films are looked for in, as it was given.
    pub(super) fn folder(&self) -> &Path {
        match &self.table {
            Some(table) => match table.parent() {
                Some(parent) if parent != Path::new("") => parent,
                _ => Path::new("."),
            },
            None => &self.given,
        }
    }

    /// Returns the tables that were given or lie in the folder under a name that `matches`, by name.
    pub(super) fn tables(
        &self,
        matches: impl Fn(&str) -> bool,
    ) -> Result<Vec<PathBuf>, ImportError> {
        if let Some(table) = &self.table {
            return Ok(vec![table.clone()]);
        }
        let unreadable = |source| ImportError::Unreadable {
            path: self.given.clone(),
            source,
        };
        let mut tables = Vec::new();
        for entry in fs::read_dir(&self.given).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            if name.to_str().is_some_and(&matches) {
                tables.push(self.given.join(name));
            }
        }
        tables.sort();
        Ok(tables)
    }

    /// Returns the film that `path`, relative to the root, leads to.
    pub(super) fn locate(&self, path: &str) -> Result<Located, Reason> {
        let plain = within(path).ok_or(Reason::Outside)?;
        if path.ends_with(char::is_whitespace) || path.contains(char::is_control) {
            return Err(Reason::Name);
        }
        let file = fs::canonicalize(self.root.join(plain)).map_err(|_| Reason::Absent)?;
        if !file.starts_with(&self.root) {
            return Err(Reason::Outside);
        }
        let metadata = fs::metadata(&file).map_err(|_| Reason::Absent)?;
        if !metadata.is_file() {
            return Err(Reason::Absent);
        }
        // Before anybody reads it into memory.
        if metadata.len() > MAX_BYTES as u64 {
            return Err(Reason::TooLong(metadata.len()));
        }
        // `a//b.png` names the same film as `a/b.png`.
        let names: Vec<&str> = plain.iter().filter_map(OsStr::to_str).collect();
        let path = names.join("/");
        Ok(Located { path, file })
    }

    /// Returns the film of a file that was found by walking through the root.
    pub(super) fn located(&self, file: &Path) -> Result<Located, Reason> {
        let path = file.strip_prefix(&self.root).unwrap_or(file);
        let path = path.to_str().filter(|path| !path.contains('\\'));
        self.locate(path.ok_or(Reason::Name)?)
    }

    /// Returns a path within the root as the rejects name it.
    pub(super) fn shown(&self, file: &Path) -> String {
        let path = file.strip_prefix(&self.root).unwrap_or(file);
        path.to_string_lossy().into_owned()
    }
}
