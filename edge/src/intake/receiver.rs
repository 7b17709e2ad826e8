//! What all ways in have in common: a file that has arrived is looked at, kept, and told to the
//! readers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use plumbline_shared::decode::Header;

use super::{IntakeError, WAIT, inspect_with};
use crate::clock::ClockWatch;
use crate::metrics::Metrics;
use crate::panel::PanelStatus;
use crate::reading::Bell;
use crate::self_test::SelfTestStatus;
use crate::store::{Arrival, Incoming, Kept, Origin, Store, StoreError};

/// Takes films in.
#[derive(Clone)]
pub struct Receiver {
    /// The memory.
    pub store: Arc<Store>,
    /// The executable of `plumbline-edge` that looks at files.
    pub program: PathBuf,
    /// Wakes the readers.
    pub bell: Arc<Bell>,
    /// The counts.
    pub metrics: Arc<Metrics>,
    /// What is known of the clock.
    pub clock: Arc<ClockWatch>,
    /// The state of the panel, if there should be one.
    pub panel: Option<Arc<PanelStatus>>,
    /// What is asked and told of the self-test.
    pub self_test: Arc<SelfTestStatus>,
}

/// A film's way in.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// Its kind.
    pub origin: Origin,
    /// Who sent it.
    pub sender: &'a str,
    /// What its sender says of it, if it comes by DICOM.
    pub announced: Option<Announced<'a>>,
}

/// What a sender says of a film.
#[derive(Clone, Copy, Debug)]
pub struct Announced<'a> {
    /// Its SOP Class.
    pub sop_class: &'a str,
    /// Its SOP Instance UID.
    pub sop_instance: &'a str,
    /// The transfer syntax of its data set.
    pub transfer_syntax: &'a str,
}

/// Why a film was not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The file is damaged or cut off.
    #[error(transparent)]
    NotWhole(IntakeError),
    /// The data set is of another class or instance than its sender said.
    #[error("SOP Class or SOP Instance UID of the data set are not those that were announced")]
    OtherInstance,
    /// The store does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Receiver {
    /// Keeps a film whose file has arrived. When this returns, it survives a power cut.
    ///
    /// # Errors
    /// If the file is not whole or not what was announced, or cannot be kept.
    pub fn receive(&self, incoming: Incoming, way: &Way) -> Result<Kept, ReceiveError> {
        let header = self.inspect(incoming.path())?;
        if let Some(announced) = way.announced {
            let header = header.as_ref();
            let class = header.and_then(|header| header.sop_class_uid.as_deref());
            let instance = header.and_then(|header| header.sop_instance_uid.as_deref());
            if (class, instance) != (Some(announced.sop_class), Some(announced.sop_instance)) {
                return Err(ReceiveError::OtherInstance);
            }
        }
        let kept = self.store.keep(
            incoming,
            &Arrival {
                origin: way.origin,
                sender: way.sender,
                transfer_syntax: way.announced.map(|announced| announced.transfer_syntax),
                header: header.as_ref(),
            },
        )?;
        match kept {
            Kept::New(film) => tracing::info!(film, origin = ?way.origin, "received"),
            Kept::Known(film) => tracing::info!(film, "received again"),
            Kept::Conflict(film) => tracing::warn!(
                film,
                "received, and another film with the same SOP Instance UID has other bytes: neither is \
                 read until somebody decides"
            ),
        }
        self.metrics.received(way.origin, kept);
        if let (Kept::New(_) | Kept::Conflict(_), Some(header)) = (kept, &header)
            && let Some(date) = &header.study_date
            // The station's own films say what its clock says.
            && way.origin != Origin::SelfTest
        {
            let time = header.study_time.as_deref();
            self.clock.film(Timestamp::now(), date, time);
        }
        self.bell.ring();
        Ok(kept)
    }

    fn inspect(&self, path: &Path) -> Result<Option<Header>, ReceiveError> {
        inspect_with(&self.program, path, WAIT).map_err(ReceiveError::NotWhole)
    }
}
