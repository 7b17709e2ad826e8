//! The capture of a result: its picture with the heat map, as a Secondary Capture image in colour.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use image::RgbImage;

use super::ReportError;
use super::code;
use super::document::{self, CAPTURE_CLASS, Form, Made, Place, Station};
use super::element::{put_sequence, put_texts};
use crate::store::{Filing, Kind};

const FORM: Form = Form {
    kind: Kind::Capture,
    class: CAPTURE_CLASS,
    modality: "OT",
    series_number: "9002",
};

/// Makes the capture of a result whose picture is `picture`. Nobody's name may be on the picture.
///
/// # Errors
/// [`ReportError`]; also for a picture of more than 65,535 rows or columns.
pub fn capture(station: &Station, filing: &Filing, picture: RgbImage) -> Result<Made, ReportError> {
    let place = Place::of(&filing.film.header)?;
    let mut draft = document::begin(station, filing, &place, &FORM)?;
    let object = &mut draft.object;
    // What was lost of the film is lost of its picture, and what is written on it is on that.
    let header = &filing.film.header;
    let lossy = match header.lossy_image_compression.as_deref() {
        Some("01") => "01",
        _ => "00",
    };
    if let Some(burned_in @ ("YES" | "NO")) = header.burned_in_annotation.as_deref() {
        put_texts(object, &[(tags::BURNED_IN_ANNOTATION, VR::CS, burned_in)]);
    }
    let texts = [
        (tags::CONVERSION_TYPE, VR::CS, "WSD"),
        (tags::PATIENT_ORIENTATION, VR::CS, ""),
        (tags::IMAGE_LATERALITY, VR::CS, "U"),
        (tags::LOSSY_IMAGE_COMPRESSION, VR::CS, lossy),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB"),
        (
            tags::SERIES_DESCRIPTION,
            VR::LO,
            "Screening for scoliosis: where the network looked",
        ),
        (
            tags::DERIVATION_DESCRIPTION,
            VR::ST,
            "Film with Grad-CAM heat map and the result",
        ),
        (
            tags::IMAGE_COMMENTS,
            VR::LT,
            "Screening aid, not a diagnosis",
        ),
    ];
    put_texts(object, &texts);
    let image_type = PrimitiveValue::Strs(["DERIVED", "SECONDARY"].map(str::to_owned).into());
    object.put(DataElement::new(tags::IMAGE_TYPE, VR::CS, image_type));
    let mut source = place.film.item();
    let purpose = tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE;
    put_sequence(&mut source, purpose, [code::SOURCE_IMAGE.item()]);
    put_sequence(object, tags::SOURCE_IMAGE_SEQUENCE, [source]);
    put_sequence(
        object,
        tags::DERIVATION_CODE_SEQUENCE,
        [code::GRAD_CAM.item()],
    );
    let side = |pixels: u32| {
        u16::try_from(pixels).map_err(|error| ReportError::Unwritten(error.to_string()))
    };
    let (rows, columns) = (side(picture.height())?, side(picture.width())?);
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 3),
        (tags::PLANAR_CONFIGURATION, 0),
        (tags::ROWS, rows),
        (tags::COLUMNS, columns),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    let mut pixels = picture.into_raw();
    if !pixels.len().is_multiple_of(2) {
        pixels.push(0);
    }
    object.put(DataElement::new(
        tags::PIXEL_DATA,
        VR::OB,
        PrimitiveValue::from(pixels),
    ));
    draft.finish()
}
