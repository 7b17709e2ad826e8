//! The seal of a station's files on a stick: a text that lists them with their SHA-256, as `sha256sum` does,
//! with a signature behind it, as `minisign` writes it. They are one file, so that no pulled stick has one
//! without the other.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Cursor;

use minisign::{PublicKey, SignatureBox};

use super::key::SealKey;
use super::names::{FOLDER, is_file};

/// The start of the signature within the file.
const SIGNATURE: &str = "untrusted comment: ";

/// The first line of the text.
const FIRST: &str = "# Plumbline seal 1";

/// The most bytes of a seal that are read: those of some hundred thousand files.
pub(super) const MOST_BYTES: u64 = 32 << 20;

/// The characters of minisign's second signature.
const SECOND_SIGNATURE: usize = 88;

/// Why a seal does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// It is no seal.
    #[error("its seal is damaged")]
    Damaged,
    /// It is signed by none of the keys, or it was changed.
    #[error("its seal was changed, or is of a key that is not known here")]
    Unknown,
    /// It is signed, and yet is none of this program's.
    #[error("its seal is signed and lists what no seal does: {0:?}")]
    Line(String),
    /// It cannot be signed.
    #[error("it cannot be sealed ({0})")]
    Unsigned(String),
}

/// The files of one station, each by its path below the station's folder, with its SHA-256.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seal {
    /// The files.
    pub files: BTreeMap<String, String>,
}

impl Seal {
    /// Reads the seal of the station's folder of this name, which must be signed by one of `keys`.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn read(file: &[u8], folder: &str, keys: &[PublicKey]) -> Result<Self, SealError> {
        let file = str::from_utf8(file).map_err(|_| SealError::Damaged)?;
        let (text, signature) = parts(file).ok_or(SealError::Damaged)?;
        let signature = SignatureBox::from_string(signature).map_err(|_| SealError::Damaged)?;
        let signed = |key: &PublicKey| {
            minisign::verify(key, &signature, Cursor::new(text), true, false, false)
        };
        if !keys.iter().any(|key| signed(key).is_ok()) {
            return Err(SealError::Unknown);
        }
        let strange = |line: &str| SealError::Line(line.chars().take(80).collect());
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        if first != FIRST {
            return Err(strange(first));
        }
        let start = format!("{FOLDER}/{folder}/");
        let entries = lines.filter(|line| !line.starts_with('#')).map(|line| {
            let entry = line.split_once("  ").and_then(|(hash, path)| {
                let path = path.strip_prefix(&start).filter(|path| is_file(path))?;
                Some((path.to_owned(), hash.to_owned()))
            });
            entry.ok_or_else(|| strange(line))
        });
        let files = entries.collect::<Result<_, _>>()?;
        Ok(Self { files })
    }

    /// The seal's file, signed by `key` of the station whose AE title is `station`.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn write(&self, key: &SealKey, station: &str) -> Result<Vec<u8>, SealError> {
        let mut text = format!("{FIRST}\n# station {station}, key {}\n", key.public());
        let folder = key.folder();
        for (path, hash) in &self.files {
            // Writing into a string does not fail.
            writeln!(text, "{hash}  {FOLDER}/{folder}/{path}").ok();
        }
        let trusted = format!("{} files of station {station}", self.files.len());
        let untrusted = format!("by key {}", key.public());
        let signature = minisign::sign(
            None,
            key.secret(),
            Cursor::new(&text),
            Some(&trusted),
            Some(&untrusted),
        );
        let signature = signature.map_err(|error| SealError::Unsigned(error.to_string()))?;
        text += &signature.into_string();
        Ok(text.into_bytes())
    }
}

/// The text and the signature of a seal's file. The library takes the length of the second signature on trust.
fn parts(file: &str) -> Option<(&str, &str)> {
    let at = file.find(&format!("\n{SIGNATURE}"))? + 1;
    let (text, signature) = file.split_at(at);
    let lines: Vec<_> = signature.lines().collect();
    let second = lines.get(3)?;
    let whole = lines.len() == 4 && second.len() == SECOND_SIGNATURE && second.ends_with("==");
    whole.then_some((text, signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seals_hold_for_their_key_and_text_alone() {
        let folder = tempfile::tempdir().unwrap();
        let key = SealKey::made_in(folder.path()).unwrap();
        let other = tempfile::tempdir().unwrap();
        let other = SealKey::made_in(other.path()).unwrap();
        let public = |key: &SealKey| PublicKey::from_base64(&key.public()).unwrap();
        let mut seal = Seal::default();
        for number in 0..3 {
            let path = format!("T0000000/F000000{number}");
            seal.files.insert(path, "ab".repeat(32));
        }
        let file = seal.write(&key, "PLUMBLINE").unwrap();
        let read = |file: &[u8], keys: &[PublicKey]| Seal::read(file, &key.folder(), keys);
        let keys = [public(&other), public(&key)];
        assert_eq!(read(&file, &keys), Ok(seal.clone()));
        assert_eq!(read(&file, &keys[..1]), Err(SealError::Unknown));
        assert_eq!(read(&file, &[]), Err(SealError::Unknown));
        let elsewhere = Seal::read(&file, &other.folder(), &keys);
        assert!(matches!(elsewhere, Err(SealError::Line(_))));
        // Whatever byte is changed, and wherever it ends. The untrusted comment is no part of what is signed.
        let comment = {
            let text = str::from_utf8(&file).unwrap();
            let start = text.find(SIGNATURE).unwrap() + SIGNATURE.len();
            start..start + text[start..].find('\n').unwrap()
        };
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            let end = at + 1 == file.len();
            if !comment.contains(&at) && !end {
                assert!(read(&changed, &keys).is_err(), "byte {at}");
            }
            if !end {
                assert!(read(&file[..at], &keys).is_err(), "cut at {at}");
            }
        }
    }
}
