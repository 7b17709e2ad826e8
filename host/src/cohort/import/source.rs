//! The folders that films are imported from.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use plumbline_shared::decode::MAX_BYTES;

use super::Gathered;
use super::error::ImportError;
use super::rejects::{Origin, Reason};
use super::table::shortened;
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

    /// The folder that films are looked for in, as it was given.
    pub(super) fn folder(&self) -> &Path {
        match &self.table {
            Some(table) => match table.parent() {
                Some(parent) if parent != Path::new("") => parent,
                _ => Path::new("."),
            },
            None => &self.given,
        }
    }

    /// The tables that were given or lie in the folder under a name that `matches`, by name.
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

    /// The film that `path`, relative to the root, leads to.
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

    /// The film that a file found by walking through the root is.
    pub(super) fn located(&self, file: &Path) -> Result<Located, Reason> {
        let path = file.strip_prefix(&self.root).unwrap_or(file);
        let path = path.to_str().filter(|path| !path.contains('\\'));
        self.locate(path.ok_or(Reason::Name)?)
    }

    /// A path within the root as the rejects name it.
    pub(super) fn shown(&self, file: &Path) -> String {
        let path = file.strip_prefix(&self.root).unwrap_or(file);
        path.to_string_lossy().into_owned()
    }
}

/// The files of sources by name.
pub(super) struct Index<'a> {
    sources: &'a [Source],
    /// The source's number and the path in it, sorted.
    files: HashMap<String, Vec<(usize, String)>>,
}

impl<'a> Index<'a> {
    /// Walks through the sources. Hidden files and links to folders are left out; folders that
    /// cannot be read are rejected.
    pub(super) fn of(sources: &'a [Source], gathered: &mut Gathered) -> Self {
        let mut files: HashMap<String, Vec<(usize, String)>> = HashMap::new();
        for (number, source) in sources.iter().enumerate() {
            let (found, failures) = walk(&source.root);
            for (path, error) in failures {
                let reason = Reason::Row(format!("it cannot be read ({error})"));
                gathered.reject(Origin::whole(&source.given), &source.shown(&path), reason);
            }
            for file in found {
                let path = file.strip_prefix(&source.root).unwrap_or(&file).to_str();
                let name = file.file_name().and_then(OsStr::to_str);
                if let (Some(path), Some(name)) = (path, name) {
                    let same = files.entry(name.to_owned()).or_default();
                    same.push((number, path.to_owned()));
                }
            }
        }
        Self { sources, files }
    }

    /// The film named `film`: its file name, or its path in source `home`. Of several of one name
    /// that in a folder called `folder` is meant.
    pub(super) fn find(
        &self,
        film: &str,
        home: usize,
        folder: Option<&str>,
    ) -> Result<(usize, Located), Reason> {
        within(film).ok_or(Reason::Outside)?;
        if film.contains('/') {
            return Ok((home, self.sources[home].locate(film)?));
        }
        let same = self.files.get(film).ok_or(Reason::Absent)?;
        let in_folder = |path: &str| {
            let parent = Path::new(path).parent().and_then(Path::file_name);
            folder.is_some() && parent.and_then(OsStr::to_str) == folder
        };
        let meant: Vec<_> = same.iter().filter(|(_, path)| in_folder(path)).collect();
        match (&meant[..], &same[..]) {
            ([(source, path)], _) | ([], [(source, path)]) => {
                Ok((*source, self.sources[*source].locate(path)?))
            }
            _ => {
                let paths: Vec<&str> = same.iter().map(|(_, path)| path.as_str()).collect();
                Err(Reason::Ambiguous(shortened(&paths.join(", "))))
            }
        }
    }

    /// The paths of files whose name ends in `.extension`, sorted.
    pub(super) fn with_extension(&self, extension: &str) -> Vec<(usize, &str)> {
        let is_one = |path: &str| {
            let own = Path::new(path).extension().unwrap_or_default();
            own.eq_ignore_ascii_case(extension)
        };
        let paths = self.files.values().flatten();
        let mut paths: Vec<(usize, &str)> = paths
            .filter(|(_, path)| is_one(path))
            .map(|(source, path)| (*source, path.as_str()))
            .collect();
        paths.sort_unstable();
        paths
    }
}

/// All files below a folder, sorted, and what of it cannot be read.
fn walk(folder: &Path) -> (Vec<PathBuf>, Vec<(PathBuf, io::Error)>) {
    let (mut files, mut failures) = (Vec::new(), Vec::new());
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => {
                failures.push((folder, error));
                continue;
            }
        };
        for entry in entries {
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) => files.push(entry.path()),
                Err(error) => failures.push((entry.path(), error)),
            }
        }
    }
    files.sort_unstable();
    (files, failures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn films_are_found_by_name_and_never_outside() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("source");
        for (path, text) in [
            ("source/a.png", ""),
            ("source/0/b.png", ""),
            ("source/1/b.png", ""),
            ("source/2/c.png", ""),
            ("source/.hidden/d.png", ""),
            ("secret.png", ""),
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink("../secret.png", root.join("link.png")).unwrap();
        let sources = [Source::open(&root).unwrap()];
        let index = Index::of(&sources, &mut Gathered::default());
        let find = |film: &str, folder: Option<&str>| {
            index.find(film, 0, folder).map(|(_, located)| located.path)
        };
        assert_eq!(find("a.png", Some("7")), Ok("a.png".into()));
        assert_eq!(find("b.png", Some("1")), Ok("1/b.png".into()));
        assert_eq!(find("2//c.png", None), Ok("2/c.png".into()));
        assert!(matches!(find("b.png", None), Err(Reason::Ambiguous(_))));
        for absent in ["e.png", "d.png", "2"] {
            assert_eq!(find(absent, None), Err(Reason::Absent), "{absent}");
        }
        for outside in ["../secret.png", "/etc/passwd", "0\\b.png", "", "."] {
            assert_eq!(find(outside, None), Err(Reason::Outside), "{outside}");
        }
        #[cfg(unix)]
        assert_eq!(find("link.png", None), Err(Reason::Outside));
    }
}
