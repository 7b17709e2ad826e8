//! Asking the worklist from time to time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::{ToSpan, Zoned};
use plumbline_dimse::{Answers, Question};
use plumbline_shared::decode::Characters;
use rustls::ClientConfig;

use crate::config::Worklist;
use crate::store::Store;

/// The modalities that are asked for, one by one: a query takes no list of them.
pub const MODALITIES: [&str; 2] = ["CR", "DX"];

/// How soon a worklist that did not answer is asked again.
const AGAIN: Duration = Duration::from_secs(60);

/// How often the asker looks whether the station is to stop.
const LOOK: Duration = Duration::from_millis(250);

/// Asks the hospital's worklist.
pub struct WorklistAsker {
    /// The memory, which keeps the answers.
    pub store: Arc<Store>,
    /// The worklist.
    pub worklist: Worklist,
    /// The station's AE title.
    pub own_title: String,
    /// TLS with the worklist, if it is spoken.
    pub tls: Option<Arc<ClientConfig>>,
}

/// The day so many days after today, by the wall clock, as `YYYYMMDD`.
pub fn day(after: i32) -> String {
    let now = Zoned::now();
    let day = now.date().saturating_add(after.days());
    day.strftime("%Y%m%d").to_string()
}

impl WorklistAsker {
    /// Asks until `stop` is true.
    pub fn run(&self, stop: &AtomicBool) {
        let mut failed = false;
        while !stop.load(Ordering::Relaxed) {
            let asked = self.ask();
            let pause = match &asked {
                Ok(_) => self.worklist.every,
                Err(_) => self.worklist.every.min(AGAIN),
            };
            match asked {
                Ok((examinations, matched)) => {
                    tracing::debug!(examinations, "the worklist has answered");
                    if matched > 0 {
                        tracing::info!(matched, "films matched with the worklist");
                    }
                    if failed {
                        tracing::info!("the worklist answers again");
                    }
                    failed = false;
                }
                Err(why) => {
                    // Offline most of the day, it would fill the log.
                    if !failed {
                        tracing::warn!(
                            "the worklist does not answer, what it said last is kept: {why}"
                        );
                    }
                    failed = true;
                }
            }
            let until = Instant::now() + pause;
            while !stop.load(Ordering::Relaxed) && Instant::now() < until {
                thread::sleep(LOOK);
            }
        }
    }

    /// Asks for today and tomorrow, and keeps the answer. Returns how many examinations are planned, and how
    /// many films were matched with one.
    fn ask(&self) -> Result<(usize, usize), String> {
        let days = [day(0), day(1)];
        let questions: Vec<_> = days
            .iter()
            .flat_map(|date| {
                MODALITIES.map(|modality| Question {
                    date: date.clone(),
                    modality: modality.to_owned(),
                    unit: self.worklist.unit.clone(),
                })
            })
            .collect();
        let entity = &self.worklist.entity;
        let peer = entity.peer(&self.own_title, self.tls.as_ref());
        let characters = Characters::of(&self.worklist.characters);
        let answers = peer.query_worklist(&questions, &characters);
        let Answers { planned, damaged } = answers.map_err(|error| error.to_string())?;
        if damaged > 0 {
            tracing::warn!(
                damaged,
                "answers of the worklist cannot be read, and are left out"
            );
        }
        // What is left out may be among what it told before.
        let whole = if damaged == 0 { &days[..] } else { &[] };
        let matched = self.store.set_worklist(whole, &planned);
        let matched = matched.map_err(|error| error.to_string())?;
        Ok((planned.len(), matched))
    }
}
