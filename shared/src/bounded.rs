//! Reading plain files up to a number of bytes, whatever stands under their name.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::vec::Vec;

/// An error of reading a file within bounds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoundedError {
    /// The system does not give the file.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// A folder, a pipe or a device.
    #[error("it is no plain file")]
    NotAFile,
    /// More bytes than asked for.
    #[error("it has {0} bytes, more than are read")]
    TooLong(usize),
}

/// Reads the plain file `path` of at most `most` bytes.
///
/// # Errors
/// If it is something else, or longer, or the system does not give it.
pub fn read(path: &Path, most: usize) -> Result<Vec<u8>, BoundedError> {
    // Opening a pipe would wait for somebody who writes to it.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(BoundedError::NotAFile);
    }
    let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if length > most {
        return Err(BoundedError::TooLong(length));
    }
    let mut bytes = Vec::with_capacity(length);
    // The file may grow while it is read.
    File::open(path)?
        .take(most as u64 + 1)
        .read_to_end(&mut bytes)?;
    match bytes.len() > most {
        true => Err(BoundedError::TooLong(bytes.len())),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_within_bounds_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert!(matches!(read(&path, 4), Err(BoundedError::TooLong(5))));
        for other in [folder.path(), Path::new("/dev/zero")] {
            assert!(matches!(read(other, 5), Err(BoundedError::NotAFile)));
        }
        let missing = read(&folder.path().join("missing"), 5);
        assert!(matches!(missing, Err(BoundedError::Unreadable(_))));
    }
}
