//! Asking an archive whether it keeps for good what it has got.

use std::time::{Duration, Instant};

use super::{Outbox, retry};
use crate::config::Address;
use crate::store::{Question, StoreError};

/// Puts questions, not too often while they fail.
#[derive(Default)]
pub(super) struct CommitmentAsker {
    failures: u32,
    not_before: Option<Instant>,
}

impl CommitmentAsker {
    /// Asks about what was delivered and not asked about yet, if the destination is to be asked.
    pub fn ask(&mut self, outbox: &Outbox) {
        let name = &*outbox.destination.name;
        if self.not_before.is_some_and(|time| Instant::now() < time) {
            return;
        }
        let asked = outbox.store.ask_commitment(name);
        let why = match asked.map(|question| question.map(|question| put(outbox, &question))) {
            Ok(None) => return,
            Ok(Some(Ok(()))) => {
                *self = Self::default();
                return;
            }
            Ok(Some(Err(why))) => why,
            Err(error) => error.to_string(),
        };
        self.failures += 1;
        let seconds = retry::wait(self.failures, 0);
        tracing::warn!(
            destination = name,
            seconds,
            "not asked about commitment yet: {why}"
        );
        self.not_before = Some(Instant::now() + Duration::from_secs(seconds));
    }
}

/// Puts a question, and enters the answer if it comes at once.
fn put(outbox: &Outbox, question: &Question) -> Result<(), String> {
    let Address::Archive(archive) = &outbox.destination.address else {
        return Err("a folder cannot be asked".into());
    };
    let peer = archive.peer(&outbox.station.name, outbox.tls.as_ref());
    let words = |error: StoreError| error.to_string();
    match peer.ask_commitment(&question.transaction, &question.instances) {
        Ok(answer) => {
            outbox.store.question_put(question).map_err(words)?;
            let instances = question.instances.len();
            let destination = &*outbox.destination.name;
            tracing::info!(destination, instances, "asked about commitment");
            let entered = answer
                .map(|answer| outbox.store.committed(&answer))
                .transpose();
            entered.map(|_| ()).map_err(words)
        }
        Err(error) => {
            outbox.store.take_back_question(question).map_err(words)?;
            Err(error.to_string())
        }
    }
}
