//! What is counted and measured on the station, in Prometheus' text format (OpenMetrics). Nothing
//! here names a patient, a film or a sender.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::clock::ClockWatch;
use crate::store::{Kept, Origin, State, Store, StoreError};
use plumbline_dimse::Status;
use plumbline_wire::panel::Occurrence;

/// Upper bounds of the steps' times in seconds.
const SECONDS: [f64; 10] = [0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 30.0];

/// The station's counts and measures.
pub struct Metrics {
    registry: Registry,
    films: Family<Film, Counter>,
    outcomes: Family<Outcome, Counter>,
    responses: Family<Response, Counter>,
    steps: Family<Step, Histogram, fn() -> Histogram>,
    open: Gauge,
    associations: Family<Association, Counter>,
    hosts: Gauge,
    states: Family<InState, Gauge>,
    deliveries: Family<OfDestination, Gauge>,
    free: Gauge,
    audit: Gauge,
    clock_wrong: Gauge,
    readers: Gauge,
    unreadable_files: Gauge<u64, AtomicU64>,
    panel: Gauge,
    panel_events: Family<PanelEvent, Counter>,
    film_missing: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Film {
    origin: &'static str,
    kept: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Response {
    status: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Step {
    step: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Association {
    end: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfDestination {
    destination: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PanelEvent {
    event: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("plumbline");
        let histogram: fn() -> Histogram = || Histogram::new(SECONDS);
        let mut metrics = Self {
            registry: Registry::default(),
            films: Family::default(),
            outcomes: Family::default(),
            responses: Family::default(),
            steps: Family::new_with_constructor(histogram),
            open: Gauge::default(),
            associations: Family::default(),
            hosts: Gauge::default(),
            states: Family::default(),
            deliveries: Family::default(),
            free: Gauge::default(),
            audit: Gauge::default(),
            clock_wrong: Gauge::default(),
            readers: Gauge::default(),
            unreadable_files: Gauge::default(),
            panel: Gauge::default(),
            panel_events: Family::default(),
            film_missing: Gauge::default(),
        };
        registry.register(
            "films_received",
            "Films that arrived",
            metrics.films.clone(),
        );
        registry.register(
            "films_answered",
            "Answers of the readers",
            metrics.outcomes.clone(),
        );
        registry.register(
            "dimse_responses",
            "Responses to DICOM requests by status",
            metrics.responses.clone(),
        );
        registry.register_with_unit(
            "step",
            "Time of each step of reading a film",
            Unit::Seconds,
            metrics.steps.clone(),
        );
        registry.register(
            "associations_open",
            "Open associations",
            metrics.open.clone(),
        );
        registry.register(
            "associations_ended",
            "Associations by how they ended",
            metrics.associations.clone(),
        );
        registry.register(
            "hosts_connected",
            "Hosts that are connected",
            metrics.hosts.clone(),
        );
        registry.register("films", "Films in each state", metrics.states.clone());
        registry.register(
            "deliveries",
            "What was to be sent to each destination, by where it stands",
            metrics.deliveries.clone(),
        );
        registry.register_with_unit("disk_free", "Free disk", Unit::Bytes, metrics.free.clone());
        registry.register(
            "audit_sequence",
            "Sequence number of the newest entry of the audit log",
            metrics.audit.clone(),
        );
        registry.register(
            "clock_wrong",
            "1 if the station's clock must be wrong",
            metrics.clock_wrong.clone(),
        );
        registry.register(
            "readers_ready",
            "Readers that are ready",
            metrics.readers.clone(),
        );
        registry.register(
            "folder_files_unreadable",
            "Files in the watched folder that are no whole films",
            metrics.unreadable_files.clone(),
        );
        registry.register(
            "panel_connected",
            "1 if the panel board is heard",
            metrics.panel.clone(),
        );
        registry.register(
            "panel_events",
            "What happened at the panel board",
            metrics.panel_events.clone(),
        );
        registry.register(
            "film_missing",
            "1 if there was an exposure whose film has not come, and nobody has seen that",
            metrics.film_missing.clone(),
        );
        metrics.registry = registry;
        metrics
    }
}

impl Metrics {
    /// Counts a film that arrived.
    pub fn received(&self, origin: Origin, kept: Kept) {
        let film = Film {
            origin: origin.name(),
            kept: kept.name(),
        };
        self.films.get_or_create(&film).inc();
    }

    /// Counts a reader's answer: `read`, `refused`, `crashed`.
    pub fn outcome(&self, outcome: &'static str) {
        self.outcomes.get_or_create(&Outcome { outcome }).inc();
    }

    /// Measures a step of reading a film.
    pub fn step(&self, step: &'static str, time: Duration) {
        let steps = self.steps.get_or_create(&Step { step });
        steps.observe(time.as_secs_f64());
    }

    /// Counts a response.
    pub fn answered(&self, status: Status) {
        let status = format!("{:04X}", status.code());
        self.responses.get_or_create(&Response { status }).inc();
    }

    /// Tells how many associations are open.
    pub fn associations(&self, open: usize) {
        self.open.set(open as i64);
    }

    /// Counts an association that ended.
    pub fn association_ended(&self, end: &'static str) {
        self.associations.get_or_create(&Association { end }).inc();
    }

    /// Tells how many hosts are connected.
    pub fn hosts(&self, connected: usize) {
        self.hosts.set(connected as i64);
    }

    /// Tells of one reader more, or less, that is ready.
    pub fn reader_ready(&self, ready: bool) {
        match ready {
            true => self.readers.inc(),
            false => self.readers.dec(),
        };
    }

    /// Number of readers that are ready.
    pub fn readers(&self) -> i64 {
        self.readers.get()
    }

    /// Tells how many files in the watched folder are no whole films.
    pub fn unreadable_files(&self, count: usize) {
        self.unreadable_files.set(count as u64);
    }

    /// Number of files in the watched folder that are no whole films.
    pub fn count_unreadable_files(&self) -> u64 {
        self.unreadable_files.get()
    }

    /// Tells whether the panel board is heard.
    pub fn panel_connected(&self, connected: bool) {
        self.panel.set(connected.into());
    }

    /// Counts what happened at the panel board.
    pub fn panel_event(&self, what: Occurrence) {
        let event = match what {
            Occurrence::Started(_) => "started",
            Occurrence::Button { .. } => "button",
            Occurrence::Exposure => "exposure",
        };
        self.panel_events.get_or_create(&PanelEvent { event }).inc();
    }

    /// All counts and measures as text; those of the store and the clock are asked for now.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn text(&self, store: &Store, clock: &ClockWatch) -> Result<String, StoreError> {
        let doubts = clock.doubts(Timestamp::now());
        self.clock_wrong.set(i64::from(!doubts.is_empty()));
        let counts = store.count()?;
        for state in State::ALL {
            let count = counts.iter().find(|(counted, _)| *counted == state);
            let gauge = self.states.get_or_create(&InState {
                state: state.name(),
            });
            gauge.set(count.map_or(0, |(_, count)| *count as i64));
        }
        // One that has fallen to nothing is not counted by the store.
        self.deliveries.clear();
        for (destination, state, count) in store.count_deliveries()? {
            let state = state.name();
            let gauge = self
                .deliveries
                .get_or_create(&OfDestination { destination, state });
            gauge.set(count as i64);
        }
        self.free.set(store.free()? as i64);
        self.film_missing
            .set(store.panel_state()?.film_missing.into());
        let newest = store.newest_audit()?;
        self.audit.set(newest.map_or(0, |newest| newest.sequence));
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing into a string does not fail");
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
