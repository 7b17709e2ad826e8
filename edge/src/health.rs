//! What is wrong with the station, for `/health` and for the host.

use jiff::Timestamp;

use crate::intake::Receiver;
use crate::panel::BoardState;
use crate::store::{Newest, StoreError};

/// The station's health.
#[derive(Clone, Debug)]
pub struct Health {
    /// What is wrong, a sentence for each thing; none if the station is healthy.
    pub faults: Vec<String>,
    /// The newest entry of the audit log.
    pub audit: Option<Newest>,
}

impl Health {
    /// Looks at everything that `receiver` has.
    pub fn of(receiver: &Receiver) -> Self {
        let store = &receiver.store;
        let checked = || {
            let films = store.panel_state()?;
            let tested = store.last_self_test()?.and_then(|test| test.wrong);
            Ok::<_, StoreError>((store.newest_audit()?, store.has_room()?, films, tested))
        };
        let mut faults = Vec::new();
        let audit = match checked() {
            Ok((newest, room, films, tested)) => {
                faults.extend(tested.unwrap_or_default());
                if !room {
                    faults.push("the disk is full: no film is received".to_owned());
                }
                if films.film_missing {
                    let what =
                        "the X-ray unit exposed, and no film has come: look at what it sends";
                    faults.push(what.to_owned());
                }
                newest
            }
            Err(error) => {
                tracing::error!(%error, "the store cannot be asked how it is");
                faults.push(error.to_string());
                None
            }
        };
        faults.extend(receiver.self_test.failure());
        if receiver.metrics.readers() == 0 {
            faults.push("no reader is ready: films are received and wait".to_owned());
        }
        let doubts = receiver.clock.doubts(Timestamp::now());
        faults.extend(doubts.iter().map(ToString::to_string));
        match receiver.panel.as_ref().map(|panel| panel.get()) {
            None | Some(BoardState::Connected(_)) => {}
            Some(BoardState::Silent) => {
                faults.push("the panel is not heard: look at its cable and its power".to_owned());
            }
            Some(BoardState::OtherMessages(board, agreement)) => faults.push(format!(
                "the panel's program {} speaks other messages: {agreement}",
                board.version
            )),
        }
        let unreadable = receiver.metrics.count_unreadable_files();
        if unreadable > 0 {
            faults.push(format!(
                "files in the watched folder that are no whole films: {unreadable}; `plumbline-edge \
                 check` names them"
            ));
        }
        Self { faults, audit }
    }
}
