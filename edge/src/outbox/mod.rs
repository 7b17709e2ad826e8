//! Sending what was found to other systems: one thread for each destination takes what is due from the
//! store, makes it, sends it, and enters how that ended. What cannot be sent waits in the store, over
//! restarts and for weeks; what a destination refuses is kept with its words, and can be sent again.

mod archive;
mod commitment;
mod folder;
mod letter;
mod pace;
mod retry;
mod stick;
mod web;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use plumbline_dimse::Sender;
use plumbline_shared::tls::TlsError;
use rustls::ClientConfig;

use self::commitment::CommitmentAsker;
use self::letter::{Letter, Unwritten};
use self::pace::Paced;
use crate::config::{Address, Archive, Destination};
use crate::reading::Bell;
use crate::report::Station;
use crate::store::{Delivery, Sent, SentAs, Store};

pub use archive::{ANSWERS, Meaning, offers};
pub use web::{WEB_ANSWERS, WebArchive, WebMeaning};

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
    /// The way there.
    pub way: Way,
    /// The executable of `plumbline-edge` that decodes films.
    pub program: PathBuf,
    /// Rings when something is to be sent at once.
    pub bell: Arc<Bell>,
}

/// The way to a destination, with what is needed to go it.
pub enum Way {
    /// By DICOM, with TLS if it is spoken.
    Archive(Archive, Option<Arc<ClientConfig>>),
    /// Over the web.
    Web(WebArchive),
    /// Into a folder.
    Folder(PathBuf),
    /// Onto a stick.
    Stick(PathBuf),
}

impl Way {
    /// The way to `address`.
    ///
    /// # Errors
    /// If a file of certificates or keys cannot be used.
    pub fn to(address: &Address) -> Result<Self, TlsError> {
        Ok(match address {
            Address::Archive(archive) => {
                let tls = archive.entity.client()?;
                Self::Archive(archive.clone(), tls)
            }
            Address::Web(web) => Self::Web(WebArchive::new(web)?),
            Address::Folder(folder) => Self::Folder(folder.clone()),
            Address::Stick(root) => Self::Stick(root.clone()),
        })
    }
}

/// How a try to send one thing ended.
enum Tried {
    /// So; the destination is there.
    Ended(Sent),
    /// The station itself has failed, or the destination broke off over this very thing.
    Failed(String),
    /// The destination does not let the station in, and says that it never will.
    ShutOut(String),
    /// The destination cannot be reached, or has asked for a time of rest.
    Away {
        /// Why.
        why: String,
        /// The least wait, in seconds.
        rest: u64,
    },
}

impl Tried {
    /// The destination cannot be reached.
    fn away(why: String) -> Self {
        Self::Away { why, rest: 0 }
    }
}

impl Outbox {
    /// Sends what is due until `stop` is true.
    pub fn run(&self, stop: &AtomicBool) {
        let mut open = Open::default();
        // Tries in a row at which the destination let nothing in.
        let mut away = 0;
        let mut commitment = CommitmentAsker::default();
        let stopping = || stop.load(Ordering::Relaxed);
        while !stopping() {
            let heard = self.bell.rung();
            let delivery = match self.store.take_delivery(&self.destination.name) {
                Ok(Some(delivery)) => delivery,
                Ok(None) => {
                    if open.close_if_idle()
                        && let Way::Archive(archive, tls) = &self.way
                        && archive.commits
                    {
                        commitment.ask(self, &archive.entity, tls.as_ref());
                    }
                    self.pause(LOOK, heard, stop);
                    continue;
                }
                Err(error) => {
                    tracing::error!(%error, "the next delivery cannot be taken");
                    self.pause(retry::AFTER_FAILURE, heard, stop);
                    continue;
                }
            };
            let (tried, sent_as) = self.send(&mut open, &delivery, stop);
            if stopping() && matches!(tried, Tried::Failed(_)) {
                // It was broken off, and is taken back at the next start.
                break;
            }
            away = match tried {
                Tried::Away { .. } | Tried::ShutOut(_) => away + 1,
                Tried::Ended(_) | Tried::Failed(_) => 0,
            };
            let sent = means(&delivery, tried, away);
            self.tell(&delivery, &sent);
            let end = || self.store.end_delivery(&delivery, &sent, sent_as.as_ref());
            while let Err(error) = end() {
                tracing::error!(%error, "the end of a delivery cannot be entered");
                if stopping() {
                    break;
                }
                self.pause(retry::AFTER_FAILURE, heard, stop);
            }
            // While nothing is let in, nothing else is tried in vain.
            if let (true, Sent::Later { seconds, .. }) = (away > 0, &sent) {
                self.pause(Duration::from_secs(*seconds), heard, stop);
            }
        }
        open.close();
    }

    /// Tries to send a delivery. Also returns what it was sent as, if it was made.
    fn send(
        &self,
        open: &mut Open,
        delivery: &Delivery,
        stop: &AtomicBool,
    ) -> (Tried, Option<SentAs>) {
        let letter = Letter::write(&self.store, &self.station, &self.program, delivery);
        let letter = match letter {
            Ok(letter) => letter,
            Err(Unwritten::Now(why)) => return (Tried::Failed(why), None),
            Err(Unwritten::Ever(why)) => return (Tried::Ended(Sent::Refused(why)), None),
        };
        let paced = Paced {
            most: self.destination.pace,
            stop,
        };
        let tried = match &self.way {
            Way::Archive(archive, tls) => {
                let peer = archive.entity.peer(&self.station.name, tls.as_ref());
                archive::send(&peer, open, delivery, &letter, paced)
            }
            Way::Web(archive) => archive.send(delivery, &letter, paced),
            Way::Folder(folder) => folder::send(folder, delivery, &letter),
            Way::Stick(root) => {
                let (data, station) = (self.store.folder(), &self.station.name);
                stick::send(root, data, station, delivery, &letter)
            }
        };
        let Letter {
            class, instance, ..
        } = letter;
        (tried, Some(SentAs { class, instance }))
    }

    /// Logs how a try ended. What an archive says of an object may be about its patient: it is kept, and
    /// not logged.
    fn tell(&self, delivery: &Delivery, sent: &Sent) {
        let destination = &*self.destination.name;
        let (id, film, kind) = (delivery.id, delivery.film, delivery.kind.name());
        match sent {
            Sent::Delivered(_) => tracing::info!(film, kind, destination, "delivered"),
            Sent::Later { seconds, .. } => tracing::warn!(
                film,
                kind,
                destination,
                seconds,
                "not delivered yet: see delivery {id}"
            ),
            Sent::Refused(_) => {
                tracing::error!(film, kind, destination, "refused: see delivery {id}");
            }
        }
    }

    /// Waits; not once the station is to stop, or after the bell was rung more than `heard` times.
    fn pause(&self, time: Duration, heard: u64, stop: &AtomicBool) {
        let until = Instant::now() + time;
        while !stop.load(Ordering::Relaxed) && self.bell.rung() == heard {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.bell.wait(heard, left.min(LOOK));
        }
    }
}

/// What a try means for a delivery, when the destination has let nothing in for `away` tries.
fn means(delivery: &Delivery, tried: Tried, away: u32) -> Sent {
    let failures = delivery.failures + 1;
    match tried {
        Tried::Ended(sent) => sent,
        Tried::Failed(why) if failures >= retry::MOST_FAILURES => Sent::Refused(why),
        Tried::ShutOut(why) if failures >= retry::MOST_SHUT_OUT => Sent::Refused(why),
        Tried::Failed(why) => Sent::Later {
            why,
            seconds: retry::wait(failures, delivery.id),
            failed: true,
        },
        Tried::ShutOut(why) => Sent::Later {
            why,
            seconds: retry::wait(away, delivery.id),
            failed: true,
        },
        Tried::Away { why, rest } => Sent::Later {
            why,
            seconds: retry::wait(away, delivery.id).max(rest),
            failed: false,
        },
    }
}

/// The association to an archive, kept between what is sent, so that each film does not need its own.
#[derive(Default)]
struct Open {
    sender: Option<Sender>,
    used: Option<Instant>,
}

impl Open {
    /// Ends the association politely once nothing was sent for a while: an archive waits for it. Returns
    /// whether none is open.
    fn close_if_idle(&mut self) -> bool {
        if self.used.is_some_and(|used| used.elapsed() > LINGER) {
            self.close();
        }
        self.sender.is_none()
    }

    fn close(&mut self) {
        if let Some(sender) = self.sender.take() {
            sender.release().ok();
        }
        self.used = None;
    }
}
