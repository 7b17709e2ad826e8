//! The DICOMDIR of a file-set (PS3.10, 8.6; PS3.3, annex F): read, and extended by records at its end. What is
//! there keeps its bytes and its place; only the offsets that lead to what is new are changed.

use std::collections::HashMap;
use std::ops::Range;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::encode::EncoderFor;
use dicom_encoding::encode::explicit_le::ExplicitVRLittleEndianEncoder;
use dicom_object::InMemDicomObject;
use plumbline_dimse::service::EXPLICIT;

use super::elements::{Element, Item, data_set, trimmed};
use crate::intake::file_meta;
use crate::store::draw_uid;

/// The name of its file, at the root of a file-set.
pub const DICOMDIR: &str = "DICOMDIR";

/// The most bytes of a DICOMDIR that are read: those of fifty thousand objects.
pub const MOST_BYTES: u64 = 32 << 20;

/// The name that file-sets of the station have (File-set ID).
const FILE_SET: &str = "PLUMBLINE";

/// The elements of records by which others are found.
const KEPT: [Tag; 8] = [
    tags::RECORD_IN_USE_FLAG,
    tags::DIRECTORY_RECORD_TYPE,
    tags::REFERENCED_SOP_INSTANCE_UID_IN_FILE,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
];

/// Record In-use Flag of a record that is in use.
const IN_USE: u16 = 0xffff;

/// Why a DICOMDIR cannot be read or extended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The file is something else.
    #[error("it is no DICOMDIR")]
    NotOne,
    /// It is damaged, or not as PS3.10 has it.
    #[error("{0}")]
    Damaged(&'static str),
    /// It has no room for more, as offsets have 32 bits.
    #[error("it is full")]
    Full,
    /// A record cannot be encoded.
    #[error("a record cannot be written ({0})")]
    Unwritten(String),
}

/// A DICOMDIR.
#[derive(Debug)]
pub struct Directory {
    /// The file up to the end of the last record.
    bytes: Vec<u8>,
    /// What follows there.
    tail: Vec<u8>,
    /// The place of the length of the sequence of records, if it has a length, and of the first record.
    sequence: (Option<usize>, usize),
    /// The places of the values with the offsets of the first and the last record of the root.
    root: [usize; 2],
    records: Vec<Record>,
    /// The records of the root, in their order.
    top: Vec<usize>,
}

/// A directory record.
#[derive(Debug)]
struct Record {
    /// The place of its item, by which others point at it.
    at: u32,
    /// The places of the values with the offsets of the next record and of the first below it.
    next: usize,
    lower: usize,
    /// The places of the values of [`KEPT`].
    values: Vec<(Tag, Range<usize>)>,
    /// The records below it, in their order.
    below: Vec<usize>,
}

impl Directory {
    /// The DICOMDIR of an empty file-set.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn new() -> Result<Self, DirectoryError> {
        let uid = draw_uid();
        let offset = |tag| DataElement::new(tag, VR::UL, PrimitiveValue::from(0_u32));
        let object = InMemDicomObject::from_element_iter([
            DataElement::new(tags::FILE_SET_ID, VR::CS, PrimitiveValue::from(FILE_SET)),
            offset(tags::OFFSET_OF_THE_FIRST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY),
            offset(tags::OFFSET_OF_THE_LAST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY),
            DataElement::new(
                tags::FILE_SET_CONSISTENCY_FLAG,
                VR::US,
                PrimitiveValue::from(0_u16),
            ),
            DataElement::new(
                tags::DIRECTORY_RECORD_SEQUENCE,
                VR::SQ,
                DataSetSequence::<InMemDicomObject>::empty(),
            ),
        ]);
        let mut file = file_meta(uids::MEDIA_STORAGE_DIRECTORY_STORAGE, &uid, EXPLICIT);
        encode(&object, &mut file)?;
        Self::read(file)
    }

    /// Reads a DICOMDIR.
    ///
    /// # Errors
    /// [`DirectoryError`], if it is not as PS3.10 has it: then it cannot be extended either.
    pub fn read(mut bytes: Vec<u8>) -> Result<Self, DirectoryError> {
        use DirectoryError::Damaged;
        let mut at = data_set(&bytes, uids::MEDIA_STORAGE_DIRECTORY_STORAGE)?;
        let mut root = [None, None];
        let sequence = loop {
            if at >= bytes.len() {
                return Err(Damaged("it has no sequence of records"));
            }
            let element = Element::read(&bytes, at)?;
            match element.tag {
                // Retired; it would be wrong afterwards.
                Tag(4, 0) => return Err(Damaged("it has a group length, as old programs write")),
                tags::OFFSET_OF_THE_FIRST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY => {
                    root[0] = Some(offset_place(&element)?);
                }
                tags::OFFSET_OF_THE_LAST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY => {
                    root[1] = Some(offset_place(&element)?);
                }
                tags::DIRECTORY_RECORD_SEQUENCE => break element,
                _ => {}
            }
            at = element.next(&bytes)?;
        };
        let [Some(first), Some(last)] = root else {
            return Err(Damaged("it has no offsets of its first and last record"));
        };
        let mut records = Vec::new();
        let end = sequence.each_item(&bytes, |item| {
            records.push(Record::of(item)?);
            Ok(())
        })?;
        let tail = bytes.split_off(end);
        let length = sequence.end.map(|_| sequence.start - size_of::<u32>());
        let mut directory = Self {
            bytes,
            tail,
            sequence: (length, sequence.start),
            root: [first, last],
            records,
            top: Vec::new(),
        };
        directory.link()?;
        Ok(directory)
    }

    /// Finds which record is below which.
    fn link(&mut self) -> Result<(), DirectoryError> {
        let index: HashMap<u32, usize> = (self.records.iter().enumerate())
            .map(|(index, record)| (record.at, index))
            .collect();
        let mut seen = vec![false; self.records.len()];
        let mut chains = vec![(None, self.offset(self.root[0]))];
        while let Some((parent, mut offset)) = chains.pop() {
            while offset != 0 {
                let record = *index.get(&offset).ok_or(DirectoryError::Damaged(
                    "an offset in it leads to no record",
                ))?;
                if std::mem::replace(&mut seen[record], true) {
                    return Err(DirectoryError::Damaged("its records lead in a circle"));
                }
                self.below(parent).push(record);
                chains.push((Some(record), self.offset(self.records[record].lower)));
                offset = self.offset(self.records[record].next);
            }
        }
        Ok(())
    }

    /// The record below `parent`, or below the root, that is in use, of this type, and has these values.
    pub fn find(&self, parent: Option<usize>, kind: &str, values: &[(Tag, &str)]) -> Option<usize> {
        let below = parent.map_or(&self.top, |parent| &self.records[parent].below);
        let is = |record: usize| {
            self.is_in_use(record)
                && self.text(record, tags::DIRECTORY_RECORD_TYPE) == kind.as_bytes()
                && values
                    .iter()
                    .all(|(tag, value)| self.text(record, *tag) == value.as_bytes())
        };
        below.iter().copied().find(|record| is(*record))
    }

    /// True if a record in use is of the instance `uid`, wherever it is.
    pub fn has_instance(&self, uid: &str) -> bool {
        (0..self.records.len()).any(|record| {
            self.is_in_use(record)
                && self.text(record, tags::REFERENCED_SOP_INSTANCE_UID_IN_FILE) == uid.as_bytes()
        })
    }

    /// Appends a record below `parent`, or below the root, and returns it. `object` has its type and keys.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn append(
        &mut self,
        parent: Option<usize>,
        mut object: InMemDicomObject,
    ) -> Result<usize, DirectoryError> {
        let offset = |tag| DataElement::new(tag, VR::UL, PrimitiveValue::from(0_u32));
        object.put(offset(tags::OFFSET_OF_THE_NEXT_DIRECTORY_RECORD));
        object.put(offset(
            tags::OFFSET_OF_REFERENCED_LOWER_LEVEL_DIRECTORY_ENTITY,
        ));
        object.put(DataElement::new(
            tags::RECORD_IN_USE_FLAG,
            VR::US,
            PrimitiveValue::from(IN_USE),
        ));
        let mut data = Vec::new();
        encode(&object, &mut data)?;
        let at = self.bytes.len();
        let end = at + 8 + data.len();
        if end as u64 + self.tail.len() as u64 > MOST_BYTES {
            return Err(DirectoryError::Full);
        }
        self.bytes.extend(b"\xfe\xff\x00\xe0");
        self.bytes.extend((data.len() as u32).to_le_bytes());
        self.bytes.extend(data);
        let alone = Element {
            tag: tags::DIRECTORY_RECORD_SEQUENCE,
            vr: VR::SQ,
            start: at,
            end: Some(end),
        };
        alone.each_item(&self.bytes, |item| {
            self.records.push(Record::of(item)?);
            Ok(())
        })?;
        let new = self.records.len() - 1;
        let offset = self.records[new].at;
        let before = self.below(parent).last().copied();
        let leads_here = match (before, parent) {
            (Some(before), _) => self.records[before].next,
            (None, Some(parent)) => self.records[parent].lower,
            (None, None) => self.root[0],
        };
        self.set(leads_here, offset);
        if parent.is_none() {
            self.set(self.root[1], offset);
        }
        self.below(parent).push(new);
        Ok(new)
    }

    /// The file's bytes.
    pub fn into_bytes(mut self) -> Vec<u8> {
        if let (Some(length), start) = self.sequence {
            self.set(length, (self.bytes.len() - start) as u32);
        }
        self.bytes.append(&mut self.tail);
        self.bytes
    }

    /// The records below `parent`, or below the root.
    fn below(&mut self, parent: Option<usize>) -> &mut Vec<usize> {
        match parent {
            Some(parent) => &mut self.records[parent].below,
            None => &mut self.top,
        }
    }

    fn is_in_use(&self, record: usize) -> bool {
        let flag = self.value(record, tags::RECORD_IN_USE_FLAG);
        flag != Some(&[0, 0])
    }

    fn text(&self, record: usize, tag: Tag) -> &[u8] {
        self.value(record, tag).map(trimmed).unwrap_or_default()
    }

    fn value(&self, record: usize, tag: Tag) -> Option<&[u8]> {
        let mut values = self.records[record].values.iter();
        let (_, place) = values.find(|(known, _)| *known == tag)?;
        self.bytes.get(place.clone())
    }

    /// The offset at a place.
    fn offset(&self, place: usize) -> u32 {
        let bytes = self.bytes.get(place..).unwrap_or_default();
        bytes
            .first_chunk()
            .map_or(0, |word| u32::from_le_bytes(*word))
    }

    fn set(&mut self, place: usize, word: u32) {
        self.bytes[place..place + size_of::<u32>()].copy_from_slice(&word.to_le_bytes());
    }
}

impl Record {
    fn of(item: &Item) -> Result<Self, DirectoryError> {
        let (mut next, mut lower) = (None, None);
        let mut values = Vec::new();
        for element in &item.elements {
            match element.tag {
                tags::OFFSET_OF_THE_NEXT_DIRECTORY_RECORD => next = Some(offset_place(element)?),
                tags::OFFSET_OF_REFERENCED_LOWER_LEVEL_DIRECTORY_ENTITY => {
                    lower = Some(offset_place(element)?);
                }
                tag if !KEPT.contains(&tag) => {}
                _ => values.extend(element.end.map(|end| (element.tag, element.start..end))),
            }
        }
        let (Some(next), Some(lower)) = (next, lower) else {
            return Err(DirectoryError::Damaged("a record in it lacks its offsets"));
        };
        Ok(Self {
            at: u32::try_from(item.at).map_err(|_| DirectoryError::Full)?,
            next,
            lower,
            values,
            below: Vec::new(),
        })
    }
}

/// The place of an offset.
fn offset_place(element: &Element) -> Result<usize, DirectoryError> {
    match element.value()?.len() {
        4 => Ok(element.start),
        _ => Err(DirectoryError::Damaged("an offset in it has not 4 bytes")),
    }
}

/// Appends a data set in Explicit VR Little Endian.
fn encode(object: &InMemDicomObject, to: &mut Vec<u8>) -> Result<(), DirectoryError> {
    let encoder = EncoderFor::new(ExplicitVRLittleEndianEncoder::default());
    let written = object.write_dataset(to, encoder);
    written.map_err(|error| DirectoryError::Unwritten(error.to_string()))
}
