//! The film of the self-test: a drawn patient with a curve, whose result is known.

use std::io::Cursor;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, from_reader};
use jiff::Zoned;
use plumbline_dimse::service::EXPLICIT;
use plumbline_shared::manifest::sha256;
use plumbline_shared::preprocess::FINGERPRINT;

use crate::quality::IntendedUse;
use crate::store::{StoredReading, draw_uid};

/// A phantom with a curve.
const PHANTOM: &[u8] = include_bytes!("../../../tests/films/phantom-6.dcm");

/// The Patient ID of all test films.
pub const PATIENT_ID: &str = "PLUMBLINE-SELF-TEST";

/// The age of the drawn patient, in years.
const AGE: u32 = 20;

/// A digest of what the result of a test film depends on: the bundle that read it, the film, and how films are
/// prepared.
pub(super) fn basis(reading: &StoredReading) -> String {
    sha256(
        [reading.bundle.as_bytes(), FINGERPRINT.as_bytes(), PHANTOM]
            .concat()
            .as_slice(),
    )
}

/// Makes a test film of this moment, with UIDs of its own, of a patient and a unit that are meant: a DICOM
/// file.
///
/// # Errors
/// If it cannot be written, in words.
pub(super) fn made_now(intended: &IntendedUse) -> Result<Vec<u8>, String> {
    let words = |error: &dyn std::error::Error| error.to_string();
    let mut object = from_reader(Cursor::new(PHANTOM))
        .map_err(|error| words(&error))?
        .into_inner();
    let now = Zoned::now();
    let (date, time) = (
        now.strftime("%Y%m%d").to_string(),
        now.strftime("%H%M%S").to_string(),
    );
    let [study, series, instance] = [(); 3].map(|()| draw_uid());
    let age = AGE.clamp(intended.youngest, intended.oldest.max(intended.youngest));
    let age = format!("{age:03}Y");
    let meant = |given: &'static str, meant: &[String]| {
        let fits = meant.is_empty() || meant.iter().any(|one| one == given);
        if fits {
            given.to_owned()
        } else {
            meant[0].clone()
        }
    };
    let modality = meant("DX", &intended.modalities);
    let part = meant("CHEST", &intended.body_parts);
    let texts: [(Tag, VR, &str); 18] = [
        (tags::PATIENT_AGE, VR::AS, &age),
        (tags::MODALITY, VR::CS, &modality),
        (tags::BODY_PART_EXAMINED, VR::CS, &part),
        (tags::PATIENT_NAME, VR::PN, "Self-Test^Plumbline"),
        (tags::PATIENT_ID, VR::LO, PATIENT_ID),
        // So that archives and people can tell it from patients (PS3.3, C.7.1.1).
        (tags::QUALITY_CONTROL_SUBJECT, VR::CS, "YES"),
        (tags::STUDY_DESCRIPTION, VR::LO, "Self-test, not a patient"),
        (tags::STUDY_DATE, VR::DA, &date),
        (tags::STUDY_TIME, VR::TM, &time),
        (tags::SERIES_DATE, VR::DA, &date),
        (tags::SERIES_TIME, VR::TM, &time),
        (tags::ACQUISITION_DATE, VR::DA, &date),
        (tags::ACQUISITION_TIME, VR::TM, &time),
        (tags::CONTENT_DATE, VR::DA, &date),
        (tags::CONTENT_TIME, VR::TM, &time),
        (tags::STUDY_INSTANCE_UID, VR::UI, &study),
        (tags::SERIES_INSTANCE_UID, VR::UI, &series),
        (tags::SOP_INSTANCE_UID, VR::UI, &instance),
    ];
    for (tag, vr, text) in texts {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
    }
    let meta = FileMetaTableBuilder::new().transfer_syntax(EXPLICIT);
    let object = object.with_meta(meta).map_err(|error| words(&error))?;
    let mut file = Vec::new();
    object.write_all(&mut file).map_err(|error| words(&error))?;
    Ok(file)
}
