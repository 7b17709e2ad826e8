//! Films as files: 16-bit PNG, or DICOM.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, ImageError};
use sha2::{Digest, Sha256};

use crate::develop::Film;
use crate::layer::Size;
use crate::phantom::Phantom;
use plumbline_shared::clinical::Projection;

/// Returns a 16-bit grey PNG of `pixels`, row-major.
///
/// # Errors
/// The encoder's, when there are not as many pixels as `size` says.
pub fn png16(size: Size, pixels: &[u16]) -> Result<Vec<u8>, ImageError> {
    let bytes: Vec<u8> = pixels.iter().flat_map(|p| p.to_ne_bytes()).collect();
    png(size, &bytes, ExtendedColorType::L16, FilterType::Sub)
}

/// Returns an 8-bit grey PNG of `pixels`, row-major.
///
/// # Errors
/// The encoder's, when there are not as many pixels as `size` says.
pub fn png8(size: Size, pixels: &[u8]) -> Result<Vec<u8>, ImageError> {
    png(size, pixels, ExtendedColorType::L8, FilterType::Up)
}

fn png(
    size: Size,
    bytes: &[u8],
    colour: ExtendedColorType,
    filter: FilterType,
) -> Result<Vec<u8>, ImageError> {
    let mut file = Vec::with_capacity(bytes.len() + 1024);
    PngEncoder::new_with_quality(&mut file, CompressionType::Fast, filter).write_image(
        bytes,
        size.width as u32,
        size.height as u32,
        colour,
    )?;
    Ok(file)
}

/// The patient's identifier and the numbers that a film's UIDs are made of.
pub struct Identity<'a> {
    /// Patient ID, which is also the patient's given name; all have the family name Phantom.
    pub patient: &'a str,
    /// Seed of the film's cohort.
    pub seed: u64,
    /// Number of the film in its cohort, from 0.
    pub index: u64,
}

impl Identity<'_> {
    /// Returns a UID under the root for UUIDs (DICOM PS3.5 B.2), the same for the same film.
    fn uid(&self, role: &str) -> String {
        let text = format!("plumbline phantom {role} {} {}", self.seed, self.index);
        let digest = Sha256::digest(text.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        format!("2.25.{}", u128::from_be_bytes(bytes))
    }
}

/// The SOP class of the films.
const CLASS: &str = uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION;

/// Returns a digital X-ray image (DICOM PS3.3 A.26), Explicit VR Little Endian, uncompressed.
///
/// # Errors
/// If the film has more than 65,535 rows or columns, or the encoder's.
pub fn dicom(
    identity: &Identity<'_>,
    phantom: &Phantom,
    film: &Film,
) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let mut object = InMemDicomObject::new_empty();
    put_instance(&mut object, identity);
    put_patient(&mut object, identity, phantom);
    put_acquisition(&mut object, phantom);
    put_presentation(&mut object, film);
    put_pixels(&mut object, film)?;
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .media_storage_sop_class_uid(CLASS);
    let mut file = Vec::with_capacity(2 * film.stored.len() + 4096);
    object.with_meta(meta)?.write_all(&mut file)?;
    Ok(file)
}

/// Puts elements of text into an object; backslashes part their values.
fn put_texts(object: &mut InMemDicomObject, texts: &[(Tag, VR, &str)]) {
    for &(tag, vr, value) in texts {
        let value: PrimitiveValue = if value.contains('\\') {
            PrimitiveValue::Strs(value.split('\\').map(str::to_owned).collect())
        } else if value.is_empty() {
            PrimitiveValue::Empty
        } else {
            value.into()
        };
        object.put(DataElement::new(tag, vr, value));
    }
}

/// Puts the study, the series and the instance.
fn put_instance(object: &mut InMemDicomObject, identity: &Identity<'_>) {
    let [study, series, instance] = ["study", "series", "instance"].map(|role| identity.uid(role));
    let number = (identity.index + 1).to_string();
    let texts = [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
        (tags::IMAGE_TYPE, VR::CS, "DERIVED\\PRIMARY"),
        (tags::SOP_CLASS_UID, VR::UI, CLASS),
        (tags::SOP_INSTANCE_UID, VR::UI, &instance),
        (tags::STUDY_DATE, VR::DA, "20260101"),
        (tags::STUDY_TIME, VR::TM, "120000"),
        (tags::ACCESSION_NUMBER, VR::SH, ""),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN, ""),
        (tags::STUDY_INSTANCE_UID, VR::UI, &study),
        (tags::SERIES_INSTANCE_UID, VR::UI, &series),
        (tags::STUDY_ID, VR::SH, &number),
        (tags::SERIES_NUMBER, VR::IS, "1"),
        (tags::INSTANCE_NUMBER, VR::IS, "1"),
    ];
    put_texts(object, &texts);
}

/// Puts the patient.
fn put_patient(object: &mut InMemDicomObject, identity: &Identity<'_>, phantom: &Phantom) {
    let age = format!("{:03}Y", phantom.patient.age as u32);
    let name = format!("Phantom^{}", identity.patient);
    let texts = [
        (tags::PATIENT_NAME, VR::PN, &*name),
        (tags::PATIENT_ID, VR::LO, identity.patient),
        (tags::PATIENT_BIRTH_DATE, VR::DA, ""),
        (tags::PATIENT_SEX, VR::CS, phantom.patient.sex.name()),
        (tags::PATIENT_AGE, VR::AS, &age),
    ];
    put_texts(object, &texts);
}

/// Puts the detector, the projection and the pixels' spacing.
fn put_acquisition(object: &mut InMemDicomObject, phantom: &Phantom) {
    let pitch = format!("{:.5}", phantom.pitch());
    let spacing = format!("{pitch}\\{pitch}");
    // A lateral film runs from the patient's front to the back.
    let (projection, orientation, view) = match phantom.projection() {
        Projection::Lateral => ("LL", "P\\F", ("399173006", "left lateral")),
        Projection::Ap => ("AP", "L\\F", ("399348003", "antero-posterior")),
        Projection::Pa | Projection::Frontal => ("PA", "L\\F", ("272479007", "postero-anterior")),
    };
    let texts = [
        (tags::MODALITY, VR::CS, "DX"),
        (tags::PRESENTATION_INTENT_TYPE, VR::CS, "FOR PRESENTATION"),
        (tags::MANUFACTURER, VR::LO, "Plumbline phantom"),
        (tags::BODY_PART_EXAMINED, VR::CS, "CHEST"),
        (tags::IMAGER_PIXEL_SPACING, VR::DS, &spacing),
        (tags::VIEW_POSITION, VR::CS, projection),
        (tags::DETECTOR_TYPE, VR::CS, "DIRECT"),
        (tags::POSITIONER_TYPE, VR::CS, ""),
        (tags::PATIENT_ORIENTATION, VR::CS, orientation),
        (tags::IMAGE_LATERALITY, VR::CS, "U"),
        (tags::PIXEL_SPACING, VR::DS, &spacing),
        (tags::BURNED_IN_ANNOTATION, VR::CS, "NO"),
        (tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00"),
    ];
    put_texts(object, &texts);
    // Codes of PS3.16's context groups 4031 and 4010.
    let region = [coded("816094009", "Chest")];
    put_sequence(object, tags::ANATOMIC_REGION_SEQUENCE, region);
    put_sequence(object, tags::VIEW_CODE_SEQUENCE, [coded(view.0, view.1)]);
    put_sequence(object, tags::ACQUISITION_CONTEXT_SEQUENCE, []);
}

/// A code of SNOMED CT as the item of a sequence.
fn coded(code: &str, meaning: &str) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    let texts = [
        (tags::CODE_VALUE, VR::SH, code),
        (tags::CODING_SCHEME_DESIGNATOR, VR::SH, "SCT"),
        (tags::CODE_MEANING, VR::LO, meaning),
    ];
    put_texts(&mut item, &texts);
    item
}

fn put_sequence<const N: usize>(
    object: &mut InMemDicomObject,
    tag: Tag,
    items: [InMemDicomObject; N],
) {
    let items = DataSetSequence::from(items.to_vec());
    object.put(DataElement::new(tag, VR::SQ, items));
}

/// Puts the way from stored values to the grey that is shown.
fn put_presentation(object: &mut InMemDicomObject, film: &Film) {
    let [centre, width] = film.window.map(|value| value.to_string());
    let (photometric, sign, shape) = if film.inverted {
        ("MONOCHROME1", 1, "INVERSE")
    } else {
        ("MONOCHROME2", -1, "IDENTITY")
    };
    let texts = [
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, photometric),
        (tags::PIXEL_INTENSITY_RELATIONSHIP, VR::CS, "LOG"),
        (tags::WINDOW_CENTER, VR::DS, &centre),
        (tags::WINDOW_WIDTH, VR::DS, &width),
        (tags::RESCALE_INTERCEPT, VR::DS, "0"),
        (tags::RESCALE_SLOPE, VR::DS, "1"),
        (tags::RESCALE_TYPE, VR::LO, "US"),
        (tags::PRESENTATION_LUT_SHAPE, VR::CS, shape),
    ];
    put_texts(object, &texts);
    object.put(DataElement::new(
        tags::PIXEL_INTENSITY_RELATIONSHIP_SIGN,
        VR::SS,
        dicom_value!(I16, [sign]),
    ));
}

/// Puts the stored values and their layout.
fn put_pixels(object: &mut InMemDicomObject, film: &Film) -> Result<(), std::num::TryFromIntError> {
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, u16::try_from(film.size.height)?),
        (tags::COLUMNS, u16::try_from(film.size.width)?),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, film.bits),
        (tags::HIGH_BIT, film.bits - 1),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        object.put(DataElement::new(tag, VR::US, dicom_value!(U16, [value])));
    }
    object.put(DataElement::new(
        tags::PIXEL_DATA,
        VR::OW,
        PrimitiveValue::U16(film.stored.as_slice().into()),
    ));
    Ok(())
}
