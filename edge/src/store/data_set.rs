//! Where the data set of a DICOM file begins (PS3.10, 7.1). Preamble and file meta information are
//! the writer's: the same data set has others after it came over the network than in a file of the
//! unit's.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// The bytes before the length of the file meta information, and that with its own element.
const PREAMBLE: usize = 128;
const START: usize = PREAMBLE + 16;

/// The element with the length: DICM, (0002,0000), UL, 4 bytes.
const LENGTH: &[u8] = b"DICM\x02\0\0\0UL\x04\0";

/// The Transfer Syntax UID (0002,0010), of VR UI.
const TRANSFER_SYNTAX: &[u8] = b"\x02\0\x10\0UI";

/// The most bytes of file meta information that are read.
const MOST: u64 = 64 << 10;

/// True if both are DICOM files with the same data set in the same transfer syntax.
///
/// # Errors
/// If a file cannot be read.
pub(super) fn same(one: &Path, other: &Path) -> io::Result<bool> {
    let (Some(mut one), Some(mut other)) = (DataSet::open(one)?, DataSet::open(other)?) else {
        return Ok(false);
    };
    if one.transfer_syntax != other.transfer_syntax || one.bytes != other.bytes {
        return Ok(false);
    }
    let (mut here, mut there) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut left = one.bytes;
    while left > 0 {
        let length = left.min(here.len() as u64) as usize;
        one.file.read_exact(&mut here[..length])?;
        other.file.read_exact(&mut there[..length])?;
        if here[..length] != there[..length] {
            return Ok(false);
        }
        left -= length as u64;
    }
    Ok(true)
}

/// A DICOM file, read up to its data set.
pub struct DataSet<R> {
    file: R,
    transfer_syntax: String,
    /// The data set's length.
    bytes: u64,
}

impl DataSet<BufReader<File>> {
    /// Opens a file; none if it has no file meta information of known length.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        let whole = file.metadata()?.len();
        Self::read(BufReader::new(file), whole)
    }
}

impl<R: Read> DataSet<R> {
    /// Reads a file of `whole` bytes up to its data set; none if it has no file meta information of known
    /// length.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(mut file: R, whole: u64) -> io::Result<Option<Self>> {
        let mut start = [0; START];
        if whole < START as u64 {
            return Ok(None);
        }
        file.read_exact(&mut start)?;
        let (before, length) = start.split_at(START - 4);
        let meta = length
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        if &before[PREAMBLE..] != LENGTH || meta > MOST.min(whole - START as u64) {
            return Ok(None);
        }
        let mut elements = vec![0; meta as usize];
        file.read_exact(&mut elements)?;
        Ok(transfer_syntax(&elements).map(|transfer_syntax| Self {
            file,
            transfer_syntax: String::from_utf8_lossy(transfer_syntax).into_owned(),
            bytes: whole - START as u64 - meta,
        }))
    }

    /// The transfer syntax of the data set.
    pub fn transfer_syntax(&self) -> &str {
        &self.transfer_syntax
    }
}

impl<R: Read> Read for DataSet<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

/// The transfer syntax among the elements of file meta information, without its padding.
fn transfer_syntax(mut elements: &[u8]) -> Option<&[u8]> {
    loop {
        let (head, rest) = elements.split_at_checked(8)?;
        // The other VRs of group 2 have a length of two bytes.
        let long = matches!(&head[4..6], b"OB" | b"UN");
        let (length, rest) = match long {
            true => {
                let (length, rest) = rest.split_first_chunk()?;
                (u32::from_le_bytes(*length) as usize, rest)
            }
            false => (usize::from(u16::from_le_bytes([head[6], head[7]])), rest),
        };
        let (value, rest) = rest.split_at_checked(length)?;
        if head.starts_with(TRANSFER_SYNTAX) {
            return Some(value.strip_suffix(b"\0").unwrap_or(value));
        }
        elements = rest;
    }
}
