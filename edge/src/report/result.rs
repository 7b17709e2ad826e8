//! The structured report of a result: Comprehensive 3D SR by TID 1500 (PS3.16), shaped after IHE's AI
//! Results.

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use plumbline_dimse::Planned;
use plumbline_shared::preprocess::letterbox;

use super::ReportError;
use super::code;
use super::content::{Item, Reference, Relation};
use super::document::{self, Form, MANUFACTURER, MODEL, Made, Place, REPORT_CLASS, Station};
use super::element::{known, put_sequence, put_texts};
use super::region::hottest;
use super::words::in_words;
use crate::quality;
use crate::store::{Came, Filing, Kind, StoredReading};

const FORM: Form = Form {
    kind: Kind::Report,
    class: REPORT_CLASS,
    modality: "SR",
    series_number: "9001",
};

/// Makes the report of a result.
///
/// # Errors
/// [`ReportError`].
pub fn report(station: &Station, filing: &Filing) -> Result<Made, ReportError> {
    let place = Place::of(&filing.film.header)?;
    let mut draft = document::begin(station, filing, &place, &FORM)?;
    let object = &mut draft.object;
    let texts = [
        (tags::COMPLETION_FLAG, VR::CS, "COMPLETE"),
        (tags::VERIFICATION_FLAG, VR::CS, "UNVERIFIED"),
        (tags::PRELIMINARY_FLAG, VR::CS, "PRELIMINARY"),
    ];
    put_texts(object, &texts);
    // Required, though nothing is known.
    put_sequence(
        object,
        tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE,
        [],
    );
    put_sequence(object, tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, []);
    let evidence = document::within(place.study, place.series, &place.film);
    put_sequence(
        object,
        tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
        [evidence],
    );
    if let Some(order) = &filing.film.order {
        let request = request(order, place.study);
        put_sequence(object, tags::REFERENCED_REQUEST_SEQUENCE, [request]);
    }
    if let Some(revision) = &filing.predecessor {
        let series = station.series(place.study, Kind::Report);
        let hash = &filing.film.hash;
        let predecessor = Reference {
            class: REPORT_CLASS.to_owned(),
            instance: station.instance(&place.film, hash, revision, Kind::Report),
        };
        let predecessor = document::within(place.study, &series, &predecessor);
        put_sequence(object, tags::PREDECESSOR_DOCUMENTS_SEQUENCE, [predecessor]);
    }
    let mut template = InMemDicomObject::new_empty();
    let texts = [
        (tags::MAPPING_RESOURCE, VR::CS, "DCMR"),
        (tags::TEMPLATE_IDENTIFIER, VR::CS, "1500"),
    ];
    put_texts(&mut template, &texts);
    put_sequence(object, tags::CONTENT_TEMPLATE_SEQUENCE, [template]);
    content_of(station, filing, &place).put(object);
    draft.finish()
}

/// The order that the report answers (PS3.3, table C.17-2), as the worklist told it.
fn request(order: &Planned, study: &str) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    let study = order.study_instance_uid.as_deref().unwrap_or(study);
    let texts = [
        (tags::STUDY_INSTANCE_UID, VR::UI, study),
        (
            tags::ACCESSION_NUMBER,
            VR::SH,
            known(&order.accession_number),
        ),
        (
            tags::PLACER_ORDER_NUMBER_IMAGING_SERVICE_REQUEST,
            VR::LO,
            known(&order.placer_order_number),
        ),
        (
            tags::FILLER_ORDER_NUMBER_IMAGING_SERVICE_REQUEST,
            VR::LO,
            known(&order.filler_order_number),
        ),
        (
            tags::REQUESTED_PROCEDURE_ID,
            VR::SH,
            known(&order.requested_procedure_id),
        ),
        (
            tags::REQUESTED_PROCEDURE_DESCRIPTION,
            VR::LO,
            known(&order.requested_procedure),
        ),
    ];
    put_texts(&mut item, &texts);
    put_sequence(&mut item, tags::REFERENCED_STUDY_SEQUENCE, []);
    put_sequence(&mut item, tags::REQUESTED_PROCEDURE_CODE_SEQUENCE, []);
    item
}

/// The content tree.
fn content_of(station: &Station, filing: &Filing, place: &Place) -> Item {
    let mut below = vec![Item::code(
        Relation::HasConceptModifier,
        code::LANGUAGE,
        code::ENGLISH,
    )];
    below.extend(observers(station, filing));
    below.push(Item::code(
        Relation::HasConceptModifier,
        code::PROCEDURE_REPORTED,
        code::XRAY,
    ));
    let library = Item::container(code::IMAGE_LIBRARY_GROUP, vec![film(filing, place)]);
    below.push(Item::container(code::IMAGE_LIBRARY, vec![library]));
    if let Some(reading) = filing.reading() {
        let group = measured(station, filing, place, reading);
        below.push(Item::container(code::IMAGING_MEASUREMENTS, vec![group]));
    }
    below.push(Item::container(
        code::QUALITATIVE_EVALUATIONS,
        evaluations(filing),
    ));
    Item::root(code::IMAGING_MEASUREMENT_REPORT, below)
}

/// Who observed: the station, and the person who looked at its result.
fn observers(station: &Station, filing: &Filing) -> Vec<Item> {
    let context = Relation::HasObservationContext;
    let text = |concept, text: &str| Item::text(context, concept, text);
    let mut items = vec![
        Item::code(context, code::OBSERVER_TYPE, code::DEVICE),
        Item::uid(context, code::DEVICE_OBSERVER_UID, &*station.uid),
        text(code::DEVICE_OBSERVER_NAME, &station.name),
        text(code::DEVICE_OBSERVER_MANUFACTURER, MANUFACTURER),
        text(code::DEVICE_OBSERVER_MODEL, MODEL),
    ];
    if let Some(person) = &filing.acknowledged_by {
        items.push(Item::code(context, code::OBSERVER_TYPE, code::PERSON));
        items.push(Item::person(context, code::PERSON_OBSERVER_NAME, person));
    }
    items
}

/// The film in the image library (TID 1602).
fn film(filing: &Filing, place: &Place) -> Item {
    let header = &filing.film.header;
    let context = Relation::HasAcquisitionContext;
    let modality = match header.modality.as_deref() {
        Some("CR") => Some(code::COMPUTED_RADIOGRAPHY),
        Some("DX") => Some(code::DIGITAL_RADIOGRAPHY),
        _ => None,
    };
    let pixels = |concept, pixels: Option<u16>| {
        let pixels = pixels?.to_string();
        Some(Item::number(context, concept, pixels, code::PIXELS))
    };
    let known = [
        modality.map(|modality| Item::code(context, code::MODALITY, modality)),
        pixels(code::PIXEL_ROWS, header.rows),
        pixels(code::PIXEL_COLUMNS, header.columns),
    ];
    Item::image(Relation::Contains, &place.film).with(known.into_iter().flatten())
}

/// The algorithm (TID 4019).
fn algorithm(reading: &StoredReading) -> Vec<Item> {
    let modifier = Relation::HasConceptModifier;
    let text = |concept, text: &str| Item::text(modifier, concept, text);
    let parameter = |text: String| Item::text(modifier, code::ALGORITHM_PARAMETERS, text);
    vec![
        Item::code(
            modifier,
            code::ALGORITHM_FAMILY,
            code::ARTIFICIAL_INTELLIGENCE,
        ),
        text(code::ALGORITHM_NAME, &reading.model),
        text(code::ALGORITHM_MANUFACTURER, MANUFACTURER),
        text(code::ALGORITHM_VERSION, &reading.model_version),
        parameter(format!(
            "operating point: positive from probability {}",
            reading.threshold
        )),
        parameter(format!("bundle: SHA-256 {}", reading.bundle)),
    ]
}

/// The probability, and where the network looked most: TID 1410, or 1501 where it looked nowhere.
fn measured(station: &Station, filing: &Filing, place: &Place, reading: &StoredReading) -> Item {
    let tracked = station.tracked(&filing.film.hash, "scoliosis");
    let context = Relation::HasObservationContext;
    let probability = format!("{:.4}", reading.probability);
    let image = Item::image(Relation::InferredFrom, &place.film);
    let tracking = vec![
        Item::text(context, code::TRACKING_IDENTIFIER, "scoliosis"),
        Item::uid(context, code::TRACKING_UID, tracked),
    ];
    Item::container(code::MEASUREMENT_GROUP, tracking)
        .with([
            Item::code(Relation::Contains, code::FINDING, code::SCOLIOSIS),
            Item::code(
                Relation::HasConceptModifier,
                code::FINDING_SITE,
                code::THORACIC_SPINE,
            ),
        ])
        .with(algorithm(reading))
        .with(region(filing, place, reading))
        .with([Item::number(
            Relation::Contains,
            code::PROBABILITY,
            probability,
            code::NO_UNITS,
        )
        .with([image])])
}

/// Where the network looked most.
fn region(filing: &Filing, place: &Place, reading: &StoredReading) -> Option<Item> {
    let header = &filing.film.header;
    let (rows, columns) = (header.rows?.into(), header.columns?.into());
    let line = hottest(&reading.cam, letterbox(columns, rows), [columns, rows])?;
    Some(Item::polyline(code::IMAGE_REGION, line, &place.film))
}

/// The result and the film's quality, in codes and in words (TID 1500, row 12).
fn evaluations(filing: &Filing) -> Vec<Item> {
    let coded = |concept, code| Item::code(Relation::Contains, concept, code);
    let findings = &filing.film.findings;
    let mut items = Vec::new();
    match &filing.came {
        Came::Read(reading) => {
            let present = match reading.positive {
                true => code::PRESENT,
                false => code::ABSENT,
            };
            items.push(coded(code::SCOLIOSIS, present));
            let quality = match findings.is_empty() {
                true => code::USABLE,
                false => code::USABLE_WITH_CAUTION,
            };
            items.push(coded(code::QUALITY_ASSESSMENT, quality));
        }
        Came::Refused => items.push(coded(code::QUALITY_ASSESSMENT, code::UNUSABLE)),
        Came::Failed => items.push(coded(code::SCOLIOSIS, code::UNDETERMINED)),
    }
    let mut reasons = Vec::new();
    for finding in findings {
        // A file that no rule of the gate's refuses has a code of its own.
        let rule = quality::Code::named(&finding.code);
        let reason = rule
            .map_or(quality::OTHER_FAILURE, quality::Code::dicom)
            .into();
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    items.extend(
        reasons
            .into_iter()
            .map(|reason| coded(code::QUALITY_FINDING, reason)),
    );
    items.push(Item::text(
        Relation::Contains,
        code::COMMENT,
        in_words(filing),
    ));
    items
}
