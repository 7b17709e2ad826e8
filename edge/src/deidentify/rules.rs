//! De-identification of a data set (PS3.15, E.1): what is done with each attribute, at every depth of
//! sequences.

use dicom_core::dictionary::UidDictionary;
use dicom_core::header::Header;
use dicom_core::value::{DataSetSequence, Value};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{StandardSopClassDictionary, tags};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use super::codes;
use super::kept::{Kept, is_number, kept};
use super::key::Key;
use super::table::{self, Action};

/// The dummy of texts that must not be empty.
const DUMMY: &str = "REMOVED";

/// What is done with an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// It is removed.
    Remove,
    /// It is left without a value.
    Empty,
    /// It gets a dummy value.
    Dummy,
    /// It gets the patient's pseudonym.
    Pseudonym,
    /// All its UIDs are mapped.
    Uids,
    /// The items of the sequence are treated as the data set is.
    Items,
    /// What is kept of it is kept.
    Keep(Kept),
}

/// What is done with the attribute `tag`.
pub(super) fn deed(tag: Tag) -> Deed {
    if is_whole_group_removed(tag) {
        return Deed::Remove;
    }
    match table::action(tag) {
        Some(action) => resolved(tag, action),
        None => kept(tag).map_or(Deed::Remove, Deed::Keep),
    }
}

/// True for the rows of the profile's table that name whole groups: private elements, curves (50xx), and of
/// overlays (60xx) all, for what describes an overlay is of no use without it. File meta information is
/// written anew.
fn is_whole_group_removed(tag: Tag) -> bool {
    let group = tag.group();
    !group.is_multiple_of(2) || group < 0x0008 || matches!(group, 0x5000..=0x50ff | 0x6000..=0x60ff)
}

/// The profile's action where it leaves a choice: what an attribute is in the films that the station takes
/// (CR, DX and secondary captures) decides. There only one of them must be there, though it may be empty:
/// Acquisition Context Sequence. None must have a value.
fn resolved(tag: Tag, action: Action) -> Deed {
    match action {
        // An empty value would do, but with it nobody could keep a patient's films together.
        _ if matches!(tag, tags::PATIENT_NAME | tags::PATIENT_ID) => Deed::Pseudonym,
        Action::RemoveOrEmpty if tag == tags::ACQUISITION_CONTEXT_SEQUENCE => Deed::Empty,
        Action::Remove
        | Action::RemoveOrEmpty
        | Action::RemoveOrDummy
        | Action::RemoveOrEmptyOrDummy => Deed::Remove,
        Action::Empty | Action::EmptyOrDummy => Deed::Empty,
        Action::Dummy => Deed::Dummy,
        Action::Uid => Deed::Uids,
        Action::RemoveOrEmptyOrUids => Deed::Items,
    }
}

/// Rewrites data sets.
pub(super) struct Rules<'a> {
    pub key: &'a Key,
    /// The pseudonym of the film's patient.
    pub patient: &'a str,
}

impl Rules<'_> {
    /// Does with each attribute of a data set what is to be done.
    pub fn rewrite(&self, object: InMemDicomObject) -> InMemDicomObject {
        let elements = object.into_iter();
        InMemDicomObject::from_element_iter(elements.filter_map(|element| self.element(element)))
    }

    fn element(&self, element: InMemElement) -> Option<InMemElement> {
        let tag = element.tag();
        match deed(tag) {
            Deed::Remove => None,
            Deed::Empty | Deed::Keep(Kept::Empty) => Some(empty(&element)),
            Deed::Dummy | Deed::Keep(Kept::Dummy) => self.dummy(element),
            Deed::Pseudonym => Some(pseudonym(tag, self.patient)),
            Deed::Uids => self.uids(&element, false),
            Deed::Items | Deed::Keep(Kept::Items) => self.items(element),
            Deed::Keep(Kept::Uids) => self.uids(&element, true),
            Deed::Keep(Kept::Numbers) => numbers(element),
            Deed::Keep(Kept::Words(words)) => {
                Some(words_of(&element, |word| words.contains(&word)))
            }
            Deed::Keep(Kept::Directions) => Some(words_of(&element, is_direction)),
            Deed::Keep(Kept::Samples) => {
                let samples = [VR::OB, VR::OW, VR::OV, VR::US, VR::SS];
                samples.contains(&element.vr()).then_some(element)
            }
        }
    }

    /// Maps UIDs; those of the standard itself may stay if `standard_stays`.
    fn uids(&self, element: &InMemElement, standard_stays: bool) -> Option<InMemElement> {
        let mapped = texts(element).into_iter().map(|uid| {
            let is_standard = || StandardSopClassDictionary.by_uid(&uid).is_some();
            match uid.is_empty() || standard_stays && is_standard() {
                true => uid,
                false => self.key.uid(&uid),
            }
        });
        Some(DataElement::new(
            element.tag(),
            VR::UI,
            PrimitiveValue::Strs(mapped.collect()),
        ))
    }

    /// Rewrites the items of a sequence. One of which nothing is left goes.
    fn items(&self, element: InMemElement) -> Option<InMemElement> {
        let tag = element.tag();
        let Value::Sequence(sequence) = element.into_value() else {
            return None;
        };
        let items: Vec<_> = sequence
            .into_items()
            .into_iter()
            .filter_map(|item| self.item(item))
            .collect();
        let sequence = DataSetSequence::from(items);
        (!sequence.items().is_empty()).then(|| DataElement::new(tag, VR::SQ, sequence))
    }

    /// Rewrites an item. A coded concept (PS3.3, table 8.8-1) stays if it is known, with the known meaning.
    fn item(&self, item: InMemDicomObject) -> Option<InMemDicomObject> {
        let text = |tag| item.get(tag).and_then(|element| texts(element).pop());
        let code = text(tags::CODE_VALUE);
        let scheme = text(tags::CODING_SCHEME_DESIGNATOR).unwrap_or_default();
        let mut rewritten = self.rewrite(item);
        if let Some(code) = code {
            let meaning = codes::meaning(&code, &scheme)?;
            for (tag, vr, text) in [
                (tags::CODE_VALUE, VR::SH, &*code),
                (tags::CODING_SCHEME_DESIGNATOR, VR::SH, &scheme),
                (tags::CODE_MEANING, VR::LO, meaning),
            ] {
                rewritten.put(DataElement::new(tag, vr, text));
            }
        }
        let is_empty = rewritten.iter().next().is_none();
        (!is_empty).then_some(rewritten)
    }

    /// An element with a dummy value of its VR; a sequence with its items rewritten.
    fn dummy(&self, element: InMemElement) -> Option<InMemElement> {
        let value: PrimitiveValue = match element.vr() {
            VR::SQ => return self.items(element),
            VR::UI => return self.uids(&element, false),
            VR::DA => "19000101".into(),
            VR::TM => "000000".into(),
            VR::DT => "19000101000000".into(),
            VR::AS => "000Y".into(),
            VR::DS | VR::IS => "0".into(),
            VR::AE | VR::CS | VR::LO | VR::LT | VR::PN | VR::SH | VR::ST | VR::UC | VR::UT => {
                DUMMY.into()
            }
            _ => return None,
        };
        Some(DataElement::new(element.tag(), element.vr(), value))
    }
}

/// Patient's Name or Patient ID with the pseudonym.
pub(super) fn pseudonym(tag: Tag, patient: &str) -> InMemElement {
    match tag {
        tags::PATIENT_NAME => DataElement::new(tag, VR::PN, format!("{patient}^")),
        _ => DataElement::new(tag, VR::LO, patient),
    }
}

/// The element without a value.
fn empty(element: &InMemElement) -> InMemElement {
    let value = match element.vr() {
        VR::SQ => Value::Sequence(DataSetSequence::empty()),
        _ => Value::Primitive(PrimitiveValue::Empty),
    };
    DataElement::new(element.tag(), element.vr(), value)
}

/// The element if it has numbers alone; without a value if a text is none.
fn numbers(element: InMemElement) -> Option<InMemElement> {
    let is_text = matches!(element.vr(), VR::DS | VR::IS);
    let right = |text: &String| {
        let plain = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
        text.is_empty() || text.bytes().all(plain) && text.parse::<f64>().is_ok()
    };
    match is_number(element.vr()) {
        false => None,
        true if is_text && !texts(&element).iter().all(right) => Some(empty(&element)),
        true => Some(element),
    }
}

/// The element with those of its values that are right; the others are left empty.
fn words_of(element: &InMemElement, right: impl Fn(&str) -> bool) -> InMemElement {
    let mut words: Vec<String> = texts(element)
        .into_iter()
        .map(|word| if right(&word) { word } else { String::new() })
        .collect();
    while words.last().is_some_and(String::is_empty) {
        words.pop();
    }
    // Rescale Type and Modality LUT Type are LO.
    let vr = match element.vr() {
        VR::LO => VR::LO,
        _ => VR::CS,
    };
    let value = match words.is_empty() {
        true => PrimitiveValue::Empty,
        false => PrimitiveValue::Strs(words.into()),
    };
    DataElement::new(element.tag(), vr, value)
}

fn is_direction(word: &str) -> bool {
    (1..=3).contains(&word.len()) && word.bytes().all(|byte| b"APLRHF".contains(&byte))
}

/// An element's values as texts without padding; none if it has none.
pub(super) fn texts(element: &InMemElement) -> Vec<String> {
    let padding = |c: char| c == '\0' || c.is_whitespace();
    match element.value().to_multi_str() {
        Ok(values) => {
            let values = values
                .iter()
                .map(|value| value.trim_matches(padding).to_owned());
            values.collect()
        }
        Err(_) => Vec::new(),
    }
}
