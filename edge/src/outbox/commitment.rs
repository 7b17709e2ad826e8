//! Asking an archive whether it keeps for good what it has got.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use super::{Outbox, retry};
use crate::config::Entity;
use crate::store::StoreError;

/// Puts questions, not too often while they fail.
#[derive(Default)]
pub(super) struct CommitmentAsker {
    failures: u32,
    not_before: Option<Instant>,
}

impl CommitmentAsker {
    /// Asks `archive` about what was delivered to it and not asked about yet.
    pub fn ask(&mut self, outbox: &Outbox, archive: &Entity, tls: Option<&Arc<ClientConfig>>) {
        if self.not_before.is_some_and(|time| Instant::now() < time) {
            return;
        }
        let Err(why) = ask(outbox, archive, tls) else {
            *self = Self::default();
            return;
        };
        self.failures += 1;
        let seconds = retry::wait(self.failures, 0);
        let destination = &*outbox.destination.name;
        tracing::warn!(
            destination,
            seconds,
            "not asked about commitment yet: {why}"
        );
        self.not_before = Some(Instant::now() + Duration::from_secs(seconds));
    }
}

/// Puts the next question, if there is one, and enters the answer if it comes at once.
fn ask(outbox: &Outbox, archive: &Entity, tls: Option<&Arc<ClientConfig>>) -> Result<(), String> {
    let Outbox {
        store, destination, ..
    } = outbox;
    let destination = &*destination.name;
    let words = |error: StoreError| error.to_string();
    let Some(question) = store.ask_commitment(destination).map_err(words)? else {
        return Ok(());
    };
    let peer = archive.peer(&outbox.station.name, tls);
    let answer = match peer.ask_commitment(&question.transaction, &question.instances) {
        Ok(answer) => answer,
        Err(error) => {
            store.take_back_question(&question).map_err(words)?;
            return Err(error.to_string());
        }
    };
    store.question_put(&question).map_err(words)?;
    let instances = question.instances.len();
    tracing::info!(destination, instances, "asked about commitment");
    if let Some(answer) = answer {
        store.committed(&answer).map_err(words)?;
    }
    Ok(())
}
