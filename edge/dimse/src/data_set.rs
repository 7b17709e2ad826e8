//! The small data sets of queries and answers: writing them in Implicit VR Little Endian (PS3.5, 7.1.3), and
//! reading what other systems send, which may be any bytes.

use super::service::EXPLICIT;

/// An element's group and number.
pub(super) type Tag = (u16, u16);

/// An item of a sequence.
pub(super) const ITEM: Tag = (0xFFFE, 0xE000);
const ITEM_END: Tag = (0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = (0xFFFE, 0xE0DD);

/// A length that is not told: an end is marked.
const UNDEFINED: usize = 0xFFFF_FFFF;

/// How deep sequences that are skipped may lie within each other.
const DEEPEST: u32 = 16;

/// An error of a data set that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer's data set is damaged")]
pub struct Damaged;

/// An element in implicit VR; a value of odd length gets `padding` behind it.
pub(super) fn element((group, number): Tag, value: &[u8], padding: u8) -> Vec<u8> {
    let length = value.len() + value.len() % 2;
    let mut element = Vec::with_capacity(8 + length);
    element.extend(group.to_le_bytes());
    element.extend(number.to_le_bytes());
    element.extend((length as u32).to_le_bytes());
    element.extend(value);
    element.resize(8 + length, padding);
    element
}

/// What is left of a data set. The value of each element that is come to must be read or skipped.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    explicit: bool,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, a data set in Implicit or Explicit VR Little Endian.
    pub fn new(bytes: &'a [u8], transfer_syntax: &str) -> Self {
        let explicit = transfer_syntax == EXPLICIT;
        Self { bytes, explicit }
    }

    /// Comes to each element, by its tag and its value's length.
    pub fn elements(
        &mut self,
        mut each: impl FnMut(&mut Self, Tag, usize) -> Result<(), Damaged>,
    ) -> Result<(), Damaged> {
        while !self.bytes.is_empty() {
            let (tag, length) = self.head()?;
            each(self, tag, length)?;
        }
        Ok(())
    }

    /// Comes to each item of a sequence, by its length.
    pub fn items(
        &mut self,
        length: usize,
        mut each: impl FnMut(&mut Self, usize) -> Result<(), Damaged>,
    ) -> Result<(), Damaged> {
        let mut items = self.part(length)?;
        while length == UNDEFINED || !items.bytes.is_empty() {
            match items.head()? {
                (SEQUENCE_END, _) => break,
                (ITEM, length) => each(&mut items, length)?,
                _ => return Err(Damaged),
            }
        }
        self.after(&items, length);
        Ok(())
    }

    /// Comes to each element of an item.
    pub fn item(
        &mut self,
        length: usize,
        mut each: impl FnMut(&mut Self, Tag, usize) -> Result<(), Damaged>,
    ) -> Result<(), Damaged> {
        let mut item = self.part(length)?;
        while length == UNDEFINED || !item.bytes.is_empty() {
            match item.head()? {
                (ITEM_END, _) => break,
                (tag, length) => each(&mut item, tag, length)?,
            }
        }
        self.after(&item, length);
        Ok(())
    }

    /// Reads a value.
    pub fn value(&mut self, length: usize) -> Result<&'a [u8], Damaged> {
        let (value, rest) = self.bytes.split_at_checked(length).ok_or(Damaged)?;
        self.bytes = rest;
        Ok(value)
    }

    /// Reads a value that is a UID or a code, without padding.
    pub fn text(&mut self, length: usize) -> Result<String, Damaged> {
        let text = String::from_utf8_lossy(self.value(length)?);
        Ok(text.trim_matches(['\0', ' ']).to_owned())
    }

    /// Reads a value of two bytes.
    pub fn word(&mut self) -> Result<u16, Damaged> {
        let bytes = self.value(2)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    /// Reads past a value.
    pub fn skip(&mut self, length: usize) -> Result<(), Damaged> {
        self.skip_within(length, 0)
    }

    fn skip_within(&mut self, length: usize, depth: u32) -> Result<(), Damaged> {
        if length != UNDEFINED {
            return self.value(length).map(|_| ());
        }
        if depth == DEEPEST {
            return Err(Damaged);
        }
        loop {
            match self.head()? {
                (ITEM_END | SEQUENCE_END, _) => return Ok(()),
                (_, length) => self.skip_within(length, depth + 1)?,
            }
        }
    }

    fn long(&mut self) -> Result<usize, Damaged> {
        let (low, high) = (self.word()?, self.word()?);
        Ok(usize::from(high) << 16 | usize::from(low))
    }

    /// An element's tag and the length of its value.
    fn head(&mut self) -> Result<(Tag, usize), Damaged> {
        let tag = (self.word()?, self.word()?);
        // Items have no VR (PS3.5, 7.5).
        if !self.explicit || tag.0 == ITEM.0 {
            return Ok((tag, self.long()?));
        }
        let length = match self.value(2)? {
            b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN"
            | b"UR" | b"UT" | b"UV" => {
                self.value(2)?;
                self.long()?
            }
            _ => self.word()?.into(),
        };
        Ok((tag, length))
    }

    /// The part of the data set that a value of this length is; all that is left, if it has none.
    fn part(&mut self, length: usize) -> Result<Self, Damaged> {
        let bytes = match length {
            UNDEFINED => self.bytes,
            length => self.value(length)?,
        };
        let explicit = self.explicit;
        Ok(Self { bytes, explicit })
    }

    /// Goes on behind `part`, if that had no length of its own.
    fn after(&mut self, part: &Self, length: usize) {
        if length == UNDEFINED {
            self.bytes = part.bytes;
        }
    }
}
