//! The elements of a DICOM file (PS3.10, section 7; PS3.5, section 7), as slices of the file:
//! nothing is copied or decoded before it is asked for, and every length is checked against the
//! file before it is used.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::io::{Cursor, Read};

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags, uids};
use dicom_parser::StatefulDecode;
use dicom_parser::dataset::LazyDataToken;
use dicom_parser::dataset::lazy_read::LazyDataSetReader;
use dicom_transfer_syntax_registry::entries::{
    EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN,
};

use super::error::damaged;
use crate::decode::error::DecodeError;
use crate::decode::limit::MAX_BYTES;

/// The file meta information's group.
const META: u16 = 0x0002;

/// Most characters of a value that an error quotes.
const MOST_QUOTED: usize = 24;

/// Explicit VR Big Endian, retired but still in use.
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// Returns true if `bytes` start like a DICOM file: with a preamble, or without one with the first
/// element of its meta information or of its data set.
pub(in crate::decode) fn is_dicom(bytes: &[u8]) -> bool {
    bytes.get(128..132) == Some(b"DICM")
        || (matches!(bytes, [2 | 8, 0, _, 0, _, _, _, _, ..]) && bytes[2] <= 0x18)
}

/// The pixel data as they are stored.
#[derive(Debug)]
pub(super) enum Pixels<'a> {
    /// Samples one after the other.
    Native(&'a [u8]),
    /// The fragments of an encapsulated stream, without the offset table.
    Encapsulated(Vec<&'a [u8]>),
}

/// One element's value.
#[derive(Clone, Copy, Debug)]
struct Value<'a> {
    /// Unknown in implicit VR.
    vr: Option<VR>,
    bytes: &'a [u8],
}

/// The elements of a data set and of the first items of its sequences.
#[derive(Debug, Default)]
pub(super) struct Dataset<'a> {
    big_endian: bool,
    /// By the sequence that they are in, if any.
    values: BTreeMap<(Option<Tag>, Tag), Value<'a>>,
    pixels: Option<Pixels<'a>>,
}

/// Returns a file's transfer syntax and its data set's bytes, inflated if they were deflated.
pub(super) fn open(bytes: &[u8]) -> Result<(String, Cow<'_, [u8]>), DecodeError> {
    let mut rest = match bytes.get(128..132) {
        Some(b"DICM") => &bytes[132..],
        _ => bytes,
    };
    let mut syntax = None;
    while let Some(element) = MetaElement::first(rest)? {
        if element.tag == tags::TRANSFER_SYNTAX_UID {
            syntax = Some(text(element.value));
        }
        rest = element.rest;
    }
    let syntax = syntax.unwrap_or_else(|| match rest.get(4..6) {
        // No meta information: explicit if there are letters where its VR would be.
        Some(vr) if vr.iter().all(u8::is_ascii_uppercase) => uids::EXPLICIT_VR_LITTLE_ENDIAN.into(),
        _ => uids::IMPLICIT_VR_LITTLE_ENDIAN.into(),
    });
    if syntax != uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
        return Ok((syntax, Cow::Borrowed(rest)));
    }
    let mut inflated = Vec::new();
    flate2::read::DeflateDecoder::new(rest)
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut inflated)
        .map_err(damaged)?;
    if inflated.len() > MAX_BYTES {
        return Err(DecodeError::TooLong(inflated.len()));
    }
    Ok((syntax, Cow::Owned(inflated)))
}

/// An element of the meta information, which is always in explicit VR little endian.
struct MetaElement<'a> {
    tag: Tag,
    value: &'a [u8],
    /// The bytes after it.
    rest: &'a [u8],
}

impl<'a> MetaElement<'a> {
    /// Reads the first element of `bytes`, if it is one of the meta information.
    fn first(bytes: &'a [u8]) -> Result<Option<Self>, DecodeError> {
        let Some(&[group0, group1, element0, element1, vr0, vr1, short0, short1]) = bytes.get(..8)
        else {
            return Ok(None);
        };
        let tag = Tag(
            u16::from_le_bytes([group0, group1]),
            u16::from_le_bytes([element0, element1]),
        );
        if tag.group() != META {
            return Ok(None);
        }
        // The VRs of PS3.5, table 7.1-1 that occur here.
        let (start, length) = match (&[vr0, vr1], bytes.get(8..12)) {
            (b"OB" | b"UN", Some(&[a, b, c, d])) => (12, u32::from_le_bytes([a, b, c, d])),
            _ => (8, u16::from_le_bytes([short0, short1]).into()),
        };
        let end = start + length as usize;
        match (bytes.get(start..end), bytes.get(end..)) {
            (Some(value), Some(rest)) => Ok(Some(Self { tag, value, rest })),
            _ => Err(damaged("it ends within its meta information")),
        }
    }
}

impl<'a> Dataset<'a> {
    /// Reads a data set up to the end of its pixel data.
    ///
    /// # Errors
    /// If the elements do not follow one another as they say, or reach past the end.
    pub(super) fn read(bytes: &'a [u8], syntax: &str) -> Result<Self, DecodeError> {
        let (encoding, explicit) = match syntax {
            uids::IMPLICIT_VR_LITTLE_ENDIAN => (IMPLICIT_VR_LITTLE_ENDIAN.erased(), false),
            BIG_ENDIAN => (EXPLICIT_VR_BIG_ENDIAN.erased(), true),
            _ => (EXPLICIT_VR_LITTLE_ENDIAN.erased(), true),
        };
        let mut dataset = Self {
            big_endian: syntax == BIG_ENDIAN,
            ..Self::default()
        };
        let mut reader =
            LazyDataSetReader::new_with_ts(Cursor::new(bytes), &encoding).map_err(damaged)?;
        // Each open sequence with the number of its items so far.
        let mut open: Vec<(Tag, usize)> = Vec::new();
        let mut fragments = Vec::new();
        while let Some(token) = reader.advance() {
            let slice = |position: u64, length: u32| {
                let start = usize::try_from(position).unwrap_or(usize::MAX);
                (start.checked_add(length as usize))
                    .and_then(|end| bytes.get(start..end))
                    .ok_or_else(|| damaged("it ends within an element"))
            };
            match token.map_err(damaged)? {
                LazyDataToken::SequenceStart { tag, .. } => open.push((tag, 0)),
                LazyDataToken::PixelSequenceStart => open.push((tags::PIXEL_DATA, 0)),
                LazyDataToken::ItemStart { .. } => {
                    if let Some((_, items)) = open.last_mut() {
                        *items += 1;
                    }
                }
                LazyDataToken::SequenceEnd => {
                    let ended = open.pop();
                    if open.is_empty() && ended.is_some_and(|(tag, _)| tag == tags::PIXEL_DATA) {
                        dataset.pixels = Some(Pixels::Encapsulated(fragments));
                        return Ok(dataset);
                    }
                }
                LazyDataToken::LazyItemValue { len, decoder } => {
                    let value = slice(decoder.position(), len)?;
                    decoder.skip_bytes(len).map_err(damaged)?;
                    // The first item is the offset table; thumbnails have fragments too.
                    if matches!(open[..], [(tags::PIXEL_DATA, 2..)]) {
                        fragments.push(value);
                    }
                }
                LazyDataToken::LazyValue { header, decoder } => {
                    let value = slice(decoder.position(), header.len.0)?;
                    decoder.skip_bytes(header.len.0).map_err(damaged)?;
                    if open.is_empty() && header.tag == tags::PIXEL_DATA {
                        dataset.pixels = Some(Pixels::Native(value));
                        return Ok(dataset);
                    }
                    let sequence = match open[..] {
                        [] => None,
                        [(tag, 1)] => Some(tag),
                        _ => continue,
                    };
                    let value = Value {
                        vr: explicit.then_some(header.vr),
                        bytes: value,
                    };
                    dataset.values.insert((sequence, header.tag), value);
                }
                _ => {}
            }
        }
        Ok(dataset)
    }

    /// Returns the pixel data.
    ///
    /// # Errors
    /// If there are none.
    pub(super) fn pixels(&self) -> Result<&Pixels<'a>, DecodeError> {
        match &self.pixels {
            Some(Pixels::Native([])) | None => Err(DecodeError::NoPixels),
            Some(pixels) => Ok(pixels),
        }
    }

    /// Returns an element kept as text, trimmed.
    pub(super) fn text(&self, tag: Tag) -> Option<String> {
        let value = self.values.get(&(None, tag))?;
        Some(text(value.bytes))
    }

    /// Returns the number at `index` among an element's values that are not empty, for elements
    /// kept as text (DS, IS); none if there are fewer values.
    ///
    /// # Errors
    /// If there is a value that is no number. It must not count as missing: the film would be read
    /// with a wrong scale.
    pub(super) fn decimal(&self, tag: Tag, index: usize) -> Result<Option<f64>, DecodeError> {
        let text = self.text(tag).unwrap_or_default();
        let values = text.split('\\').map(trimmed);
        let Some(value) = values.filter(|value| !value.is_empty()).nth(index) else {
            return Ok(None);
        };
        match value.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => {
                let start: String = value.chars().take(MOST_QUOTED).collect();
                Err(damaged(alloc::format!(
                    "its {} {tag} is {start:?}, which is no number",
                    name(tag)
                )))
            }
        }
    }

    /// Returns an element's words of 16 bits.
    pub(super) fn words(&self, sequence: Option<Tag>, tag: Tag) -> Vec<u16> {
        let bytes = self.bytes(sequence, tag);
        self.to_words(bytes)
    }

    /// Returns an element's first word.
    ///
    /// # Errors
    /// If it is missing.
    pub(super) fn word(&self, tag: Tag, name: &str) -> Result<u16, DecodeError> {
        let first = self.words(None, tag).first().copied();
        first.ok_or_else(|| damaged(alloc::format!("it has no {name}")))
    }

    /// Returns an element's bytes; none if it is missing.
    pub(super) fn bytes(&self, sequence: Option<Tag>, tag: Tag) -> &'a [u8] {
        (self.values.get(&(sequence, tag))).map_or(&[], |value| value.bytes)
    }

    /// Returns true if the words of an element that may be US or SS are signed: as its VR says, else
    /// as the pixels are.
    pub(super) fn signed(&self, sequence: Option<Tag>, tag: Tag, pixels: bool) -> bool {
        match self.values.get(&(sequence, tag)).and_then(|value| value.vr) {
            Some(VR::SS) => true,
            Some(VR::US) => false,
            _ => pixels,
        }
    }

    /// Returns bytes as words of 16 bits.
    pub(super) fn to_words(&self, bytes: &[u8]) -> Vec<u16> {
        let (pairs, _) = bytes.as_chunks();
        // A loop for each byte order: the compiler turns the one of this machine's into a copy.
        match self.big_endian {
            true => pairs.iter().map(|p| u16::from_be_bytes(*p)).collect(),
            false => pairs.iter().map(|p| u16::from_le_bytes(*p)).collect(),
        }
    }
}

/// Returns an element's name in the data dictionary.
pub(super) fn name(tag: Tag) -> &'static str {
    let entry = StandardDataDictionary.by_tag(tag);
    entry.map_or("element", |entry| entry.alias())
}

/// Returns text without its padding.
fn text(bytes: &[u8]) -> String {
    trimmed(&String::from_utf8_lossy(bytes)).to_string()
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c == '\0' || c.is_whitespace())
}
