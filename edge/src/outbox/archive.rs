//! Sending to an archive by C-STORE, and what its answers mean (PS3.4, B.2.3).

use std::sync::Arc;
use std::time::Instant;

use plumbline_dimse::service::{EXPLICIT, STORAGE, TRANSFER_SYNTAXES};
use plumbline_dimse::{ClientError, Instance, Response};
use rustls::ClientConfig;

use super::letter::Letter;
use super::{Line, Tried, retry};
use crate::config::Archive;
use crate::report::{CAPTURE_CLASS, REPORT_CLASS};
use crate::store::{Delivery, Kind, Sent};

/// Sends one object, on the open association or a new one.
pub(super) fn send(
    archive: &Archive,
    own_title: &str,
    tls: Option<&Arc<ClientConfig>>,
    line: &mut Line,
    delivery: &Delivery,
    letter: &Letter,
) -> Tried {
    let instance = Instance {
        class: &letter.class,
        uid: &letter.instance,
        syntax: &letter.syntax,
    };
    let data = letter.data_set();
    let mut data = match data {
        Ok(data) => data,
        Err(error) => {
            let seconds = retry::wait(delivery.attempts + 1, delivery.id);
            let why = error.to_string();
            return Tried::Ended(Sent::Later { why, seconds });
        }
    };
    // An association that was opened for results alone may not do for films.
    if line
        .open
        .as_ref()
        .is_some_and(|open| !open.takes(&instance))
    {
        line.close();
    }
    let mut sender = match line.open.take() {
        Some(sender) => sender,
        None => {
            let peer = archive.peer(own_title, tls);
            match peer.open_storage(offers(delivery.kind)) {
                Ok(sender) => sender,
                Err(error) => return failed(error),
            }
        }
    };
    match sender.store(&instance, &mut data) {
        Ok(response) => {
            line.open = Some(sender);
            line.used = Some(Instant::now());
            Tried::Ended(meaning(&response, delivery))
        }
        Err(error @ ClientError::NotOffered(_)) => {
            line.open = Some(sender);
            Tried::Ended(Sent::Refused(error.to_string()))
        }
        Err(error) => failed(error),
    }
}

/// What is offered for an object of this kind: results always, films in all their transfer syntaxes if
/// one is to be sent.
fn offers(kind: Kind) -> Vec<(&'static str, &'static str)> {
    let mut offers = vec![(REPORT_CLASS, EXPLICIT), (CAPTURE_CLASS, EXPLICIT)];
    if kind == Kind::Original {
        for class in STORAGE {
            let syntaxes = TRANSFER_SYNTAXES
                .iter()
                .map(|syntax| (class.uid, syntax.uid));
            offers.extend(syntaxes.filter(|offer| *offer != (CAPTURE_CLASS, EXPLICIT)));
        }
    }
    offers
}

fn failed(error: ClientError) -> Tried {
    let why = error.to_string();
    match error {
        ClientError::Rejected {
            permanent: true, ..
        }
        | ClientError::NotOffered(_) => Tried::ShutOut(why),
        _ => Tried::Away(why),
    }
}

/// What an archive's answer means for what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It is there.
    Delivered,
    /// It is there, though an element was changed or left out.
    DeliveredWithWarning,
    /// The archive has no room just now.
    Later,
    /// The archive will not take it.
    Refused,
}

/// The statuses from one to another, and what they mean. Of several, the first counts.
pub const ANSWERS: [(u16, u16, Meaning); 5] = [
    (0x0000, 0x0000, Meaning::Delivered),
    (0xB000, 0xB000, Meaning::DeliveredWithWarning),
    (0xB006, 0xB007, Meaning::DeliveredWithWarning),
    (0xA700, 0xA7FF, Meaning::Later),
    (0x0001, 0xFFFF, Meaning::Refused),
];

/// What an answer means for a delivery.
fn meaning(response: &Response, delivery: &Delivery) -> Sent {
    let status = response.status;
    let comment = response.comment.trim();
    let words = match comment.is_empty() {
        true => format!("status {status:04X}"),
        false => format!("status {status:04X}: {comment}"),
    };
    let answer = ANSWERS
        .iter()
        .find(|(from, to, _)| (*from..=*to).contains(&status));
    match answer.map_or(Meaning::Refused, |(_, _, meaning)| *meaning) {
        Meaning::Delivered => Sent::Delivered(None),
        Meaning::DeliveredWithWarning => Sent::Delivered(Some(words)),
        Meaning::Later => Sent::Later {
            why: words,
            seconds: retry::wait(delivery.attempts + 1, delivery.id),
        },
        Meaning::Refused => Sent::Refused(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_fit_into_an_association_and_are_each_made_once() {
        let mut offers = offers(Kind::Original);
        assert!(offers.len() <= 128, "{}", offers.len());
        let all = offers.len();
        offers.sort_unstable();
        offers.dedup();
        assert_eq!(offers.len(), all);
    }
}
