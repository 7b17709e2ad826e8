//! What a sheet tells: the film's entries with what proves them, and the present state as the station says it.

use anyhow::Result;
use plumbline_shared::outcome;
use serde::Serialize;

use super::told::{Told, told};
use crate::clock::Moment;
use crate::report::in_words;
use crate::store::{
    Chain, DeliveryState, Finding, Kind, Link, Listed, State, Store, StoreError, StoredReading,
};

/// The most deliveries that are told.
const MOST_DELIVERIES: usize = 10_000;

/// The sheet of one film. It names no patient.
#[derive(Serialize)]
pub(super) struct Sheet {
    /// When it was made (RFC 3339).
    pub made: String,
    station: Station,
    film: Film,
    result: Found,
    deliveries: Vec<Listed>,
    /// The part that can be verified.
    proof: Chain,
}

#[derive(Serialize)]
struct Station {
    name: String,
    uid: String,
    program: &'static str,
}

/// The film as it is now.
#[derive(Serialize)]
struct Film {
    film: i64,
    sha256: String,
    bytes: u64,
    file: String,
    whole: bool,
    received: String,
    sop_instance_uid: Option<String>,
    study_instance_uid: Option<String>,
    state: State,
}

/// The film's result as it is now.
#[derive(Serialize)]
struct Found {
    words: String,
    findings: Vec<Finding>,
    reading: Option<Reading>,
}

/// What a reading was made with, and its numbers.
#[derive(Serialize)]
struct Reading {
    model: String,
    model_version: String,
    bundle: String,
    probability: f64,
    threshold: f64,
    positive: bool,
}

impl From<StoredReading> for Reading {
    fn from(reading: StoredReading) -> Self {
        Self {
            model: reading.model,
            model_version: reading.model_version,
            bundle: reading.bundle,
            probability: reading.probability,
            threshold: reading.threshold,
            positive: reading.positive,
        }
    }
}

impl Sheet {
    /// The sheet of `film` at the station `name`, whose chain ends at the hash `head` or at the newest entry.
    pub fn of(store: &Store, name: &str, film: i64, head: Option<&str>) -> Result<Self> {
        let proof = store.chain(film, head)?;
        let stored = store.film(film)?;
        let (whole, file) = match (stored.removed, store.digest(&stored)) {
            (true, _) => (false, "has left to make room".to_owned()),
            (false, Ok(digest)) if digest == stored.hash => {
                (true, "has the bytes that were received".to_owned())
            }
            (false, Ok(digest)) => (false, format!("was changed: its SHA-256 is {digest} now")),
            (false, Err(error)) => (false, format!("cannot be read: {error}")),
        };
        let words = match store.result_of(film) {
            Ok(number) => in_words(&store.filing(film, number)?),
            Err(StoreError::State { .. }) => {
                let (held, reason) = (stored.held.as_deref(), stored.reason.as_deref());
                outcome::in_words(held, None, reason)
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            made: Moment::now().wall,
            station: Station {
                name: name.to_owned(),
                uid: store.station_uid()?,
                program: concat!("plumbline-edge ", env!("CARGO_PKG_VERSION")),
            },
            film: Film {
                film,
                sha256: stored.hash,
                bytes: stored.bytes,
                file,
                whole,
                received: stored.received,
                sop_instance_uid: stored.header.sop_instance_uid,
                study_instance_uid: stored.header.study_instance_uid,
                state: stored.state,
            },
            result: Found {
                words,
                findings: stored.findings,
                reading: stored.reading.map(Reading::from),
            },
            deliveries: deliveries(store, film)?,
            proof,
        })
    }

    /// The sheet in lines.
    pub fn told(&self) -> Vec<Told> {
        let field = |name: &str, text: &str| Told::Field(name.to_owned(), text.to_owned());
        let Self {
            station,
            film,
            result,
            proof,
            ..
        } = self;
        let known = |uid: &Option<String>| uid.clone().unwrap_or_else(|| "none".into());
        let mut lines = vec![
            Told::Heading(format!("Proof sheet of film {}", film.film)),
            field("made", &self.made),
            field("station", &station.name),
            Told::More(station.uid.clone()),
            Told::Heading("The film now".into()),
            field("SHA-256", &film.sha256),
            field("file", &format!("{} bytes; {}", film.bytes, film.file)),
            field("received", &film.received),
            field("instance", &known(&film.sop_instance_uid)),
            field("study", &known(&film.study_instance_uid)),
            field("state", film.state.name()),
            Told::Heading("Its result now".into()),
            field("in words", &result.words),
        ];
        if let Some(reading) = &result.reading {
            let Reading {
                model,
                model_version,
                bundle,
                probability,
                threshold,
                ..
            } = reading;
            lines.push(field("reader", &format!("{model} {model_version}")));
            lines.push(field("bundle", &format!("SHA-256 {bundle}")));
            let numbers = format!("{probability}, positive from {threshold}");
            lines.push(field("probability", &numbers));
        }
        lines.push(Told::Heading(
            "What happened to it, by the audit log".into(),
        ));
        let own = proof.entries.iter().filter_map(|entry| match entry {
            Link::Own(row) => Some(row),
            Link::Other(_) => None,
        });
        let rows: Vec<_> = own.collect();
        lines.extend(rows.iter().flat_map(|row| told(row)));
        lines.push(Told::Heading("Where it was sent, as it stands now".into()));
        if self.deliveries.is_empty() {
            lines.push(Told::More("nowhere".into()));
        }
        for delivery in self.deliveries.iter().rev() {
            lines.extend(sent(delivery));
        }
        let others = proof.entries.len() - rows.len();
        lines.extend([
            Told::Heading("What proves it".into()),
            field("begins", &format!("after the hash {}", proof.before)),
            field(
                "entries",
                &format!("{} of this film, {others} others", rows.len()),
            ),
            field("ends", &format!("with the hash {}", proof.head)),
            Told::More(
                "Whoever has recorded that hash, or one since the film came, can verify the sheet in JSON: \
                 plumbline-edge proof --verify SHEET.json --head HASH"
                    .into(),
            ),
        ]);
        lines
    }
}

/// The deliveries of a film, without what its destinations have said: that may be about its patient.
fn deliveries(store: &Store, film: i64) -> Result<Vec<Listed>, StoreError> {
    let mut deliveries = store.deliveries(Some(film), None, MOST_DELIVERIES)?;
    for delivery in &mut deliveries {
        delivery.words = None;
    }
    Ok(deliveries)
}

/// One delivery.
fn sent(delivery: &Listed) -> Vec<Told> {
    let what = match delivery.kind {
        Kind::Original => "the film".to_owned(),
        kind => format!("{} of result {}", kind.name(), delivery.result),
    };
    let kept = match (delivery.state, delivery.kept) {
        (DeliveryState::Delivered, Some(true)) => ", kept for good by its word",
        (DeliveryState::Delivered, Some(false)) => ", and has not said yet that it keeps it",
        _ => "",
    };
    let Listed {
        destination, state, ..
    } = delivery;
    let stands = format!("{what} to {destination}: {}{kept}", state.name());
    let mut lines = vec![Told::Field(
        format!("delivery {}", delivery.delivery),
        stands,
    )];
    if let Some(instance) = &delivery.instance {
        lines.push(Told::More(format!("instance {instance}")));
    }
    lines
}
