//! The station's secret, from which pseudonyms are made. With it, who knows a patient's number can tell the
//! pseudonym, so it stays on the station.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use plumbline_shared::manifest::hexadecimal;
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::Sha256;

use crate::report::uid_of_hash;
use crate::secret::make_once;

/// The key's file in the data folder.
pub const KEY: &str = "pseudonyms.key";

/// Length of the key in bytes.
const LENGTH: usize = 32;

/// The key of a station's pseudonyms: the same key makes the same of the same, so that a patient's films, a
/// study and a series stay together in all that was exported.
pub struct Key([u8; LENGTH]);

impl Key {
    /// The path of the key of the store in `folder`. The key is made if there is none.
    ///
    /// # Errors
    /// If it cannot be read or written, or is damaged.
    pub fn made_in(folder: &Path) -> io::Result<PathBuf> {
        let path = folder.join(KEY);
        if !path.exists() {
            make_once(folder, KEY, &random()?)?;
        }
        Self::read(&path)?;
        Ok(path)
    }

    /// Reads the key in the file `path`.
    ///
    /// # Errors
    /// If it cannot be read, or is damaged.
    pub fn read(path: &Path) -> io::Result<Self> {
        let bytes = fs::read(path)?;
        let damaged = "it is damaged: restore it, or remove it for other pseudonyms from now on";
        let key = bytes.try_into().map_err(|_| io::Error::other(damaged))?;
        Ok(Self(key))
    }

    /// The UID that stands for `uid` (PS3.5, B.2).
    pub(super) fn uid(&self, uid: &str) -> String {
        uid_of_hash(&self.hash("uid", uid))
    }

    /// The pseudonym of the patient whose number is `id`.
    pub(super) fn patient(&self, id: &str) -> String {
        format!("P{}", &hexadecimal(&self.hash("patient", id))[..16])
    }

    /// HMAC-SHA-256 (RFC 2104) of a text that is of use for `purpose` alone.
    fn hash(&self, purpose: &str, text: &str) -> [u8; 32] {
        let mut hash = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length of key will do");
        hash.update(purpose.as_bytes());
        hash.update(&[0]);
        hash.update(text.as_bytes());
        hash.finalize().into_bytes().into()
    }
}

/// Makes a key.
fn random() -> io::Result<[u8; LENGTH]> {
    let mut key = [0; LENGTH];
    let mut filled = 0;
    while filled < LENGTH {
        filled += getrandom(&mut key[filled..], GetRandomFlags::empty())?;
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_makes_the_same_of_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = Key::made_in(folder.path()).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(Key::made_in(folder.path()).unwrap(), path);
        make_once(folder.path(), KEY, &[1; LENGTH]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let (one, same) = (Key::read(&path).unwrap(), Key::read(&path).unwrap());
        let other = Key([7; LENGTH]);
        assert_eq!(one.uid("1.2.3"), same.uid("1.2.3"));
        assert_eq!(one.patient("7"), same.patient("7"));
        for (one, another) in [
            (one.uid("1.2.3"), one.uid("1.2.4")),
            (one.uid("1.2.3"), other.uid("1.2.3")),
            (one.patient("7"), one.patient("8")),
            (one.patient("7"), other.patient("7")),
        ] {
            assert_ne!(one, another);
        }
        fs::write(&path, b"short").unwrap();
        assert!(Key::made_in(folder.path()).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"short");
    }

    #[test]
    fn pseudonyms_are_the_hmac_of_others() {
        // Python: hmac.new(bytes([7] * 32), b"patient\0" + b"MRN-1", "sha256").hexdigest()[:16]
        assert_eq!(Key([7; LENGTH]).patient("MRN-1"), "P1332a8eeac7beadf");
    }
}
