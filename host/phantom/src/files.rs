//! Films as files: 16-bit PNG, or DICOM.

use dicom_core::{DataElement, PrimitiveValue, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, ImageError};
use sha2::{Digest, Sha256};

use crate::develop::Film;
use crate::layer::Size;
use crate::phantom::Phantom;
use plumbline_shared::clinical::Projection;

/// A 16-bit grey PNG.
pub fn png16(size: Size, pixels: &[u16]) -> Result<Vec<u8>, ImageError> {
    let bytes: Vec<u8> = pixels.iter().flat_map(|p| p.to_ne_bytes()).collect();
    png(size, &bytes, ExtendedColorType::L16, FilterType::Sub)
}

/// An 8-bit grey PNG.
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

/// Who and what a DICOM film is of.
pub struct Identity<'a> {
    pub patient: &'a str,
    pub seed: u64,
    pub index: u64,
}

impl Identity<'_> {
    /// A UID under the root for UUIDs (DICOM PS3.5 B.2), the same for the same film.
    fn uid(&self, role: &str) -> String {
        let text = format!("plumbline phantom {role} {} {}", self.seed, self.index);
        let digest = Sha256::digest(text.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        format!("2.25.{}", u128::from_be_bytes(bytes))
    }
}

/// A digital X-ray image (DICOM PS3.3 A.26), Explicit VR Little Endian, uncompressed.
pub fn dicom(
    identity: &Identity<'_>,
    phantom: &Phantom,
    film: &Film,
) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let sex = phantom.patient.sex.name();
    let (rows, columns) = (
        u16::try_from(film.size.height)?,
        u16::try_from(film.size.width)?,
    );
    let pitch = format!("{:.5}", phantom.pitch());
    let spacing = format!("{pitch}\\{pitch}");
    let (study, series, instance) = (
        identity.uid("study"),
        identity.uid("series"),
        identity.uid("instance"),
    );
    let [centre, width] = film.window.map(|value| value.to_string());
    let (photometric, sign, shape) = if film.inverted {
        ("MONOCHROME1", 1, "INVERSE")
    } else {
        ("MONOCHROME2", -1, "IDENTITY")
    };
    // What a lateral film shows runs from the patient's front to its back.
    let (projection, orientation) = match phantom.projection() {
        Projection::Lateral => ("LL", "P\\F"),
        frontal => (frontal.name(), "L\\F"),
    };
    let class = uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION;
    let number = (identity.index + 1).to_string();
    let age = format!("{:03}Y", phantom.patient.age as u32);
    let patient = identity.patient;
    let text: [(_, _, &str); 37] = [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
        (tags::IMAGE_TYPE, VR::CS, "DERIVED\\PRIMARY"),
        (tags::SOP_CLASS_UID, VR::UI, class),
        (tags::SOP_INSTANCE_UID, VR::UI, &instance),
        (tags::STUDY_DATE, VR::DA, "20260101"),
        (tags::STUDY_TIME, VR::TM, "120000"),
        (tags::ACCESSION_NUMBER, VR::SH, ""),
        (tags::MODALITY, VR::CS, "DX"),
        (tags::PRESENTATION_INTENT_TYPE, VR::CS, "FOR PRESENTATION"),
        (tags::MANUFACTURER, VR::LO, "Plumbline phantom"),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN, ""),
        (tags::PATIENT_NAME, VR::PN, patient),
        (tags::PATIENT_ID, VR::LO, patient),
        (tags::PATIENT_BIRTH_DATE, VR::DA, ""),
        (tags::PATIENT_SEX, VR::CS, sex),
        (tags::PATIENT_AGE, VR::AS, &age),
        (tags::BODY_PART_EXAMINED, VR::CS, "CHEST"),
        (tags::IMAGER_PIXEL_SPACING, VR::DS, &spacing),
        (tags::VIEW_POSITION, VR::CS, projection),
        (tags::DETECTOR_TYPE, VR::CS, "DIRECT"),
        (tags::STUDY_INSTANCE_UID, VR::UI, &study),
        (tags::SERIES_INSTANCE_UID, VR::UI, &series),
        (tags::STUDY_ID, VR::SH, &number),
        (tags::SERIES_NUMBER, VR::IS, "1"),
        (tags::INSTANCE_NUMBER, VR::IS, "1"),
        (tags::PATIENT_ORIENTATION, VR::CS, orientation),
        (tags::IMAGE_LATERALITY, VR::CS, "U"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, photometric),
        (tags::PIXEL_SPACING, VR::DS, &spacing),
        (tags::BURNED_IN_ANNOTATION, VR::CS, "NO"),
        (tags::PIXEL_INTENSITY_RELATIONSHIP, VR::CS, "LOG"),
        (tags::WINDOW_CENTER, VR::DS, &centre),
        (tags::WINDOW_WIDTH, VR::DS, &width),
        (tags::RESCALE_INTERCEPT, VR::DS, "0"),
        (tags::RESCALE_SLOPE, VR::DS, "1"),
        (tags::RESCALE_TYPE, VR::LO, "US"),
        (tags::PRESENTATION_LUT_SHAPE, VR::CS, shape),
    ];
    let mut object = InMemDicomObject::new_empty();
    for (tag, vr, value) in text {
        let value: PrimitiveValue = if value.contains('\\') {
            PrimitiveValue::Strs(value.split('\\').map(str::to_owned).collect())
        } else if value.is_empty() {
            PrimitiveValue::Empty
        } else {
            value.into()
        };
        object.put(DataElement::new(tag, vr, value));
    }
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, rows),
        (tags::COLUMNS, columns),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, film.bits),
        (tags::HIGH_BIT, film.bits - 1),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        object.put(DataElement::new(tag, VR::US, dicom_value!(U16, [value])));
    }
    object.put(DataElement::new(
        tags::PIXEL_INTENSITY_RELATIONSHIP_SIGN,
        VR::SS,
        dicom_value!(I16, [sign]),
    ));
    object.put(DataElement::new(
        tags::PIXEL_DATA,
        VR::OW,
        PrimitiveValue::U16(film.codes.as_slice().into()),
    ));
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .media_storage_sop_class_uid(class);
    let mut file = Vec::with_capacity(2 * film.codes.len() + 4096);
    object.with_meta(meta)?.write_all(&mut file)?;
    Ok(file)
}
