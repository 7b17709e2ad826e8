mod backup;
mod database;
mod faults;
mod films;
mod orders;
mod outbox;
mod panel;
mod proof;
mod work;

use plumbline_shared::decode::Header;
use plumbline_shared::manifest::sha256;
use tempfile::TempDir;

use super::*;

pub(in crate::store) const LIMITS: Limits = Limits {
    film: 1 << 20,
    reserve: 0,
    low_water: 0,
};

pub(in crate::store) fn open(folder: &Path) -> Store {
    Store::open(folder, LIMITS, disk()).unwrap()
}

fn header(instance: &str) -> Header {
    let mut header = Header::default();
    header.sop_instance_uid = Some(instance.into());
    header.patient_name = Some("Mu\u{f1}oz^A".into());
    header
}

pub(in crate::store) fn keep(
    store: &Store,
    bytes: &[u8],
    instance: &str,
) -> Result<Kept, StoreError> {
    let mut incoming = store.begin()?;
    for piece in bytes.chunks(3) {
        incoming.write(piece)?;
    }
    let arrival = Arrival {
        origin: Origin::Dicom,
        sender: "UNIT at 127.0.0.1",
        transfer_syntax: Some("1.2.840.10008.1.2"),
        header: Some(&header(instance)),
    };
    store.keep(incoming, &arrival)
}

fn reading(probability: f64) -> StoredReading {
    StoredReading {
        model: "chexnet".into(),
        model_version: "0.2.0".into(),
        bundle: "ab".into(),
        threshold: 0.5,
        logit: 1.25,
        probability,
        positive: probability >= 0.5,
        cam: vec![vec![0.0, 0.5], vec![1.0, 0.25]],
        film_notes: vec!["inverted".into()],
        milliseconds: [1.0, 2.0, 3.5, 0.25],
    }
}

pub(in crate::store) fn read(store: &Store, film: i64, probability: f64) {
    let job = store.take().unwrap().unwrap();
    assert_eq!(job.film, film);
    let answer = Answer::Read {
        findings: Vec::new(),
        reading: reading(probability),
    };
    assert_eq!(store.answer(&job, &answer).unwrap(), Some(State::Read));
}
