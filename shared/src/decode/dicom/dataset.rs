//! The data set of a DICOM file: its elements up to the pixel data, decoded when they are asked
//! for.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};

use super::elements::{self, Element, Elements, Encoding};
use super::error::damaged;
use crate::decode::error::DecodeError;

/// Most characters of a value that an error quotes.
const MOST_QUOTED: usize = 24;

/// Most elements beside those in sequences. Real files have some hundreds.
const MOST_ELEMENTS: usize = 1 << 16;

/// The pixel data as they are stored.
#[derive(Debug)]
pub(super) enum Pixels<'a> {
    /// Samples one after the other.
    Native {
        bytes: &'a [u8],
        /// True if the element is one of words: in big endian a pair of 8-bit pixels is then
        /// swapped (PS3.5, 8.1.1).
        words: bool,
    },
    /// The fragments of an encapsulated stream, without the offset table.
    Encapsulated(Vec<&'a [u8]>),
}

/// A data set, or an item of a sequence.
#[derive(Debug, Default)]
pub(super) struct Dataset<'a> {
    encoding: Encoding,
    elements: BTreeMap<Tag, Element<'a>>,
    pixels: Option<Pixels<'a>>,
}

impl<'a> Dataset<'a> {
    /// Reads a data set up to its pixel data. `encapsulated`: the transfer syntax compresses pixels.
    ///
    /// # Errors
    /// If the elements do not follow one another, or reach past the end.
    pub(super) fn read(
        bytes: &'a [u8],
        encoding: Encoding,
        encapsulated: bool,
    ) -> Result<Self, DecodeError> {
        let mut dataset = Self {
            encoding,
            ..Self::default()
        };
        let mut reader = Elements::new(bytes, encoding);
        while let Some(tag) = reader.peek() {
            if tag == tags::PIXEL_DATA {
                let (vr, value, undefined) = reader.last()?;
                let in_items = elements::begins_with_item(value)
                    && (undefined || encapsulated || elements::ends_with_end(value));
                let bare = (undefined || encapsulated) && is_stream(value);
                let empty = undefined && elements::ends_with_end(value) && value.len() == 8;
                dataset.pixels = Some(match in_items || bare || empty {
                    true => Pixels::Encapsulated(fragments(value)?),
                    false => Pixels::Native {
                        bytes: value,
                        words: vr == Some(VR::OW),
                    },
                });
                return Ok(dataset);
            }
            let Some(element) = reader.next()? else { break };
            dataset.elements.insert(element.tag, element);
            if dataset.elements.len() > MOST_ELEMENTS {
                return Err(damaged(alloc::format!(
                    "it has more than {MOST_ELEMENTS} elements"
                )));
            }
        }
        // Fewer bytes than an element has, but for padding.
        if reader.rest().iter().any(|byte| *byte != 0) {
            return Err(damaged("it ends within an element"));
        }
        Ok(dataset)
    }

    /// Returns the pixel data.
    ///
    /// # Errors
    /// If there are none.
    pub(super) fn pixels(&self) -> Result<&Pixels<'a>, DecodeError> {
        match &self.pixels {
            Some(Pixels::Native { bytes: [], .. }) | None => Err(DecodeError::NoPixels),
            Some(pixels) => Ok(pixels),
        }
    }

    /// The order of the bytes in this data set's words.
    pub(super) fn big_endian(&self) -> bool {
        self.encoding.big_endian
    }

    /// Returns the first item of a sequence; none if there is no sequence or no item in it.
    ///
    /// # Errors
    /// If its elements cannot be read.
    pub(super) fn first_item(&self, sequence: Tag) -> Result<Option<Self>, DecodeError> {
        let Some(element) = self.elements.get(&sequence) else {
            return Ok(None);
        };
        if elements::is_empty(element.value, element.within) {
            return Ok(None);
        }
        match elements::first_item(element.value, element.within) {
            Some(item) => Ok(Some(Self::read(item, element.within, false)?)),
            None => Err(damaged(alloc::format!(
                "its {} {sequence} is no sequence",
                name(sequence)
            ))),
        }
    }

    /// Returns an element kept as text, trimmed.
    pub(super) fn text(&self, tag: Tag) -> Option<String> {
        let element = self.elements.get(&tag)?;
        Some(text(element.value))
    }

    /// Returns an element's number at `index`, for elements kept as text (DS, IS); none if there are
    /// fewer values or that one is empty.
    ///
    /// # Errors
    /// If there is a value that is no number. It must not count as missing: the film would be read
    /// with a wrong scale.
    pub(super) fn decimal(&self, tag: Tag, index: usize) -> Result<Option<f64>, DecodeError> {
        let text = self.text(tag).unwrap_or_default();
        let value = text.split('\\').map(trimmed).nth(index);
        let Some(value) = value.filter(|value| !value.is_empty()) else {
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

    /// Returns an element's words of 16 bits; none if it is missing or empty.
    ///
    /// # Errors
    /// If its bytes are no words.
    pub(super) fn words(&self, tag: Tag) -> Result<Vec<u16>, DecodeError> {
        let bytes = self.bytes(tag);
        if !bytes.len().is_multiple_of(2) {
            return Err(damaged(alloc::format!(
                "its {} {tag} has {} bytes, which are no words of 16 bits",
                name(tag),
                bytes.len()
            )));
        }
        Ok(to_words(bytes, self.encoding.big_endian))
    }

    /// Returns an element's first word; none if it is missing or empty.
    ///
    /// # Errors
    /// If its bytes are no words.
    pub(super) fn word(&self, tag: Tag) -> Result<Option<u16>, DecodeError> {
        Ok(self.words(tag)?.first().copied())
    }

    /// Returns an element's first word.
    ///
    /// # Errors
    /// If it is missing, or its bytes are no words.
    pub(super) fn required_word(&self, tag: Tag, name: &str) -> Result<u16, DecodeError> {
        self.word(tag)?
            .ok_or_else(|| damaged(alloc::format!("it has no {name}")))
    }

    /// Returns an element's bytes; none if it is missing.
    pub(super) fn bytes(&self, tag: Tag) -> &'a [u8] {
        (self.elements.get(&tag)).map_or(&[], |element| element.value)
    }
}

/// Returns the fragments of encapsulated pixel data, without the offset table.
fn fragments(value: &[u8]) -> Result<Vec<&[u8]>, DecodeError> {
    // Some writers leave out the items, or the offset table.
    if is_stream(value) {
        return Ok(Vec::from([value]));
    }
    let mut items = elements::items(value).collect::<Result<Vec<_>, _>>()?;
    if items.first().is_some_and(|first| !is_stream(first)) {
        items.remove(0);
    }
    Ok(items)
}

/// Returns true if `bytes` begin like a JPEG or JPEG 2000 stream, or like RLE, whose first segment
/// follows 64 bytes of offsets.
fn is_stream(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xd8\xff")
        || bytes.starts_with(b"\xff\x4f\xff\x51")
        || (matches!(bytes, [1..=15, 0, 0, 0, 64, 0, 0, 0, ..]) && bytes.len() > 64)
}

/// Returns bytes as words of 16 bits.
pub(super) fn to_words(bytes: &[u8], big_endian: bool) -> Vec<u16> {
    let (pairs, _) = bytes.as_chunks();
    // A loop for each byte order: the compiler turns the one of this machine's into a copy.
    match big_endian {
        true => pairs.iter().map(|p| u16::from_be_bytes(*p)).collect(),
        false => pairs.iter().map(|p| u16::from_le_bytes(*p)).collect(),
    }
}

/// Returns an element's name in the data dictionary.
pub(super) fn name(tag: Tag) -> &'static str {
    let entry = StandardDataDictionary.by_tag(tag);
    entry.map_or("element", |entry| entry.alias())
}

/// Returns text without its padding.
pub(super) fn text(bytes: &[u8]) -> String {
    trimmed(&String::from_utf8_lossy(bytes)).to_string()
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c == '\0' || c.is_whitespace())
}
