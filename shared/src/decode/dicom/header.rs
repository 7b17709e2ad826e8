//! The patient, the examination and the view of a DICOM file.

use alloc::string::String;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use serde::{Deserialize, Serialize};

use super::characters::Characters;
use super::dataset::Dataset;

/// The patient, the examination and the view of a DICOM file: each element's text without padding,
/// `None` where it is missing or empty. Text is decoded by the file's Specific Character Set; what that
/// does not explain is `\x` and the byte's number. UIDs and codes are not checked, several values are
/// separated by a backslash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Header {
    /// Patient's Name (0010,0010), its components separated by `^`.
    pub patient_name: Option<String>,
    /// Patient ID (0010,0020).
    pub patient_id: Option<String>,
    /// Issuer of Patient ID (0010,0021).
    pub issuer_of_patient_id: Option<String>,
    /// Patient's Birth Date (0010,0030), `YYYYMMDD`.
    pub patient_birth_date: Option<String>,
    /// Patient's Sex (0010,0040): `F`, `M` or `O`.
    pub patient_sex: Option<String>,
    /// Patient's Age (0010,1010), such as `034Y` or `018M`.
    pub patient_age: Option<String>,
    /// Accession Number (0008,0050).
    pub accession_number: Option<String>,
    /// Study Instance UID (0020,000D).
    pub study_instance_uid: Option<String>,
    /// Series Instance UID (0020,000E).
    pub series_instance_uid: Option<String>,
    /// SOP Class UID (0008,0016).
    pub sop_class_uid: Option<String>,
    /// SOP Instance UID (0008,0018).
    pub sop_instance_uid: Option<String>,
    /// Study Date (0008,0020), `YYYYMMDD`.
    pub study_date: Option<String>,
    /// Study Time (0008,0030), `HHMMSS`.
    pub study_time: Option<String>,
    /// Study ID (0020,0010).
    pub study_id: Option<String>,
    /// Study Description (0008,1030).
    pub study_description: Option<String>,
    /// Series Number (0020,0011).
    pub series_number: Option<String>,
    /// Instance Number (0020,0013).
    pub instance_number: Option<String>,
    /// Image Type (0008,0008), such as `DERIVED\PRIMARY`.
    pub image_type: Option<String>,
    /// Pixel Spacing (0028,0030), in millimetres: rows, columns.
    pub pixel_spacing: Option<String>,
    /// Referring Physician's Name (0008,0090), its components separated by `^`.
    pub referring_physician_name: Option<String>,
    /// Institution Name (0008,0080).
    pub institution_name: Option<String>,
    /// Station Name (0008,1010): the X-ray unit's.
    pub station_name: Option<String>,
    /// Modality (0008,0060), such as `DX` or `CR`.
    pub modality: Option<String>,
    /// Body Part Examined (0018,0015), such as `CHEST`.
    pub body_part_examined: Option<String>,
    /// View Position (0018,5101), such as `PA`, `AP` or `LL`.
    pub view_position: Option<String>,
    /// Lossy Image Compression (0028,2110): `01` if the film was ever compressed so.
    pub lossy_image_compression: Option<String>,
    /// Burned In Annotation (0028,0301): `YES` or `NO`.
    pub burned_in_annotation: Option<String>,
    /// Rows (0028,0010).
    pub rows: Option<u16>,
    /// Columns (0028,0011).
    pub columns: Option<u16>,
}

impl Header {
    /// Reads the header of a data set.
    pub(super) fn of(dataset: &Dataset) -> Self {
        let sets = dataset.text(tags::SPECIFIC_CHARACTER_SET);
        let characters = Characters::of(&sets.unwrap_or_default());
        let text = |tag: Tag| characters.text(dataset.bytes(tag));
        // Of another length it is damaged, which those who need the pixels tell.
        let pixels = |tag: Tag| dataset.word(tag).ok().flatten();
        Self {
            patient_name: text(tags::PATIENT_NAME),
            patient_id: text(tags::PATIENT_ID),
            issuer_of_patient_id: text(tags::ISSUER_OF_PATIENT_ID),
            patient_birth_date: text(tags::PATIENT_BIRTH_DATE),
            patient_sex: text(tags::PATIENT_SEX),
            patient_age: text(tags::PATIENT_AGE),
            accession_number: text(tags::ACCESSION_NUMBER),
            study_instance_uid: text(tags::STUDY_INSTANCE_UID),
            series_instance_uid: text(tags::SERIES_INSTANCE_UID),
            sop_class_uid: text(tags::SOP_CLASS_UID),
            sop_instance_uid: text(tags::SOP_INSTANCE_UID),
            study_date: text(tags::STUDY_DATE),
            study_time: text(tags::STUDY_TIME),
            study_id: text(tags::STUDY_ID),
            study_description: text(tags::STUDY_DESCRIPTION),
            series_number: text(tags::SERIES_NUMBER),
            instance_number: text(tags::INSTANCE_NUMBER),
            image_type: text(tags::IMAGE_TYPE),
            pixel_spacing: text(tags::PIXEL_SPACING),
            referring_physician_name: text(tags::REFERRING_PHYSICIAN_NAME),
            institution_name: text(tags::INSTITUTION_NAME),
            station_name: text(tags::STATION_NAME),
            modality: text(tags::MODALITY),
            body_part_examined: text(tags::BODY_PART_EXAMINED),
            view_position: text(tags::VIEW_POSITION),
            lossy_image_compression: text(tags::LOSSY_IMAGE_COMPRESSION),
            burned_in_annotation: text(tags::BURNED_IN_ANNOTATION),
            rows: pixels(tags::ROWS),
            columns: pixels(tags::COLUMNS),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use super::super::header;
    use super::*;

    /// An element in explicit VR little endian with a short length.
    fn element(tag: Tag, vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(tag.group().to_le_bytes());
        bytes.extend(tag.element().to_le_bytes());
        bytes.extend(vr);
        bytes.extend((value.len() as u16).to_le_bytes());
        bytes.extend(value);
        bytes
    }

    fn file(elements: &[(Tag, &[u8; 2], &[u8])]) -> Vec<u8> {
        let parts = elements
            .iter()
            .map(|(tag, vr, value)| element(*tag, vr, value));
        parts.collect::<Vec<_>>().concat()
    }

    #[test]
    fn text_is_trimmed_and_in_the_files_character_set() {
        let of = |character_set: &[u8]| {
            header(&file(&[
                (tags::SPECIFIC_CHARACTER_SET, b"CS", character_set),
                (tags::SOP_INSTANCE_UID, b"UI", b"1.2.3\0"),
                (tags::MODALITY, b"CS", b"DX"),
                (tags::ACCESSION_NUMBER, b"SH", b"  "),
                (tags::PATIENT_NAME, b"PN", b"Mu\xf1oz^A "),
                (tags::PATIENT_ID, b"LO", b" 7\x1b8 "),
            ]))
            .unwrap()
        };
        let header = of(b"ISO_IR 100");
        assert_eq!(header.patient_name.as_deref(), Some("Mu\u{f1}oz^A"));
        assert_eq!(header.sop_instance_uid.as_deref(), Some("1.2.3"));
        assert_eq!(header.patient_id.as_deref(), Some("7\\x1B8"));
        assert_eq!(header.modality.as_deref(), Some("DX"));
        assert_eq!(header.accession_number, None);
        assert_eq!(header.view_position, None);
        let wrong = of(b"ISO_IR 192").patient_name;
        assert_eq!(wrong.as_deref(), Some("Mu\\xF1oz^A"));
    }

    #[test]
    fn what_is_no_dicom_file_is_told() {
        let message = |bytes: &[u8]| header(bytes).unwrap_err().to_string();
        assert!(message(b"\x89PNG\r\n\x1a\n").contains("not a DICOM file"));
        let mut cut = file(&[
            (tags::SOP_INSTANCE_UID, b"UI", b"1.23"),
            (tags::PATIENT_ID, b"LO", b"1234"),
        ]);
        cut.truncate(cut.len() - 2);
        assert!(message(&cut).contains("damaged"));
    }
}
