//! An object that is to be put on a stick, and its directory records with their keys (PS3.3, F.5).

use std::borrow::Cow;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{InMemDicomObject, from_reader};
use plumbline_dimse::is_uid;
use plumbline_shared::decode::Header;

use super::directory::{Directory, DirectoryError};
use super::names::component;
use crate::report::{fitted, known, put_known, put_texts};
use crate::store::Kind;

/// The character set of records.
const UTF_8: &str = "ISO_IR 192";

/// What records say of a study whose date, time or number nobody knows: they may not be empty there.
const NO_DATE: &str = "19000101";
const NO_TIME: &str = "000000";
const NO_ID: &str = "UNKNOWN";

/// The series or instance number of what has none.
const NO_NUMBER: &str = "0";

/// An object that is to be put on a stick.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its SOP Class UID.
    pub class: &'a str,
    /// Its SOP Instance UID.
    pub instance: &'a str,
    /// Its transfer syntax.
    pub syntax: &'a str,
    /// Its patient, study and series.
    pub header: &'a Header,
    /// Its file.
    pub file: &'a [u8],
}

/// Why an object cannot be in a file-set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// A UID is missing or is none.
    #[error("its {0} is none: it cannot be in a DICOMDIR; its unit should export it again")]
    Uid(&'static str),
    /// What was made here cannot be read.
    #[error("it cannot be read ({0})")]
    Unreadable(String),
    /// The DICOMDIR takes no record of it.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl Object<'_> {
    /// Its Study Instance UID.
    pub(super) fn study(&self) -> &str {
        known(&self.header.study_instance_uid)
    }

    /// # Errors
    /// If one of its UIDs is none.
    pub(super) fn require_uids(&self) -> Result<(), ObjectError> {
        let series = known(&self.header.series_instance_uid);
        for (name, uid) in [
            ("SOP Class UID", self.class),
            ("SOP Instance UID", self.instance),
            ("transfer syntax", self.syntax),
            ("Study Instance UID", self.study()),
            ("Series Instance UID", series),
        ] {
            if !is_uid(uid) {
                return Err(ObjectError::Uid(name));
            }
        }
        Ok(())
    }

    /// Enters it into a DICOMDIR under the File ID `file`, unless its instance is there.
    ///
    /// # Errors
    /// [`ObjectError`].
    pub(super) fn enter(
        &self,
        directory: &mut Directory,
        file: &[&str],
    ) -> Result<bool, ObjectError> {
        if directory.has_instance(self.instance) {
            return Ok(false);
        }
        let patient = self.patient();
        let patient = found_or_new(
            directory,
            None,
            ("PATIENT", &patient),
            &[
                tags::PATIENT_ID,
                tags::PATIENT_NAME,
                tags::ISSUER_OF_PATIENT_ID,
            ],
        )?;
        let study = self.study_record();
        let uid = [tags::STUDY_INSTANCE_UID];
        let study = found_or_new(directory, Some(patient), ("STUDY", &study), &uid)?;
        let series = self.series();
        let uid = [tags::SERIES_INSTANCE_UID];
        let series = found_or_new(directory, Some(study), ("SERIES", &series), &uid)?;
        directory.append(Some(series), self.record(file)?)?;
        Ok(true)
    }

    fn patient(&self) -> InMemDicomObject {
        let header = self.header;
        // Nobody else's, though nobody says whose.
        let unknown = format!("{NO_ID}_{}", component('T', self.study()));
        let id = or(VR::LO, &header.patient_id, &unknown);
        let name = known(&header.patient_name);
        let mut record = begin("PATIENT");
        put_texts(
            &mut record,
            &[
                (tags::PATIENT_NAME, VR::PN, name),
                (tags::PATIENT_ID, VR::LO, &id),
            ],
        );
        put_known(
            &mut record,
            &[
                (
                    tags::ISSUER_OF_PATIENT_ID,
                    VR::LO,
                    &header.issuer_of_patient_id,
                ),
                (tags::PATIENT_BIRTH_DATE, VR::DA, &header.patient_birth_date),
                (tags::PATIENT_SEX, VR::CS, &header.patient_sex),
            ],
        );
        record
    }

    fn study_record(&self) -> InMemDicomObject {
        let header = self.header;
        let mut record = begin("STUDY");
        put_texts(
            &mut record,
            &[
                (
                    tags::STUDY_DATE,
                    VR::DA,
                    &or(VR::DA, &header.study_date, NO_DATE),
                ),
                (
                    tags::STUDY_TIME,
                    VR::TM,
                    &or(VR::TM, &header.study_time, NO_TIME),
                ),
                (
                    tags::ACCESSION_NUMBER,
                    VR::SH,
                    known(&header.accession_number),
                ),
                (
                    tags::STUDY_DESCRIPTION,
                    VR::LO,
                    known(&header.study_description),
                ),
                (tags::STUDY_INSTANCE_UID, VR::UI, self.study()),
                (tags::STUDY_ID, VR::SH, &or(VR::SH, &header.study_id, NO_ID)),
            ],
        );
        record
    }

    fn series(&self) -> InMemDicomObject {
        let header = self.header;
        let mut record = begin("SERIES");
        put_texts(
            &mut record,
            &[
                (tags::MODALITY, VR::CS, &or(VR::CS, &header.modality, "OT")),
                (
                    tags::SERIES_INSTANCE_UID,
                    VR::UI,
                    known(&header.series_instance_uid),
                ),
                (tags::SERIES_NUMBER, VR::IS, number(&header.series_number)),
            ],
        );
        let institution = &header.institution_name;
        put_known(
            &mut record,
            &[(tags::INSTITUTION_NAME, VR::LO, institution)],
        );
        record
    }

    /// The record of the instance itself.
    fn record(&self, file: &[&str]) -> Result<InMemDicomObject, ObjectError> {
        let mut record = match self.kind {
            Kind::Original | Kind::Deidentified | Kind::Capture => self.image(),
            Kind::Report => self.with_keys("SR DOCUMENT", &REPORT_KEYS)?,
            Kind::Page => self.with_keys("ENCAP DOC", &PAGE_KEYS)?,
        };
        let id = PrimitiveValue::Strs(file.iter().map(ToString::to_string).collect());
        record.put(DataElement::new(tags::REFERENCED_FILE_ID, VR::CS, id));
        put_texts(
            &mut record,
            &[
                (tags::REFERENCED_SOP_CLASS_UID_IN_FILE, VR::UI, self.class),
                (
                    tags::REFERENCED_SOP_INSTANCE_UID_IN_FILE,
                    VR::UI,
                    self.instance,
                ),
                (
                    tags::REFERENCED_TRANSFER_SYNTAX_UID_IN_FILE,
                    VR::UI,
                    self.syntax,
                ),
                (
                    tags::INSTANCE_NUMBER,
                    VR::IS,
                    number(&self.header.instance_number),
                ),
            ],
        );
        Ok(record)
    }

    /// The record of an image, with the keys that the profile has for it (PS3.11, annex J).
    fn image(&self) -> InMemDicomObject {
        let header = self.header;
        let mut record = begin("IMAGE");
        for (tag, pixels) in [(tags::ROWS, header.rows), (tags::COLUMNS, header.columns)] {
            let pixels = PrimitiveValue::from(pixels.unwrap_or_default());
            record.put(DataElement::new(tag, VR::US, pixels));
        }
        for (tag, vr, text) in [
            (tags::IMAGE_TYPE, VR::CS, &header.image_type),
            (tags::PIXEL_SPACING, VR::DS, &header.pixel_spacing),
        ] {
            // Each of several values must be one of its VR.
            let values = known(text)
                .split('\\')
                .map(|value| fitted(vr, value.trim()).into_owned());
            if text.is_some() {
                let values = PrimitiveValue::Strs(values.collect());
                record.put(DataElement::new(tag, vr, values));
            }
        }
        record
    }

    /// A record with these elements of the object, which the station has made.
    fn with_keys(&self, kind: &str, keys: &[Tag]) -> Result<InMemDicomObject, ObjectError> {
        let unreadable = |error: &dyn std::error::Error| ObjectError::Unreadable(error.to_string());
        let object = from_reader(self.file).map_err(|error| unreadable(&error))?;
        let mut record = begin(kind);
        for key in keys {
            if let Some(element) = object.get(*key) {
                record.put(element.clone());
            }
        }
        // Of the content tree what modifies the title alone (PS3.3, table F.5-25).
        if let Some(items) = object.get(tags::CONTENT_SEQUENCE).and_then(|e| e.items())
            && self.kind == Kind::Report
        {
            let modifies = |item: &&InMemDicomObject| {
                let relation = item.get(tags::RELATIONSHIP_TYPE);
                relation.is_some_and(|e| e.to_str().is_ok_and(|text| text == "HAS CONCEPT MOD"))
            };
            let items: Vec<_> = items.iter().filter(modifies).cloned().collect();
            if !items.is_empty() {
                let sequence = DataSetSequence::from(items);
                record.put(DataElement::new(tags::CONTENT_SEQUENCE, VR::SQ, sequence));
            }
        }
        Ok(record)
    }
}

/// The keys of a report's record (PS3.3, F.5.25).
const REPORT_KEYS: [Tag; 5] = [
    tags::COMPLETION_FLAG,
    tags::VERIFICATION_FLAG,
    tags::CONTENT_DATE,
    tags::CONTENT_TIME,
    tags::CONCEPT_NAME_CODE_SEQUENCE,
];

/// The keys of a page's record (PS3.3, F.5.34).
const PAGE_KEYS: [Tag; 5] = [
    tags::CONTENT_DATE,
    tags::CONTENT_TIME,
    tags::DOCUMENT_TITLE,
    tags::CONCEPT_NAME_CODE_SEQUENCE,
    tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT,
];

/// A record of this type.
fn begin(kind: &str) -> InMemDicomObject {
    let mut record = InMemDicomObject::new_empty();
    put_texts(
        &mut record,
        &[
            (tags::DIRECTORY_RECORD_TYPE, VR::CS, kind),
            (tags::SPECIFIC_CHARACTER_SET, VR::CS, UTF_8),
        ],
    );
    record
}

/// The record below `parent` that has the same values of `keys` as `record`, or that one, appended.
fn found_or_new(
    directory: &mut Directory,
    parent: Option<usize>,
    (kind, record): (&str, &InMemDicomObject),
    keys: &[Tag],
) -> Result<usize, DirectoryError> {
    let value = |tag: &Tag| {
        let text = record.get(*tag).and_then(|element| element.to_str().ok());
        (*tag, text.unwrap_or_default())
    };
    let values: Vec<_> = keys.iter().map(value).collect();
    let values: Vec<_> = values
        .iter()
        .map(|(tag, text)| (*tag, text.trim()))
        .collect();
    match directory.find(parent, kind, &values) {
        Some(found) => Ok(found),
        None => directory.append(parent, record.clone()),
    }
}

/// The text, if it is one of this VR.
fn or<'a>(vr: VR, text: &'a Option<String>, other: &'a str) -> Cow<'a, str> {
    match fitted(vr, known(text)) {
        text if text.trim().is_empty() => other.into(),
        text => text,
    }
}

/// The number, if it is one.
fn number(text: &Option<String>) -> &str {
    let text = known(text);
    match text.parse::<i32>() {
        Ok(_) => text,
        Err(_) => NO_NUMBER,
    }
}
