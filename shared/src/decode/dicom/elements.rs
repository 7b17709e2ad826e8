//! The elements of a data set (PS3.5, section 7) as slices of the file, whichever way they are
//! written: nothing is copied, and no length is used before it is checked against the file.
//!
//! Scanners and archives write elements in other ways than their file announces, and leave out ends
//! of sequences. Each is read in the announced way where that is possible, else in the other way if
//! what follows then looks like an element.

use dicom_core::{Tag, VR};

use super::error::damaged;
use crate::decode::error::DecodeError;

/// An item of a sequence, or a fragment of pixel data.
const ITEM: Tag = Tag(0xfffe, 0xe000);
/// The end of an item of undefined length.
const ITEM_END: Tag = Tag(0xfffe, 0xe00d);
/// The end of a sequence of undefined length.
const SEQUENCE_END: Tag = Tag(0xfffe, 0xe0dd);
/// Bytes of a tag and a length that some writers leave in place of an end.
const NULLED: [u8; HEAD] = [0; HEAD];
/// Bytes of a tag and a length.
const HEAD: usize = 8;
/// The length that stands for an undefined one.
const UNDEFINED: u32 = u32::MAX;
/// Most sequences within one another. Real files have fewer than 10.
const MOST_DEPTH: usize = 64;

/// The way in which elements are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Encoding {
    /// True if each element has its VR.
    pub explicit: bool,
    /// The order of the bytes in a word.
    pub big_endian: bool,
}

impl Encoding {
    /// Implicit VR little endian, in which the content of UN is written (PS3.5, 6.2.2).
    const IMPLICIT: Self = Self {
        explicit: false,
        big_endian: false,
    };

    /// Explicit VR little endian, in which the file meta information is written.
    pub(super) const EXPLICIT: Self = Self {
        explicit: true,
        big_endian: false,
    };

    fn u16(self, bytes: [u8; 2]) -> u16 {
        match self.big_endian {
            true => u16::from_be_bytes(bytes),
            false => u16::from_le_bytes(bytes),
        }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        match self.big_endian {
            true => u32::from_be_bytes(bytes),
            false => u32::from_le_bytes(bytes),
        }
    }
}

/// One element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub tag: Tag,
    /// The value, without the end of an undefined length.
    pub value: &'a [u8],
    /// The way in which elements within the value are written.
    pub within: Encoding,
}

/// A tag, a VR if there is one, and a length.
#[derive(Clone, Copy)]
struct Head {
    tag: Tag,
    vr: Option<VR>,
    /// The start of the value.
    start: usize,
    /// The end of the value, which may lie outside of the file; none if the length is undefined.
    end: Option<usize>,
}

/// Reads elements one after the other.
pub(super) struct Elements<'a> {
    bytes: &'a [u8],
    at: usize,
    encoding: Encoding,
}

impl<'a> Elements<'a> {
    pub(super) fn new(bytes: &'a [u8], encoding: Encoding) -> Self {
        Self {
            bytes,
            at: 0,
            encoding,
        }
    }

    /// Returns the tag of the next element, if there is one.
    pub(super) fn peek(&self) -> Option<Tag> {
        tag_at(self.bytes, self.at, self.encoding)
    }

    /// Returns the bytes that were not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Reads the next element.
    ///
    /// # Errors
    /// If it reaches past the end.
    pub(super) fn next(&mut self) -> Result<Option<Element<'a>>, DecodeError> {
        let bytes = self.bytes;
        loop {
            match self.peek() {
                None => return Ok(None),
                // Ends that belong to nothing.
                Some(ITEM_END | SEQUENCE_END) => self.at += HEAD,
                Some(_) => break,
            }
        }
        let head = head(bytes, self.at, self.encoding)?;
        let within = within(head.vr, self.encoding);
        let (end, next) = match head.end {
            Some(end) => (end, end),
            None => sequence_end(bytes, head.start, head.tag, within, 0)?,
        };
        let value = (bytes.get(head.start..end))
            .ok_or_else(|| damaged(alloc::format!("it ends within its element {}", head.tag)))?;
        self.at = next;
        Ok(Some(Element {
            tag: head.tag,
            value,
            within,
        }))
    }

    /// Reads the head of the next element, and returns its VR and all bytes after it up to the end
    /// that it announces or the end of the file. Nothing can be read after it.
    pub(super) fn last(self) -> Result<(Option<VR>, &'a [u8], bool), DecodeError> {
        let head = head(self.bytes, self.at, self.encoding)?;
        let end = head.end.unwrap_or(usize::MAX).min(self.bytes.len());
        let value = self.bytes.get(head.start..end).unwrap_or_default();
        Ok((head.vr, value, head.end.is_none()))
    }
}

/// Returns the content of the first item of the sequence in `value`, if there is an item.
pub(super) fn first_item(value: &[u8], encoding: Encoding) -> Option<&[u8]> {
    let (tag, length) = item_head(value, 0, encoding)?;
    if tag != ITEM {
        return None;
    }
    let content = &value[HEAD..];
    match length {
        // A sequence that was found to end may still have an item without an end.
        UNDEFINED => match item_end(content, 0, ITEM, encoding, 0) {
            Ok((end, _)) => content.get(..end),
            Err(_) => Some(content),
        },
        length => content.get(..length as usize),
    }
}

/// Returns the items of encapsulated pixel data (PS3.5, A.4) with the offset table, and whether
/// they are whole. They may lack their end.
pub(super) fn items(value: &[u8]) -> impl Iterator<Item = Result<&[u8], DecodeError>> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let (tag, length) = item_head(value, at, Encoding::EXPLICIT)?;
        if tag != ITEM {
            return None;
        }
        let start = at + HEAD;
        let end = start + length as usize;
        at = end;
        Some((value.get(start..end)).ok_or_else(|| damaged("it ends within its compressed pixels")))
    })
}

/// Returns true if the sequence in `value` has nothing but its end.
pub(super) fn is_empty(value: &[u8], encoding: Encoding) -> bool {
    value.is_empty()
        || value.starts_with(&NULLED)
        || tag_at(value, 0, encoding) == Some(SEQUENCE_END)
}

/// Returns true if `value` begins with an item of encapsulated pixel data.
pub(super) fn begins_with_item(value: &[u8]) -> bool {
    tag_at(value, 0, Encoding::EXPLICIT) == Some(ITEM)
}

/// Returns true if `value` ends with the end of a sequence of encapsulated pixel data.
pub(super) fn ends_with_end(value: &[u8]) -> bool {
    let end = value.len().wrapping_sub(HEAD);
    tag_at(value, end, Encoding::EXPLICIT) == Some(SEQUENCE_END)
}

fn tag_at(bytes: &[u8], at: usize, encoding: Encoding) -> Option<Tag> {
    // With its length: fewer bytes than that are padding of the file.
    let &[a, b, c, d, _, _, _, _] = bytes.get(at..)?.first_chunk::<HEAD>()?;
    Some(Tag(encoding.u16([a, b]), encoding.u16([c, d])))
}

/// Returns a tag and the length of 4 bytes after it.
fn item_head(bytes: &[u8], at: usize, encoding: Encoding) -> Option<(Tag, u32)> {
    let tag = tag_at(bytes, at, encoding)?;
    let length = *bytes.get(at + 4..)?.first_chunk()?;
    Some((tag, encoding.u32(length)))
}

/// The way in which elements within an element's value are written.
fn within(vr: Option<VR>, encoding: Encoding) -> Encoding {
    match vr {
        Some(VR::UN) => Encoding::IMPLICIT,
        _ => encoding,
    }
}

/// Reads the head of the element at `at`, where there are at least [`HEAD`] bytes.
fn head(bytes: &[u8], at: usize, encoding: Encoding) -> Result<Head, DecodeError> {
    let implicit = implicit_head(bytes, at, encoding);
    let vr = vr_at(bytes, at);
    let standard = vr.and_then(|vr| explicit_head(bytes, at, encoding, vr, is_long(vr)));
    let fits = |head: &Head| head.end.is_none_or(|end| end <= bytes.len());
    let looks_right = |head: &Head| followed(bytes, head, encoding);
    let found = match (encoding.explicit, standard) {
        (true, Some(standard)) if fits(&standard) && looks_right(&standard) => Some(standard),
        (true, Some(standard)) => {
            // No VR, but the length of implicit VR; or the length has the other form.
            let other = explicit_head(bytes, at, encoding, VR::UN, !vr.is_some_and(is_long));
            let candidates = [Some(implicit), other].into_iter().flatten();
            let other = candidates.into_iter().find(looks_right);
            Some(other.unwrap_or(standard))
        }
        (false, Some(standard)) => match !looks_right(&implicit) && looks_right(&standard) {
            true => Some(standard),
            false => Some(implicit),
        },
        (false, None) => Some(implicit),
        (true, None) => {
            // New VRs have the long form (PS3.5, 7.1.2).
            let unknown = |long| explicit_head(bytes, at, encoding, VR::UN, long);
            let mut candidates = [unknown(true), unknown(false), Some(implicit)];
            let letters = &bytes[at + 4..at + 6];
            let no_vr = !letters.iter().all(|l| (0x20..0x7f).contains(l));
            if no_vr {
                candidates.rotate_right(1);
            }
            let candidate = candidates.into_iter().flatten().find(looks_right);
            candidate.or_else(|| (no_vr && fits(&implicit)).then_some(implicit))
        }
    };
    found.ok_or_else(|| {
        let tag = implicit.tag;
        damaged(alloc::format!(
            "its element {tag} has neither a VR nor a length that fits"
        ))
    })
}

fn implicit_head(bytes: &[u8], at: usize, encoding: Encoding) -> Head {
    let (tag, length) = item_head(bytes, at, encoding).unwrap_or((Tag(0, 0), 0));
    Head::new(tag, None, at + HEAD, length)
}

/// Reads a head with a VR and a length of 4 bytes in the `long` form, else of 2; none if the bytes
/// do not have that form.
fn explicit_head(bytes: &[u8], at: usize, encoding: Encoding, vr: VR, long: bool) -> Option<Head> {
    let tag = tag_at(bytes, at, encoding)?;
    if long {
        let length = encoding.u32(*bytes.get(at + 8..)?.first_chunk()?);
        Some(Head::new(tag, Some(vr), at + 12, length))
    } else {
        let length = encoding.u16(*bytes.get(at + 6..)?.first_chunk()?);
        Some(Head::new(tag, Some(vr), at + HEAD, length.into()))
    }
}

impl Head {
    fn new(tag: Tag, vr: Option<VR>, start: usize, length: u32) -> Self {
        let end = (length != UNDEFINED).then(|| start.saturating_add(length as usize));
        Self {
            tag,
            vr,
            start,
            end,
        }
    }
}

/// Returns true for the VRs whose length has 4 bytes (PS3.5, table 7.1-1).
fn is_long(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV};
    matches!(
        vr,
        OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV
    )
}

/// Returns true if what follows an element read as `head` is an element, an end or nothing. Pixels
/// that a wrong length leads to nearly never look like one.
fn followed(bytes: &[u8], head: &Head, encoding: Encoding) -> bool {
    let Some(end) = head.end else {
        return item_head(bytes, head.start, encoding)
            .is_some_and(|(tag, _)| matches!(tag, ITEM | SEQUENCE_END));
    };
    if end >= bytes.len() {
        return end == bytes.len();
    }
    let Some((next, length)) = item_head(bytes, end, encoding) else {
        return true;
    };
    if matches!(next, ITEM | ITEM_END | SEQUENCE_END) || bytes[end..].starts_with(&NULLED) {
        return true;
    }
    let has_vr = vr_at(bytes, end).is_some();
    let in_order = next > head.tag && next.0 >> 8 <= 0x7f;
    let fits = length == UNDEFINED || (end + HEAD).saturating_add(length as usize) <= bytes.len();
    (in_order && (has_vr || fits)) || (encoding.explicit && has_vr)
}

/// Returns the VR of an element at `at`, if there is one that exists.
fn vr_at(bytes: &[u8], at: usize) -> Option<VR> {
    let letters = bytes.get(at + 4..at + 6)?.first_chunk()?;
    VR::from_binary(*letters)
}

/// Returns where the content of the sequence `of` ends, and what follows it begins. The content
/// begins at `at`.
fn sequence_end(
    bytes: &[u8],
    mut at: usize,
    of: Tag,
    encoding: Encoding,
    depth: usize,
) -> Result<(usize, usize), DecodeError> {
    if depth > MOST_DEPTH {
        return Err(damaged(alloc::format!(
            "more than {MOST_DEPTH} sequences are within one another"
        )));
    }
    while let Some((tag, length)) = item_head(bytes, at, encoding) {
        match tag {
            ITEM if length == UNDEFINED => {
                (_, at) = item_end(bytes, at + HEAD, of, encoding, depth)?;
            }
            ITEM => at = at.saturating_add(HEAD + length as usize),
            SEQUENCE_END => return Ok((at, at + HEAD)),
            _ if bytes[at..].starts_with(&NULLED) => return Ok((at, at + HEAD)),
            // The end of an item that had one already, and not that of the item around it.
            ITEM_END if depth == 0 || ends_twice(bytes, at, encoding) => at += HEAD,
            // The end is missing.
            _ => return Ok((at, at)),
        }
    }
    Err(endless(of))
}

/// Returns true if the end of an item at `at` is followed by those of its sequence and of the item
/// around that.
fn ends_twice(bytes: &[u8], at: usize, encoding: Encoding) -> bool {
    let tag = |number: usize| tag_at(bytes, at + number * HEAD, encoding);
    tag(1) == Some(SEQUENCE_END) && tag(2) == Some(ITEM_END)
}

/// Returns where an item of the sequence `of` ends, and what follows it begins. The content begins
/// at `at`.
fn item_end(
    bytes: &[u8],
    mut at: usize,
    of: Tag,
    encoding: Encoding,
    depth: usize,
) -> Result<(usize, usize), DecodeError> {
    while let Some(tag) = tag_at(bytes, at, encoding) {
        match tag {
            ITEM_END => return Ok((at, at + HEAD)),
            _ if bytes[at..].starts_with(&NULLED) => return Ok((at, at + HEAD)),
            // The end is missing.
            ITEM | SEQUENCE_END => return Ok((at, at)),
            _ => {}
        }
        let head = head(bytes, at, encoding)?;
        at = match head.end {
            Some(end) => end,
            None => {
                let within = within(head.vr, encoding);
                sequence_end(bytes, head.start, head.tag, within, depth + 1)?.1
            }
        };
    }
    Err(endless(of))
}

fn endless(sequence: Tag) -> DecodeError {
    damaged(alloc::format!("its sequence {sequence} has no end"))
}
