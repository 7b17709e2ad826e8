//! The page of a result as an Encapsulated PDF (PS3.3, A.45.1), for archives.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;

use super::ReportError;
use super::code;
use super::document::{self, Form, Made, PAGE_CLASS, Place, Station};
use super::element::{put_sequence, put_texts};
use crate::store::{Filing, Kind};

const FORM: Form = Form {
    kind: Kind::Page,
    class: PAGE_CLASS,
    modality: "DOC",
    series_number: "9003",
};

/// Makes the document of a result whose page is `pdf`, an even number of bytes.
///
/// # Errors
/// [`ReportError`].
pub fn encapsulated(station: &Station, filing: &Filing, pdf: Vec<u8>) -> Result<Made, ReportError> {
    let place = Place::of(&filing.film.header)?;
    let mut draft = document::begin(station, filing, &place, &FORM)?;
    let object = &mut draft.object;
    let texts = [
        (tags::CONVERSION_TYPE, VR::CS, "WSD"),
        (tags::ACQUISITION_DATE_TIME, VR::DT, ""),
        // The patient's name is on the page.
        (tags::BURNED_IN_ANNOTATION, VR::CS, "YES"),
        (tags::DOCUMENT_TITLE, VR::ST, "Screening for scoliosis"),
        (
            tags::SERIES_DESCRIPTION,
            VR::LO,
            "Screening for scoliosis: page for paper",
        ),
        (
            tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT,
            VR::LO,
            "application/pdf",
        ),
        (tags::VERIFICATION_FLAG, VR::CS, "UNVERIFIED"),
    ];
    put_texts(object, &texts);
    let title = code::DIAGNOSTIC_IMAGING_REPORT.item();
    put_sequence(object, tags::CONCEPT_NAME_CODE_SEQUENCE, [title]);
    let mut source = place.film.item();
    let purpose = tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE;
    put_sequence(&mut source, purpose, [code::SOURCE_IMAGE.item()]);
    put_sequence(object, tags::SOURCE_INSTANCE_SEQUENCE, [source]);
    let bytes = u32::try_from(pdf.len());
    let bytes = bytes.map_err(|error| ReportError::Unwritten(error.to_string()))?;
    let length = PrimitiveValue::from(bytes);
    object.put(DataElement::new(
        tags::ENCAPSULATED_DOCUMENT_LENGTH,
        VR::UL,
        length,
    ));
    let pdf = PrimitiveValue::from(pdf);
    object.put(DataElement::new(tags::ENCAPSULATED_DOCUMENT, VR::OB, pdf));
    draft.finish()
}
