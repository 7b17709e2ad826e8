//! What all that is filed has in common: the patient and the study of the film, the station, and
//! the file around them.

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use jiff::fmt::temporal::Pieces;
use plumbline_dimse::is_uid;
use plumbline_shared::decode::Header;

use super::ReportError;
use super::content::Reference;
use super::element::{known, put_known, put_sequence, put_texts};
use super::uid::uid;
use crate::store::{Filing, Kind, Origin, Revision};

/// Who makes the station.
pub(super) const MANUFACTURER: &str = "Plumbline";

/// The station's model.
pub(super) const MODEL: &str = "Plumbline screening station";

/// The SOP class of reports: Comprehensive 3D SR.
pub const REPORT_CLASS: &str = uids::COMPREHENSIVE3_DSR_STORAGE;

/// The SOP class of captures: Secondary Capture Image.
pub const CAPTURE_CLASS: &str = uids::SECONDARY_CAPTURE_IMAGE_STORAGE;

/// The SOP class of pages: Encapsulated PDF.
pub const PAGE_CLASS: &str = uids::ENCAPSULATED_PDF_STORAGE;

/// The station, as reports name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Station {
    /// Its UID, which it keeps for ever.
    pub uid: String,
    /// Its AE title.
    pub name: String,
}

impl Station {
    /// The Series Instance UID of a study's objects of one kind.
    pub(super) fn series(&self, study: &str, kind: Kind) -> String {
        uid(&[&self.uid, study, "series", kind.name()])
    }

    /// The SOP Instance UID of what is filed of one of a film's results.
    pub(super) fn instance(
        &self,
        film: &Reference,
        hash: &str,
        revision: &Revision,
        kind: Kind,
    ) -> String {
        let bundle = revision.bundle.as_deref().unwrap_or_default();
        let parts = [
            &self.uid,
            &film.instance,
            hash,
            bundle,
            kind.name(),
            &revision.entry,
        ];
        uid(&parts)
    }

    /// The UID of something on a film that all reports of it tell of.
    pub(super) fn tracked(&self, hash: &str, what: &str) -> String {
        uid(&[&self.uid, hash, "tracking", what])
    }

    /// Its serial number: the end of its UID.
    pub(super) fn serial(&self) -> &str {
        let start = self.uid.len().saturating_sub(12);
        &self.uid[start..]
    }
}

/// An object that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its SOP Class UID.
    pub class: &'static str,
    /// Its SOP Instance UID.
    pub instance: String,
    /// Its file, in Explicit VR Little Endian.
    pub file: Vec<u8>,
}

/// What one kind of objects has for all of them.
pub(super) struct Form {
    pub kind: Kind,
    pub class: &'static str,
    pub modality: &'static str,
    /// High, so that the film's own series stay first.
    pub series_number: &'static str,
}

/// A film's place in the hospital's systems, where its results are filed.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub study: &'a str,
    pub series: &'a str,
    pub film: Reference,
}

impl<'a> Place<'a> {
    /// The place of a film with this header.
    ///
    /// # Errors
    /// [`ReportError::NoStudy`].
    pub fn of(header: &'a Header) -> Result<Self, ReportError> {
        let place = || {
            Some(Self {
                study: header.study_instance_uid.as_deref()?,
                series: header.series_instance_uid.as_deref()?,
                film: Reference {
                    class: header.sop_class_uid.clone()?,
                    instance: header.sop_instance_uid.clone()?,
                },
            })
        };
        let uids = |place: &Self| {
            let uids = [
                place.study,
                place.series,
                &place.film.class,
                &place.film.instance,
            ];
            uids.into_iter().all(is_uid)
        };
        place().filter(uids).ok_or(ReportError::NoStudy)
    }
}

/// The item that names an instance within its study and series (PS3.3, tables C.17-3 and 10-4).
pub(super) fn within(study: &str, series: &str, instance: &Reference) -> InMemDicomObject {
    let mut in_series = InMemDicomObject::new_empty();
    put_texts(
        &mut in_series,
        &[(tags::SERIES_INSTANCE_UID, VR::UI, series)],
    );
    let instances = tags::REFERENCED_SOP_SEQUENCE;
    put_sequence(&mut in_series, instances, [instance.item()]);
    let mut in_study = InMemDicomObject::new_empty();
    put_texts(&mut in_study, &[(tags::STUDY_INSTANCE_UID, VR::UI, study)]);
    put_sequence(&mut in_study, tags::REFERENCED_SERIES_SEQUENCE, [in_series]);
    in_study
}

/// A date and a time by the wall clock, as DICOM writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct WallTime {
    /// `YYYYMMDD`.
    date: String,
    /// `HHMMSS.FFFFFF`.
    time: String,
    /// The zone's offset from UTC, `+HHMM` or `-HHMM`.
    offset: String,
}

impl WallTime {
    /// Reads a time of the audit log (RFC 3339).
    fn of(wall: &str) -> Option<Self> {
        let pieces = Pieces::parse(wall).ok()?;
        let time = pieces.time()?;
        let minutes = pieces.to_numeric_offset()?.seconds() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        let minutes = minutes.abs();
        Some(Self {
            date: pieces.date().strftime("%Y%m%d").to_string(),
            time: time.strftime("%H%M%S%.6f").to_string(),
            offset: format!("{sign}{:02}{:02}", minutes / 60, minutes % 60),
        })
    }
}

/// An object that is being made.
pub(super) struct Draft {
    class: &'static str,
    instance: String,
    pub object: InMemDicomObject,
}

/// Begins an object with what every one has: patient, study, series, station and instance (PS3.3, C.7.1,
/// C.7.2, C.7.3, C.7.5 and C.12.1).
///
/// # Errors
/// [`ReportError::NoTime`].
pub(super) fn begin(
    station: &Station,
    filing: &Filing,
    place: &Place,
    form: &Form,
) -> Result<Draft, ReportError> {
    let header = &filing.film.header;
    let WallTime { date, time, offset } =
        WallTime::of(&filing.entered).ok_or_else(|| ReportError::NoTime(filing.entered.clone()))?;
    let instance = station.instance(&place.film, &filing.film.hash, &filing.revision, form.kind);
    let series = station.series(place.study, form.kind);
    let number = filing.revision.number.to_string();
    let version = env!("CARGO_PKG_VERSION");
    let texts = [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
        (tags::SOP_CLASS_UID, VR::UI, form.class),
        (tags::SOP_INSTANCE_UID, VR::UI, &instance),
        (tags::INSTANCE_CREATION_DATE, VR::DA, &date),
        (tags::INSTANCE_CREATION_TIME, VR::TM, &time),
        (tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, &offset),
        (tags::CONTENT_DATE, VR::DA, &date),
        (tags::CONTENT_TIME, VR::TM, &time),
        (tags::STUDY_INSTANCE_UID, VR::UI, place.study),
        (tags::SERIES_INSTANCE_UID, VR::UI, &series),
        (tags::SERIES_NUMBER, VR::IS, form.series_number),
        (tags::MODALITY, VR::CS, form.modality),
        (tags::MANUFACTURER, VR::LO, MANUFACTURER),
        (tags::MANUFACTURER_MODEL_NAME, VR::LO, MODEL),
        (tags::DEVICE_SERIAL_NUMBER, VR::LO, station.serial()),
        (tags::DEVICE_UID, VR::UI, &station.uid),
        (tags::SOFTWARE_VERSIONS, VR::LO, version),
        (tags::STATION_NAME, VR::SH, &station.name),
        (tags::INSTANCE_NUMBER, VR::IS, &number),
        // Required, be they known or not.
        (tags::PATIENT_NAME, VR::PN, known(&header.patient_name)),
        (tags::PATIENT_ID, VR::LO, known(&header.patient_id)),
        (
            tags::PATIENT_BIRTH_DATE,
            VR::DA,
            known(&header.patient_birth_date),
        ),
        (tags::PATIENT_SEX, VR::CS, known(&header.patient_sex)),
        (tags::STUDY_DATE, VR::DA, known(&header.study_date)),
        (tags::STUDY_TIME, VR::TM, known(&header.study_time)),
        (tags::STUDY_ID, VR::SH, known(&header.study_id)),
        (
            tags::ACCESSION_NUMBER,
            VR::SH,
            known(&header.accession_number),
        ),
        (
            tags::REFERRING_PHYSICIAN_NAME,
            VR::PN,
            known(&header.referring_physician_name),
        ),
    ];
    let mut object = InMemDicomObject::new_empty();
    put_texts(&mut object, &texts);
    let more = [
        (
            tags::ISSUER_OF_PATIENT_ID,
            VR::LO,
            &header.issuer_of_patient_id,
        ),
        (tags::PATIENT_AGE, VR::AS, &header.patient_age),
    ];
    put_known(&mut object, &more);
    if filing.film.origin == Origin::SelfTest {
        // As the film: a test, not a patient.
        put_texts(
            &mut object,
            &[(tags::QUALITY_CONTROL_SUBJECT, VR::CS, "YES")],
        );
    }
    Ok(Draft {
        class: form.class,
        instance,
        object,
    })
}

impl Draft {
    /// Writes the object's file.
    ///
    /// # Errors
    /// [`ReportError::Unwritten`].
    pub fn finish(self) -> Result<Made, ReportError> {
        let Self {
            class,
            instance,
            object,
        } = self;
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
            .media_storage_sop_class_uid(class);
        let unwritten = |error: &dyn std::error::Error| ReportError::Unwritten(error.to_string());
        let object = object.with_meta(meta).map_err(|error| unwritten(&error))?;
        let mut file = Vec::new();
        object
            .write_all(&mut file)
            .map_err(|error| unwritten(&error))?;
        Ok(Made {
            class,
            instance,
            file,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_zone() {
        let of = |wall| WallTime::of(wall).unwrap();
        let time = of("2026-11-26T23:05:09.012345-03:30");
        assert_eq!(
            (&*time.date, &*time.time, &*time.offset),
            ("20261126", "230509.012345", "-0330")
        );
        assert_eq!(of("2026-01-02T03:04:05.000000+00:00").offset, "+0000");
        assert_eq!(WallTime::of("yesterday"), None);
    }
}
