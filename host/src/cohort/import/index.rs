//! The files of sources by name.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::gathered::Gathered;
use super::rejects::{Origin, Reason};
use super::source::{Located, Source};
use super::table::shortened;
use crate::cohort::manifest::within;

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

    /// Returns the film named `film`: a file name, or a path in source `home`. Of several files of
    /// one name, the one in a folder called `folder` is meant.
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

    /// Returns the paths of files whose name ends in `.extension`, sorted.
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

/// Returns all files below a folder, sorted, and the paths in it that cannot be read.
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
