//! Sending what was found to other systems: one thread for each destination takes what is due from the
//! store, makes it, sends it, and enters how that ended. What cannot be sent waits in the store, over
//! restarts and for weeks; what a destination refuses is kept with its words, and can be sent again.

mod archive;
mod commitment;
mod folder;
mod letter;
mod retry;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use plumbline_dimse::Sender;
use rustls::ClientConfig;

use self::commitment::CommitmentAsker;
use self::letter::{Letter, Unwritten};
use crate::config::{Address, Destination};
use crate::report::Station;
use crate::store::{Delivery, Sent, SentAs, Store};

pub use archive::{ANSWERS, Meaning};

/// How often a sender looks for something that is due.
const LOOK: Duration = Duration::from_millis(500);

/// How long an association is kept for what may come next.
const LINGER: Duration = Duration::from_secs(2);

/// Sends to one destination.
pub struct Outbox {
    /// The memory.
    pub store: Arc<Store>,
    /// The destination.
    pub destination: Destination,
    /// The station, as reports name it.
    pub station: Station,
    /// TLS with the destination, if it is spoken.
    pub tls: Option<Arc<ClientConfig>>,
    /// The executable of `plumbline-edge` that decodes films.
    pub program: PathBuf,
}

/// How a try to send one thing ended.
enum Tried {
    /// So; the destination is there.
    Ended(Sent),
    /// The destination cannot be reached, or broke off.
    Away(String),
    /// The destination does not let the station in, and says that it never will.
    ShutOut(String),
}

impl Outbox {
    /// Sends what is due until `stop` is true.
    pub fn run(&self, stop: &AtomicBool) {
        let mut line = Line::default();
        let mut failures = 0;
        let mut commitment = CommitmentAsker::default();
        let stopping = || stop.load(Ordering::Relaxed);
        while !stopping() {
            let delivery = match self.store.take_delivery(&self.destination.name) {
                Ok(Some(delivery)) => delivery,
                Ok(None) => {
                    if line.close_if_idle() {
                        commitment.ask(self);
                    }
                    self.pause(LOOK, stop);
                    continue;
                }
                Err(error) => {
                    tracing::error!(%error, "the next delivery cannot be taken");
                    self.pause(retry::AFTER_FAILURE, stop);
                    continue;
                }
            };
            let (tried, sent_as) = self.send(&mut line, &delivery);
            let sent = self.sent(&delivery, tried, &mut failures);
            self.tell(&delivery, &sent);
            let end = || self.store.end_delivery(&delivery, &sent, sent_as.as_ref());
            while let Err(error) = end() {
                tracing::error!(%error, "the end of a delivery cannot be entered");
                if stopping() {
                    break;
                }
                self.pause(retry::AFTER_FAILURE, stop);
            }
            // While the destination is away, nothing else is tried in vain.
            if let (true, Sent::Later { seconds, .. }) = (failures > 0, &sent) {
                self.pause(Duration::from_secs(*seconds), stop);
            }
        }
        line.close();
    }

    /// What a try means for the delivery. `failures` counts the tries in a row on which the destination
    /// was away.
    fn sent(&self, delivery: &Delivery, tried: Tried, failures: &mut u32) -> Sent {
        let away = |failures: &mut u32, why| {
            *failures += 1;
            Sent::Later {
                why,
                seconds: retry::wait(*failures, delivery.id),
            }
        };
        match tried {
            Tried::Ended(sent) => {
                *failures = 0;
                sent
            }
            Tried::Away(why) => away(failures, why),
            Tried::ShutOut(why) if delivery.attempts + 1 >= retry::SHUT_OUT => Sent::Refused(why),
            Tried::ShutOut(why) => away(failures, why),
        }
    }

    /// Tries to send a delivery. Also returns what it was sent as, if it was made.
    fn send(&self, line: &mut Line, delivery: &Delivery) -> (Tried, Option<SentAs>) {
        let letter = Letter::write(&self.store, &self.station, &self.program, delivery);
        let letter = match letter {
            Ok(letter) => letter,
            // The station's own fault: a later try may have better luck.
            Err(Unwritten::Now(why)) => {
                let seconds = retry::wait(delivery.attempts + 1, delivery.id);
                return (Tried::Ended(Sent::Later { why, seconds }), None);
            }
            Err(Unwritten::Ever(why)) => return (Tried::Ended(Sent::Refused(why)), None),
        };
        let tried = match &self.destination.address {
            Address::Archive(archive) => {
                let (name, tls) = (&self.station.name, self.tls.as_ref());
                archive::send(archive, name, tls, line, delivery, &letter)
            }
            Address::Folder(folder) => folder::send(folder, delivery, &letter),
        };
        let Letter {
            class, instance, ..
        } = letter;
        (tried, Some(SentAs { class, instance }))
    }

    fn tell(&self, delivery: &Delivery, sent: &Sent) {
        let destination = &*self.destination.name;
        let (film, kind) = (delivery.film, delivery.kind.name());
        match sent {
            Sent::Delivered(words) => tracing::info!(film, kind, destination, words, "delivered"),
            Sent::Later { why, seconds } => {
                tracing::warn!(film, kind, destination, seconds, "not delivered yet: {why}");
            }
            Sent::Refused(why) => tracing::error!(film, kind, destination, "refused: {why}"),
        }
    }

    fn pause(&self, time: Duration, stop: &AtomicBool) {
        let until = Instant::now() + time;
        while !stop.load(Ordering::Relaxed) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }
}

/// The association to an archive, kept between what is sent, so that each film does not need its own.
#[derive(Default)]
struct Line {
    open: Option<Sender>,
    used: Option<Instant>,
}

impl Line {
    /// Ends the association politely once nothing was sent for a while: an archive waits for it. Returns
    /// whether none is open.
    fn close_if_idle(&mut self) -> bool {
        if self.used.is_some_and(|used| used.elapsed() > LINGER) {
            self.close();
        }
        self.open.is_none()
    }

    fn close(&mut self) {
        if let Some(sender) = self.open.take() {
            sender.release().ok();
        }
        self.used = None;
    }
}
