//! A DICOM file (PS3.10, section 7): its transfer syntax, and the bytes of its data set.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use std::io::Read;

use dicom_dictionary_std::{tags, uids};
use flate2::read::{DeflateDecoder, ZlibDecoder};

use super::dataset::{self, Dataset};
use super::elements::{Elements, Encoding};
use super::error::{damaged, unsupported};
use crate::decode::error::DecodeError;
use crate::decode::limit::MAX_BYTES;

/// The file meta information's group.
const META: u16 = 0x0002;

/// Explicit VR Big Endian, retired but still in use.
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
/// General Electric's: implicit VR little endian, but big endian pixels.
const BIG_ENDIAN_PIXELS: &str = "1.2.840.113619.5.2";

/// Returns true if `bytes` start like a DICOM file: with a preamble, or without one with the first
/// element of its meta information or of its data set.
pub(in crate::decode) fn is_dicom(bytes: &[u8]) -> bool {
    bytes.get(128..132) == Some(b"DICM")
        || bytes.starts_with(b"DICM")
        || (matches!(bytes, [2 | 8, 0, _, 0, _, _, _, _, ..]) && bytes[2] <= 0x18)
        || matches!(
            bytes,
            [0, 8, 0, ..=0x18, b'A'..=b'Z', b'A'..=b'Z', _, _, ..]
        )
}

/// A DICOM file.
#[derive(Debug)]
pub(super) struct File<'a> {
    syntax: String,
    /// The data set, inflated if it was deflated.
    bytes: Cow<'a, [u8]>,
}

impl<'a> File<'a> {
    /// Finds the data set of the file in `bytes`.
    ///
    /// # Errors
    /// If the file is cut off before it, or it cannot be inflated.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let start = match bytes.get(128..132) {
            Some(b"DICM") => &bytes[132..],
            _ => bytes.strip_prefix(b"DICM").unwrap_or(bytes),
        };
        let mut meta = Elements::new(start, Encoding::EXPLICIT);
        let mut syntax = None;
        while meta.peek().is_some_and(|tag| tag.group() == META) {
            let element = meta.next()?.filter(|e| e.tag == tags::TRANSFER_SYNTAX_UID);
            syntax = element.map(|e| dataset::text(e.value)).or(syntax);
        }
        let rest = meta.rest();
        let syntax = syntax.filter(|uid| !uid.is_empty());
        let syntax = syntax.unwrap_or_else(|| match rest.get(4..6) {
            // No meta information: explicit if there are letters where its VR would be.
            Some(vr) if vr.iter().all(u8::is_ascii_uppercase) => {
                uids::EXPLICIT_VR_LITTLE_ENDIAN.into()
            }
            _ => uids::IMPLICIT_VR_LITTLE_ENDIAN.into(),
        });
        let bytes = match syntax == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
            true => Cow::Owned(inflate(rest, MAX_BYTES)?),
            false => Cow::Borrowed(rest),
        };
        Ok(Self { syntax, bytes })
    }

    /// The transfer syntax.
    pub(super) fn syntax(&self) -> &str {
        &self.syntax
    }

    /// True if native pixels of 16 bits are big endian.
    pub(super) fn has_big_endian_pixels(&self, dataset: &Dataset) -> bool {
        dataset.big_endian() || self.syntax == BIG_ENDIAN_PIXELS
    }

    /// Reads the data set.
    ///
    /// # Errors
    /// If the elements do not follow one another, or reach past the end.
    pub(super) fn dataset(&self) -> Result<Dataset<'_>, DecodeError> {
        // The first group is 0008 in all files, so its bytes tell their order.
        let big_endian = match self.bytes[..] {
            [8, 0, ..] => false,
            [0, 8, ..] => true,
            _ => self.syntax == BIG_ENDIAN,
        };
        let implicit = [uids::IMPLICIT_VR_LITTLE_ENDIAN, BIG_ENDIAN_PIXELS];
        let encoding = Encoding {
            explicit: !implicit.contains(&&*self.syntax),
            big_endian,
        };
        Dataset::read(&self.bytes, encoding, !self.is_native())
    }

    /// True if the transfer syntax leaves pixels as they are.
    fn is_native(&self) -> bool {
        matches!(
            &*self.syntax,
            uids::IMPLICIT_VR_LITTLE_ENDIAN
                | uids::EXPLICIT_VR_LITTLE_ENDIAN
                | uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
                | BIG_ENDIAN
                | BIG_ENDIAN_PIXELS
        )
    }

    /// Refuses native pixels of a transfer syntax that is not known: nobody says what they are.
    pub(super) fn require_known(&self) -> Result<(), DecodeError> {
        match self.is_native() || self.syntax.starts_with("1.2.840.10008.") {
            true => Ok(()),
            false => Err(unknown_syntax(&self.syntax)),
        }
    }
}

/// An error of a transfer syntax that is not read.
pub(super) fn unknown_syntax(uid: &str) -> DecodeError {
    let name = match uid.strip_prefix("1.2.840.10008.1.2.4.") {
        Some("110" | "111" | "112") => " (JPEG XL)",
        Some("201" | "202" | "203") => " (HTJ2K, High-Throughput JPEG 2000)",
        Some("204" | "205") => " (JPIP HTJ2K, whose pixels are on a server)",
        Some("94" | "95") => " (JPIP, whose pixels are on a server)",
        Some("92" | "93") => " (JPEG 2000 of several components)",
        Some("100" | "101" | "102" | "103" | "104" | "105" | "106" | "107" | "108") => " (a video)",
        _ => "",
    };
    unsupported(
        alloc::format!("transfer syntax {uid}{name}"),
        "export it uncompressed",
    )
}

/// Inflates `bytes` (RFC 1951), or those that some writers put into zlib's format (RFC 1950), to at
/// most `most` bytes.
///
/// # Errors
/// If they are damaged, or longer.
pub(super) fn inflate(bytes: &[u8], most: usize) -> Result<Vec<u8>, DecodeError> {
    let all = |decoder: &mut dyn Read| {
        let mut inflated = Vec::new();
        let read = decoder.take(most as u64 + 1).read_to_end(&mut inflated);
        read.map(|_| inflated)
    };
    let inflated = all(&mut DeflateDecoder::new(bytes))
        .or_else(|error| all(&mut ZlibDecoder::new(bytes)).map_err(|_| error))
        .map_err(damaged)?;
    match inflated.len() > most {
        true => Err(DecodeError::TooLong(inflated.len())),
        false => Ok(inflated),
    }
}
