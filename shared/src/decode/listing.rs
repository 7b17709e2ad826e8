//! The films that command-line arguments name: files, and folders of them.

use alloc::vec::Vec;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::file::is_known;

/// An error of an argument that gives no films. Each message is a whole sentence and names the
/// file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListingError {
    /// The system cannot open the file or the folder.
    #[error("{path} cannot be read ({source}); check its name and its permissions", path = path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The folder holds no films.
    #[error("{path} holds no film; give a DICOM file or a picture, or a folder of them", path = path.display())]
    NoFilms {
        /// The folder.
        path: PathBuf,
    },
}

/// The files that the FILM arguments of a command line name.
#[derive(Debug, Default)]
pub struct Listing {
    /// Films to read, in the arguments' order, those of a folder sorted by path.
    pub films: Vec<PathBuf>,
    /// Files in folders that are not films.
    pub skipped: Vec<PathBuf>,
    /// Arguments, or folders in them, that give no films.
    pub failures: Vec<ListingError>,
}

impl Listing {
    /// Follows `arguments`, files or folders. A file is taken as a film whatever it is; the files
    /// of a folder, and of the folders in it, if their name or their content is that of a film.
    /// Hidden files and links to folders in a folder are left out.
    pub fn of(arguments: &[PathBuf]) -> Self {
        let mut listing = Self::default();
        for path in arguments {
            match fs::metadata(path) {
                Err(source) => listing.failed(path, source),
                Ok(metadata) if metadata.is_dir() => {
                    let before = (listing.films.len(), listing.failures.len());
                    listing.walk(path);
                    if before == (listing.films.len(), listing.failures.len()) {
                        let path = path.clone();
                        listing.failures.push(ListingError::NoFilms { path });
                    }
                }
                Ok(_) => listing.films.push(path.clone()),
            }
        }
        listing
    }

    fn walk(&mut self, folder: &Path) {
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(source) => return self.failed(folder, source),
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            match entry.file_type() {
                Err(source) => self.failed(&path, source),
                Ok(kind) if kind.is_dir() => self.walk(&path),
                Ok(_) if !path.is_file() => self.skipped.push(path),
                Ok(_) => match is_film(&path) {
                    Ok(true) => self.films.push(path),
                    Ok(false) => self.skipped.push(path),
                    Err(source) => self.failed(&path, source),
                },
            }
        }
    }

    fn failed(&mut self, path: &Path, source: io::Error) {
        let path = path.to_path_buf();
        self.failures
            .push(ListingError::Unreadable { path, source });
    }
}

/// Returns true if a file in a folder is meant as a film: by its name, so that a damaged film is
/// reported, or by its content, as DICOM files often have names without an extension. An index of a
/// medium (PS3.10, 8.6) is not.
fn is_film(path: &Path) -> io::Result<bool> {
    const EXTENSIONS: [&str; 10] = [
        "bmp", "dcm", "dic", "dicom", "jpeg", "jpg", "png", "tif", "tiff", "webp",
    ];
    let extension = path.extension().unwrap_or_default();
    if EXTENSIONS
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
    {
        return Ok(true);
    }
    if path
        .file_name()
        .is_some_and(|name| name.eq_ignore_ascii_case("DICOMDIR"))
    {
        return Ok(false);
    }
    let mut start = Vec::new();
    File::open(path)?.take(132).read_to_end(&mut start)?;
    Ok(is_known(&start))
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};

    use super::*;

    #[test]
    fn folders_give_their_films_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let dicom = include_bytes!("../../tests/films/explicit_8.dcm");
        fs::create_dir_all(root.join("b/c")).unwrap();
        fs::create_dir_all(root.join(".hidden")).unwrap();
        fs::create_dir_all(root.join("empty")).unwrap();
        for (name, bytes) in [
            ("b/c/1.2.840.1", &dicom[..]),
            ("b/IM0001", &dicom[..]),
            ("b/DICOMDIR", &dicom[..]),
            ("a.DCM", &dicom[..]),
            ("c.png", b"no picture"),
            (".hidden/a.dcm", &dicom[..]),
            (".d.dcm", &dicom[..]),
            ("labels.csv", b"film,label\n"),
            ("notes.txt", b""),
        ] {
            fs::write(root.join(name), bytes).unwrap();
        }
        let missing = root.join("missing");
        let listing = Listing::of(&[
            root.join("labels.csv"),
            root.to_path_buf(),
            root.join("empty"),
            missing,
        ]);
        let names = |paths: &[PathBuf]| -> Vec<String> {
            let name = |path: &PathBuf| path.strip_prefix(root).unwrap().display().to_string();
            paths.iter().map(name).collect()
        };
        let films = ["labels.csv", "a.DCM", "b/IM0001", "b/c/1.2.840.1", "c.png"];
        assert_eq!(names(&listing.films), films);
        let skipped = ["b/DICOMDIR", "labels.csv", "notes.txt"];
        assert_eq!(names(&listing.skipped), skipped);
        assert!(matches!(
            listing.failures[..],
            [
                ListingError::NoFilms { .. },
                ListingError::Unreadable { .. }
            ]
        ));
    }
}
