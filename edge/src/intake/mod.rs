//! Where films come in: files and folders, read without trusting them.

mod sandbox;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use plumbline_shared::decode;

pub use sandbox::{WAIT, child_main, decode_in_child, decode_with};

/// Why a film does not come in. Each message is a whole sentence and names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// The system does not give the file or the folder.
    #[error("{path} cannot be read ({source}); check its name and its permissions", path = path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A folder without films.
    #[error("{path} holds no film; give a DICOM, PNG, JPEG or TIFF file or a folder of them", path = path.display())]
    NoFilms {
        /// The folder.
        path: PathBuf,
    },
    /// The decoder refused the file.
    #[error("{path}: {reason}", path = path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The decoder's sentence.
        reason: String,
    },
    /// The decoder was at it for too long.
    #[error(
        "{path} took longer to decode than the {seconds} seconds that a film may; export it again",
        path = path.display()
    )]
    TooSlow {
        /// The file.
        path: PathBuf,
        /// The limit.
        seconds: u64,
    },
    /// The decoder ended without an answer.
    #[error(
        "{path} ended its decoder ({how}): it is damaged or asks for more than {mib} MiB of memory; \
         export it again",
        path = path.display()
    )]
    Fatal {
        /// The file.
        path: PathBuf,
        /// How the process ended.
        how: String,
        /// The limit.
        mib: u64,
    },
    /// No decoder process could be had.
    #[error("no process to decode {path} can be started ({source}); free memory or processes", path = path.display())]
    NoProcess {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// The files that the FILM arguments of a command line name.
#[derive(Debug, Default)]
pub struct Intake {
    /// Films to read, in the arguments' order, those of a folder sorted by path.
    pub films: Vec<PathBuf>,
    /// Files in folders that are no films.
    pub skipped: Vec<PathBuf>,
    /// Arguments, or folders in them, that give no films.
    pub failures: Vec<IntakeError>,
}

impl Intake {
    /// Follows `arguments`, files or folders. A file is taken as a film whatever it is; the files
    /// of a folder, and of the folders in it, if their name or their content is that of a film.
    /// Hidden files and links to folders in a folder are left out.
    pub fn of(arguments: &[PathBuf]) -> Self {
        let mut intake = Self::default();
        for path in arguments {
            match fs::metadata(path) {
                Err(source) => intake.failed(path, source),
                Ok(metadata) if metadata.is_dir() => {
                    let before = (intake.films.len(), intake.failures.len());
                    intake.walk(path);
                    if before == (intake.films.len(), intake.failures.len()) {
                        let path = path.clone();
                        intake.failures.push(IntakeError::NoFilms { path });
                    }
                }
                Ok(_) => intake.films.push(path.clone()),
            }
        }
        intake
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
        self.failures.push(IntakeError::Unreadable { path, source });
    }
}

/// Whether a file in a folder is meant as a film: by its name, so that a damaged film is told, or
/// by its content, as DICOM files often have no telling name. An index of a medium (PS3.10, 8.6)
/// is not.
fn is_film(path: &Path) -> io::Result<bool> {
    const EXTENSIONS: [&str; 8] = ["dcm", "dicom", "dic", "png", "jpg", "jpeg", "tif", "tiff"];
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
    Ok(decode::is_known(&start))
}
