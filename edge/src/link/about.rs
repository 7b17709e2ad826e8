//! What the station tells hosts of itself.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::{Timestamp, Zoned};
use plumbline_reader::MANIFEST;
use plumbline_shared::manifest::Manifest;
use plumbline_wire::hello::Identity;
use plumbline_wire::host::{Bundle, FromStation, Info, Panel};
use plumbline_wire::panel::Activity;
use sha2::{Digest, Sha256};

use crate::health::Health;
use crate::intake::Receiver;
use crate::logs::KeptLog;
use crate::panel::BoardState;
use crate::store::StoreError;

/// The station as hosts see it.
pub struct Station {
    /// Its name.
    pub name: String,
    /// This start of its program.
    pub identity: Identity,
    /// The bundle that reads.
    pub bundle: Option<InstalledBundle>,
    /// Where films go, and what is known of them.
    pub receiver: Receiver,
    /// Its log.
    pub log: Arc<KeptLog>,
}

/// A bundle, by its manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledBundle {
    model: String,
    version: String,
    sha256: [u8; 32],
}

impl InstalledBundle {
    /// Reads the manifest in the bundle's folder; none if it cannot be read.
    pub fn read(folder: &Path) -> Option<Self> {
        let bytes = fs::read(folder.join(MANIFEST)).ok()?;
        let manifest = Manifest::parse(&bytes).ok()?;
        Some(Self {
            model: manifest.model,
            version: manifest.model_version,
            sha256: Sha256::digest(&bytes).into(),
        })
    }
}

impl Station {
    /// Tells `say` the answer to [`ToStation::Info`](plumbline_wire::host::ToStation::Info).
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) fn info<T>(&self, say: impl FnOnce(&FromStation) -> T) -> Result<T, StoreError> {
        let Receiver {
            store,
            metrics,
            clock,
            ..
        } = &self.receiver;
        let health = Health::of(&self.receiver);
        let activity = match metrics.readers() {
            0 => Activity::Fault,
            _ if store.panel_state()?.busy => Activity::Busy,
            _ => Activity::Ready,
        };
        let doubts: Vec<_> = clock.doubts(Timestamp::now());
        let doubts: Vec<_> = doubts.iter().map(ToString::to_string).collect();
        let doubts = doubts.join("; ");
        let bundle = self.bundle.as_ref().map(|bundle| Bundle {
            model: &bundle.model,
            version: &bundle.version,
            sha256: bundle.sha256,
        });
        Ok(say(&FromStation::Info(Info {
            station: &self.name,
            activity,
            faults: &health.faults.join("\n"),
            bundle,
            disk_free: store.free()?,
            disk_size: store.disk_size()?,
            clock: &Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            clock_doubt: (!doubts.is_empty()).then_some(&*doubts),
            panel: self.panel(),
            newest_result: store.newest_result()?,
            newest_log: self.log.newest(),
        })))
    }

    /// The panel board.
    fn panel(&self) -> Panel {
        match self.receiver.panel.as_ref().map(|panel| panel.get()) {
            None => Panel::None,
            Some(BoardState::Silent) => Panel::Silent,
            Some(BoardState::OtherMessages(board, _)) => Panel::OtherMessages {
                version: board.version,
                protocol: board.protocol,
            },
            Some(BoardState::Connected(board)) => Panel::Connected {
                version: board.identity.version,
                build: board.build,
                measures: board.measures,
            },
        }
    }
}
