//! A film that was rewritten so that it names nobody: a new object, with other UIDs.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject, from_reader};
use plumbline_dimse::service::STORAGE;
use serde::{Deserialize, Serialize};

use super::key::Key;
use super::rules::{Rules, pseudonym, texts};

/// What is known of a de-identified film beside its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pseudonyms {
    /// Its SOP Class UID, which stays.
    pub class: String,
    /// Its SOP Instance UID.
    pub instance: String,
    /// Its Study Instance UID; if the film has none, one of its own.
    pub study: String,
    /// Its patient.
    pub patient: String,
    /// Its transfer syntax, which stays.
    pub syntax: String,
    /// True if Burned In Annotation (0028,0301) is NO. Else its pixels may show the patient's name.
    pub says_no_text: bool,
}

/// Rewrites the film in `bytes`, a DICOM file, and returns its pseudonyms and the new file.
///
/// # Errors
/// If it cannot be rewritten, in a sentence.
pub(super) fn rewrite(bytes: &[u8], key: &Key) -> Result<(Pseudonyms, Vec<u8>), String> {
    let unreadable = |error: &dyn std::error::Error| {
        format!("cannot be rewritten ({error}): its unit should export it again")
    };
    let film = from_reader(bytes).map_err(|error| unreadable(&error))?;
    let syntax = trimmed(film.meta().transfer_syntax()).to_owned();
    let object = film.into_inner();
    let first = |object: &InMemDicomObject, tag| {
        let texts = object.get(tag).map(texts).unwrap_or_default();
        texts.into_iter().next().unwrap_or_default()
    };
    let class = first(&object, tags::SOP_CLASS_UID);
    if !STORAGE.iter().any(|known| known.uid == class) {
        return Err(
            "is of another SOP class than CR, DX and secondary capture: there are no rules for it"
                .into(),
        );
    }
    require_no_overlay_in_pixels(&object)?;
    let says_no_text = first(&object, tags::BURNED_IN_ANNOTATION) == "NO";
    let instance = first(&object, tags::SOP_INSTANCE_UID);
    if instance.is_empty() {
        return Err("has no SOP Instance UID: its unit should export it again".into());
    }
    let study = match first(&object, tags::STUDY_INSTANCE_UID) {
        study if study.is_empty() => instance,
        study => study,
    };
    // A film without a patient's number is of nobody else.
    let patient = match &*first(&object, tags::PATIENT_ID) {
        "" => key.patient(&format!("\0{study}")),
        id => key.patient(id),
    };
    let rules = Rules {
        key,
        patient: &patient,
    };
    let mut object = rules.rewrite(object);
    // Also if they are of a kind that is not kept.
    if object.get(tags::PIXEL_DATA).is_none() {
        return Err("has no pixels, or is cut off before them: send it again".into());
    }
    let pseudonyms = Pseudonyms {
        class,
        instance: first(&object, tags::SOP_INSTANCE_UID),
        study: key.uid(&study),
        patient: patient.clone(),
        syntax,
        says_no_text,
    };
    put_profile(&mut object, &patient);
    let meta = FileMetaTableBuilder::new().transfer_syntax(&*pseudonyms.syntax);
    let film = object.with_meta(meta).map_err(|error| unreadable(&error))?;
    let mut file = Vec::new();
    film.write_all(&mut file)
        .map_err(|error| unreadable(&error))?;
    Ok((pseudonyms, file))
}

/// Refuses an overlay that lies in unused bits of the pixels (PS3.3, C.9.2, retired): it may be text, and no
/// attribute tells.
fn require_no_overlay_in_pixels(object: &InMemDicomObject) -> Result<(), String> {
    let number = |group, element| {
        let element = object.get(Tag(group, element))?;
        Some(element.to_int::<u32>().unwrap_or(u32::MAX))
    };
    // Of its own data it has one bit each (PS3.3, C.9.2.1.1), and begins at bit 0.
    let lies_in_pixels = (0x6000..=0x60ff).any(|group| {
        let has_data = object.get(Tag(group, 0x3000)).is_some();
        number(group, 0x0102).unwrap_or(0) != 0
            || number(group, 0x0100).unwrap_or(1) != 1
            || number(group, 0x0010).is_some() && !has_data
    });
    match lies_in_pixels {
        true => Err("has an overlay within its pixels, which cannot be taken out".into()),
        false => Ok(()),
    }
}

/// Says what was done (PS3.15, E.1.1; PS3.3, C.7.1.1 and C.12.1).
fn put_profile(object: &mut InMemDicomObject, patient: &str) {
    for tag in [tags::PATIENT_NAME, tags::PATIENT_ID] {
        object.put(pseudonym(tag, patient));
    }
    let profile = InMemDicomObject::from_element_iter([
        DataElement::new(tags::CODE_VALUE, VR::SH, "113100"),
        DataElement::new(tags::CODING_SCHEME_DESIGNATOR, VR::SH, "DCM"),
        DataElement::new(
            tags::CODE_MEANING,
            VR::LO,
            "Basic Application Confidentiality Profile",
        ),
    ]);
    object.put(DataElement::new(
        tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE,
        VR::SQ,
        DataSetSequence::from(vec![profile]),
    ));
    for (tag, text) in [
        // All that is left is in ASCII, whatever it was before.
        (tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192"),
        (tags::PATIENT_IDENTITY_REMOVED, "YES"),
        (tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED, "REMOVED"),
    ] {
        object.put(DataElement::new(tag, VR::CS, text));
    }
}

fn trimmed(uid: &str) -> &str {
    uid.trim_end_matches('\0')
}
