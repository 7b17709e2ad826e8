//! The files of the watched folder that were stored and stay there: after a restart they are not
//! read again.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rusqlite::params;

use super::Store;
use super::error::StoreError;

/// What tells that a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileVersion {
    /// Its number in the file system.
    pub number: i64,
    /// Its length in bytes.
    pub bytes: i64,
    /// When it was written last, in nanoseconds since 1970.
    pub written: i64,
}

impl Store {
    /// Returns the files that were stored and stay.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn stored_files(&self) -> Result<Vec<(PathBuf, FileVersion)>, StoreError> {
        let database = self.lock();
        let mut statement =
            database.prepare("SELECT path, number, bytes, written FROM folder_files")?;
        let files = statement.query_map([], |row| {
            let path = PathBuf::from(OsString::from_vec(row.get(0)?));
            let version = FileVersion {
                number: row.get(1)?,
                bytes: row.get(2)?,
                written: row.get(3)?,
            };
            Ok((path, version))
        })?;
        Ok(files.collect::<Result<_, _>>()?)
    }

    /// Remembers a file that was stored and stays.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn file_stays(&self, path: &Path, version: FileVersion) -> Result<(), StoreError> {
        let FileVersion {
            number,
            bytes,
            written,
        } = version;
        self.lock().execute(
            "INSERT OR REPLACE INTO folder_files VALUES (?1, ?2, ?3, ?4)",
            params![path.as_os_str().as_bytes(), number, bytes, written],
        )?;
        Ok(())
    }

    /// Forgets a file that is no longer there.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn file_left(&self, path: &Path) -> Result<(), StoreError> {
        let gone = "DELETE FROM folder_files WHERE path = ?1";
        self.lock().execute(gone, [path.as_os_str().as_bytes()])?;
        Ok(())
    }
}
