//! The panel's programs, by which its logs are decoded: ELF files in a folder, found by their build id.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use defmt_decoder::Table;
use object::Object;

/// A build id: the SHA-1 that the linker gives a program.
pub type BuildId = [u8; 20];

/// The bytes that an ELF file has fewer than; those of boards have some megabytes.
const LARGEST: u64 = 64 << 20;

/// The panel's programs in a folder.
pub struct Firmware {
    folder: Option<PathBuf>,
    /// What was looked for, and the tables of those that were found.
    known: HashMap<BuildId, Option<Table>>,
}

impl Firmware {
    /// The programs in `folder`; none without one.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            known: HashMap::new(),
        }
    }

    /// Decodes whole frames of the program with this build id to lines; none if it is not there. What is
    /// no frame is a line that says so, with its number of bytes.
    pub fn decode(&mut self, build: &BuildId, mut frames: &[u8]) -> Option<Vec<String>> {
        let folder = self.folder.as_deref();
        let known = self.known.entry(*build);
        let table = known.or_insert_with(|| folder.and_then(|folder| find(folder, build)));
        let table = table.as_ref()?;
        let mut lines = Vec::new();
        while !frames.is_empty() {
            match table.decode(frames) {
                Ok((frame, length)) if length > 0 => {
                    lines.push(frame.display(false).to_string());
                    frames = frames.get(length..).unwrap_or_default();
                }
                _ => {
                    lines.push(format!("{} bytes that are no frame", frames.len()));
                    break;
                }
            }
        }
        Some(lines)
    }
}

/// Reads the table of the program with this build id, if it is in the folder.
fn find(folder: &Path, build: &BuildId) -> Option<Table> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        // A pipe would be waited for, and no program of a board is as large.
        let is_file = |data: fs::Metadata| data.is_file() && data.len() < LARGEST;
        if !fs::metadata(entry.path()).is_ok_and(is_file) {
            continue;
        }
        let Ok(bytes) = fs::read(entry.path()) else {
            continue;
        };
        let Ok(elf) = object::File::parse(&*bytes) else {
            continue;
        };
        if matches!(elf.build_id(), Ok(Some(id)) if id == build) {
            return Table::parse(&bytes).ok().flatten();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILD: BuildId = [
        0x0d, 0xe4, 0xc7, 0xa7, 0x34, 0xb5, 0x26, 0xb2, 0x58, 0xa2, 0x5e, 0x03, 0x45, 0x14, 0x05,
        0xb3, 0xe4, 0xe3, 0x13, 0x97,
    ];

    fn firmware() -> Firmware {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/firmware");
        Firmware::new(Some(folder))
    }

    #[test]
    fn frames_are_decoded_by_the_program_of_their_build_id() {
        let lines = firmware()
            .decode(&BUILD, &[1, 0, 0x74, 0x0e, 2, 0])
            .unwrap();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines[0].contains("INFO") && lines[0].contains("battery 3700 mV"),
            "{lines:?}"
        );
        assert!(lines[1].contains("WARN") && lines[1].contains("the button is stuck"));
    }

    #[test]
    fn what_cannot_be_decoded_is_counted() {
        let mut other = BUILD;
        other[0] ^= 1;
        assert_eq!(firmware().decode(&other, &[1, 0, 2, 0]), None);
        assert_eq!(Firmware::new(None).decode(&BUILD, &[2, 0]), None);
        // A frame that is cut off, and a message that the program does not have.
        for frames in [&[2, 0, 1, 0, 7][..], &[2, 0, 99, 0, 1]] {
            let lines = firmware().decode(&BUILD, frames).unwrap();
            assert_eq!(lines[1..], ["3 bytes that are no frame"], "{lines:?}");
        }
    }
}
