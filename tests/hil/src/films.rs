//! Films to send to a station: those of `tests/films`, under instance UIDs of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A film as a DICOM file.
#[derive(Clone)]
pub struct Film {
    /// Its SOP Instance UID.
    pub instance: String,
    /// The file's bytes.
    pub bytes: Vec<u8>,
}

/// The day on which the sample films say that they were taken.
const TAKEN: &str = "20260101";

/// A file of this repository.
pub fn of_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

impl Film {
    /// A film that is read, taken today. Each number gives another film.
    pub fn good(number: u32) -> Result<Self> {
        Self::good_of(number, &today()?)
    }

    /// A film that is read, taken on this day (YYYYMMDD).
    pub fn good_of(number: u32, day: &str) -> Result<Self> {
        let phantom = ["phantom-4", "phantom-5", "phantom-6"][number as usize % 3];
        let film = Self::sample(&format!("tests/films/{phantom}.dcm"), number)?;
        Ok(Self {
            bytes: replace(&film.bytes, TAKEN, day)?,
            ..film
        })
    }

    /// A film that is refused at once: it is too small.
    pub fn too_small(number: u32) -> Result<Self> {
        Self::sample("shared/tests/films/explicit_16.dcm", number)
    }

    fn sample(path: &str, number: u32) -> Result<Self> {
        let path = of_repository(path);
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        // Media Storage SOP Instance UID (0002,0003) names it; the data set does so again.
        let tag = b"\x02\x00\x03\x00UI";
        let at = find(&bytes, tag).context("the file does not name its instance")? + tag.len();
        let length = usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let old = String::from_utf8(bytes[at + 2..at + 2 + length].to_vec())?;
        let old = old.trim_end_matches('\0');
        let instance = format!("2.25.1{number:0width$}", width = old.len() - 6);
        Ok(Self {
            bytes: replace(&bytes, old, &instance)?,
            instance,
        })
    }
}

/// Today in this computer's zone, as DICOM writes it.
fn today() -> Result<String> {
    let output = Command::new("date").arg("+%Y%m%d").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// Replaces a text, wherever it is, by one of the same length.
fn replace(bytes: &[u8], old: &str, new: &str) -> Result<Vec<u8>> {
    ensure!(
        old.len() == new.len(),
        "{new} is not as long as {old}, whose place it takes"
    );
    let mut bytes = bytes.to_vec();
    let mut replaced = 0;
    while let Some(at) = find(&bytes[replaced..], old.as_bytes()) {
        let at = replaced + at;
        bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
        replaced = at + old.len();
    }
    ensure!(replaced > 0, "there is no {old} to be replaced");
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_a_film_of_its_own() {
        for film in [Film::good, Film::too_small] {
            let (one, other) = (film(1).unwrap(), film(4).unwrap());
            assert_ne!(one.instance, other.instance);
            assert_eq!(one.bytes.len(), other.bytes.len());
            assert!(find(&one.bytes, one.instance.as_bytes()).is_some());
            assert!(find(&one.bytes, other.instance.as_bytes()).is_none());
        }
    }
}
