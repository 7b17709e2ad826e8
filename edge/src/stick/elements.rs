//! The elements of a DICOMDIR with their places in the file: directory records point at one another by them
//! (PS3.10, 8.6). Nothing is allocated by a length that the file claims.

use std::ops::Range;

use dicom_core::header::Header;
use dicom_core::{Tag, VR};
use dicom_encoding::Decode;
use dicom_encoding::decode::explicit_le::ExplicitVRLittleEndianDecoder;
use plumbline_dimse::service::EXPLICIT;

use super::directory::DirectoryError;

/// An item of a sequence.
const ITEM: Tag = Tag(0xfffe, 0xe000);
/// The end of an item of undefined length.
const ITEM_END: Tag = Tag(0xfffe, 0xe00d);
/// The end of a sequence of undefined length.
const SEQUENCE_END: Tag = Tag(0xfffe, 0xe0dd);

/// Most sequences within one another.
const MOST_DEPTH: u32 = 16;

/// The place of the first element of the file meta information.
pub(super) const META: usize = 132;

/// An element in Explicit VR Little Endian.
#[derive(Clone, Debug)]
pub(super) struct Element {
    pub tag: Tag,
    pub vr: VR,
    /// The place of its value.
    pub start: usize,
    /// The end of its value; none if its length is undefined.
    pub end: Option<usize>,
}

impl Element {
    /// Reads the element, item or delimiter at the place `at`.
    pub fn read(bytes: &[u8], at: usize) -> Result<Self, DirectoryError> {
        let mut rest = bytes.get(at..).unwrap_or_default();
        let header = ExplicitVRLittleEndianDecoder::default().decode_header(&mut rest);
        let (header, head) = header.map_err(|_| DirectoryError::Damaged("it is cut off"))?;
        let start = at + head;
        let end = header.len.get().map(|length| start + length as usize);
        if end.is_some_and(|end| end > bytes.len()) {
            return Err(DirectoryError::Damaged("it ends within an element"));
        }
        Ok(Self {
            tag: header.tag(),
            vr: header.vr(),
            start,
            end,
        })
    }

    /// The place of its value of known length.
    pub fn value(&self) -> Result<Range<usize>, DirectoryError> {
        let end = self.end.ok_or(DirectoryError::Damaged(
            "an element that is no sequence has no length",
        ))?;
        Ok(self.start..end)
    }

    /// The place behind it.
    pub fn next(&self, bytes: &[u8]) -> Result<usize, DirectoryError> {
        match self.end {
            Some(end) => Ok(end),
            None => sequence_end(bytes, self, 0),
        }
    }

    /// Gives each item of this sequence to `take`, and returns the place where the items end: of the end of the
    /// sequence, if its length is undefined.
    pub fn each_item(
        &self,
        bytes: &[u8],
        mut take: impl FnMut(&Item) -> Result<(), DirectoryError>,
    ) -> Result<usize, DirectoryError> {
        let mut at = self.start;
        while self.end.is_none_or(|end| at < end) {
            let element = Self::read(bytes, at)?;
            if self.end.is_none() && element.tag == SEQUENCE_END {
                return Ok(at);
            }
            let item = Item::read(bytes, at, &element, 0)?;
            at = item.end;
            take(&item)?;
        }
        match self.end == Some(at) {
            true => Ok(at),
            false => Err(DirectoryError::Damaged("an item reaches past its sequence")),
        }
    }
}

/// An item of a sequence.
#[derive(Debug)]
pub(super) struct Item {
    /// Its place.
    pub at: usize,
    /// Its elements.
    pub elements: Vec<Element>,
    /// The place behind it.
    pub end: usize,
}

impl Item {
    fn read(bytes: &[u8], at: usize, head: &Element, depth: u32) -> Result<Self, DirectoryError> {
        if head.tag != ITEM {
            return Err(DirectoryError::Damaged(
                "something else than an item is in a sequence",
            ));
        }
        let mut elements = Vec::new();
        let mut next = head.start;
        while head.end.is_none_or(|end| next < end) {
            let element = Element::read(bytes, next)?;
            if head.end.is_none() && element.tag == ITEM_END {
                let end = element.value()?.end;
                return Ok(Self { at, elements, end });
            }
            next = match element.end {
                Some(end) => end,
                None => sequence_end(bytes, &element, depth)?,
            };
            elements.push(element);
        }
        match head.end == Some(next) {
            true => Ok(Self {
                at,
                elements,
                end: next,
            }),
            false => Err(DirectoryError::Damaged("an element reaches past its item")),
        }
    }
}

/// The place behind a sequence of undefined length.
fn sequence_end(bytes: &[u8], sequence: &Element, depth: u32) -> Result<usize, DirectoryError> {
    // The content of UN has another encoding (PS3.5, 6.2.2).
    if sequence.vr != VR::SQ || depth >= MOST_DEPTH {
        return Err(DirectoryError::Damaged("an element of it has no length"));
    }
    let mut at = sequence.start;
    loop {
        let element = Element::read(bytes, at)?;
        if element.tag == SEQUENCE_END {
            return Ok(element.value()?.end);
        }
        at = Item::read(bytes, at, &element, depth + 1)?.end;
    }
}

/// The place of the data set of the DICOMDIR in `bytes`, which must say that it is one.
pub(super) fn data_set(bytes: &[u8], class: &str) -> Result<usize, DirectoryError> {
    if bytes.get(META - 4..META) != Some(b"DICM") {
        return Err(DirectoryError::NotOne);
    }
    let mut at = META;
    let (mut is_one, mut explicit) = (false, false);
    while at < bytes.len() {
        let element = Element::read(bytes, at)?;
        if element.tag.group() != 2 {
            break;
        }
        let value = element.value()?;
        at = value.end;
        let value = trimmed(&bytes[value]);
        match element.tag.element() {
            0x0002 => is_one = value == class.as_bytes(),
            0x0010 => explicit = value == EXPLICIT.as_bytes(),
            _ => {}
        }
    }
    match (is_one, explicit) {
        (false, _) => Err(DirectoryError::NotOne),
        (true, false) => Err(DirectoryError::Damaged(
            "its transfer syntax is not Explicit VR Little Endian",
        )),
        (true, true) => Ok(at),
    }
}

/// A text without its padding.
pub(super) fn trimmed(value: &[u8]) -> &[u8] {
    let end = value.iter().rposition(|byte| !matches!(byte, 0 | b' '));
    value[..end.map_or(0, |end| end + 1)].trim_ascii_start()
}
