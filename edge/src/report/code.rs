//! The coded concepts of reports (PS3.16), each by value, scheme and meaning.

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::element::put_texts;
use crate::quality::DicomCode;

/// A coded concept (PS3.3, 8.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code {
    value: &'static str,
    scheme: &'static str,
    meaning: &'static str,
}

impl From<DicomCode> for Code {
    fn from(DicomCode { value, meaning }: DicomCode) -> Self {
        Self {
            value,
            scheme: "DCM",
            meaning,
        }
    }
}

impl Code {
    /// The item of a code sequence.
    pub fn item(self) -> InMemDicomObject {
        let mut item = InMemDicomObject::new_empty();
        let texts = [
            (tags::CODE_VALUE, VR::SH, self.value),
            (tags::CODING_SCHEME_DESIGNATOR, VR::SH, self.scheme),
            (tags::CODE_MEANING, VR::LO, self.meaning),
        ];
        put_texts(&mut item, &texts);
        item
    }
}

macro_rules! codes {
    ($($name:ident = $scheme:literal $value:literal $meaning:literal;)*) => {
        $(pub(super) const $name: Code = Code {
            value: $value,
            scheme: $scheme,
            meaning: $meaning,
        };)*
    };
}

codes! {
    ALGORITHM_FAMILY = "DCM" "111000" "Algorithm Family";
    ALGORITHM_MANUFACTURER = "DCM" "122405" "Algorithm Manufacturer";
    ALGORITHM_NAME = "DCM" "111001" "Algorithm Name";
    ALGORITHM_PARAMETERS = "DCM" "111002" "Algorithm Parameters";
    ALGORITHM_VERSION = "DCM" "111003" "Algorithm Version";
    COMMENT = "DCM" "121106" "Comment";
    DIAGNOSTIC_IMAGING_REPORT = "LN" "18748-4" "Diagnostic Imaging Report";
    DEVICE_OBSERVER_MANUFACTURER = "DCM" "121014" "Device Observer Manufacturer";
    DEVICE_OBSERVER_MODEL = "DCM" "121015" "Device Observer Model Name";
    DEVICE_OBSERVER_NAME = "DCM" "121013" "Device Observer Name";
    DEVICE_OBSERVER_UID = "DCM" "121012" "Device Observer UID";
    FINDING = "DCM" "121071" "Finding";
    FINDING_SITE = "SCT" "363698007" "Finding Site";
    IMAGE_LIBRARY = "DCM" "111028" "Image Library";
    IMAGE_LIBRARY_GROUP = "DCM" "126200" "Image Library Group";
    IMAGE_REGION = "DCM" "111030" "Image Region";
    IMAGING_MEASUREMENTS = "DCM" "126010" "Imaging Measurements";
    IMAGING_MEASUREMENT_REPORT = "DCM" "126000" "Imaging Measurement Report";
    LANGUAGE = "DCM" "121049" "Language of Content Item and Descendants";
    MEASUREMENT_GROUP = "DCM" "125007" "Measurement Group";
    MODALITY = "DCM" "121139" "Modality";
    OBSERVER_TYPE = "DCM" "121005" "Observer Type";
    PERSON_OBSERVER_NAME = "DCM" "121008" "Person Observer Name";
    PIXEL_COLUMNS = "DCM" "110911" "Pixel Data Columns";
    PIXEL_ROWS = "DCM" "110910" "Pixel Data Rows";
    PROBABILITY = "DCM" "122157" "Probability";
    PROCEDURE_REPORTED = "DCM" "121058" "Procedure reported";
    QUALITATIVE_EVALUATIONS = "UMLS" "C0034375" "Qualitative Evaluations";
    QUALITY_ASSESSMENT = "DCM" "111050" "Quality Assessment";
    QUALITY_FINDING = "DCM" "111052" "Quality Finding";
    TRACKING_IDENTIFIER = "DCM" "112039" "Tracking Identifier";
    TRACKING_UID = "DCM" "112040" "Tracking Unique Identifier";

    ABSENT = "SCT" "272519000" "Absent";
    ARTIFICIAL_INTELLIGENCE = "DCM" "123110" "Artificial Intelligence";
    COMPUTED_RADIOGRAPHY = "DCM" "CR" "Computed Radiography";
    DEVICE = "DCM" "121007" "Device";
    DIGITAL_RADIOGRAPHY = "DCM" "DX" "Digital Radiography";
    ENGLISH = "RFC5646" "en" "English";
    GRAD_CAM = "DCM" "130403" "Gradient-weighted class activation";
    NO_UNITS = "UCUM" "1" "no units";
    PERSON = "DCM" "121006" "Person";
    PIXELS = "UCUM" "{pixels}" "pixels";
    PRESENT = "SCT" "52101004" "Present";
    SCOLIOSIS = "SCT" "298382003" "Scoliosis deformity of spine";
    SOURCE_IMAGE = "DCM" "121322" "Source image for image processing operation";
    THORACIC_SPINE = "SCT" "122495006" "Thoracic spine";
    UNDETERMINED = "SCT" "373068000" "Undetermined";
    XRAY = "LN" "43468-8" "XR unspecified body region";

    // Context group 6044.
    USABLE = "DCM" "111237" "Usable - Meets the quality control standard";
    USABLE_WITH_CAUTION = "DCM" "111236" "Usable - Does not meet the quality control standard";
    UNUSABLE = "DCM" "111235" "Unusable - Quality renders image unusable";
}
