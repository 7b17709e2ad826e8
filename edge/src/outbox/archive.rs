//! Sending to an archive by C-STORE, and what its answers mean (PS3.4, B.2.3).

use std::time::Instant;

use plumbline_dimse::service::{EXPLICIT, STORAGE, TRANSFER_SYNTAXES};
use plumbline_dimse::{ClientError, Instance, Peer, Response};
use plumbline_shared::printable::printable;

use super::letter::Letter;
use super::pace::Paced;
use super::{Open, Tried, retry};
use crate::report::{CAPTURE_CLASS, PAGE_CLASS, REPORT_CLASS};
use crate::store::{Delivery, Kind, Sent};

/// Sends one object, on the open association or a new one, no faster than `paced` reads.
pub(super) fn send(
    peer: &Peer,
    open: &mut Open,
    delivery: &Delivery,
    letter: &Letter,
    paced: Paced,
) -> Tried {
    let instance = Instance {
        class: &letter.class,
        uid: &letter.instance,
        syntax: &letter.syntax,
    };
    let mut data = match letter.data_set() {
        Ok(data) => data,
        Err(error) => return Tried::Failed(error.to_string()),
    };
    // An association that was opened for results alone may not do for films.
    if open
        .sender
        .as_ref()
        .is_some_and(|sender| !sender.takes(&instance))
    {
        open.close();
    }
    let mut sender = match open.sender.take() {
        Some(sender) => sender,
        // Pages too, so that one association does for all of a film's results.
        None => match peer.open_storage(offers(&[delivery.kind, Kind::Page])) {
            Ok(sender) => sender,
            Err(error) => return not_let_in(&error),
        },
    };
    let longest = paced.longest(letter.bytes());
    let answered = sender.store(&instance, &mut paced.of(&mut data), longest);
    match answered {
        Ok(_) | Err(ClientError::NotOffered(_)) => {
            open.sender = Some(sender);
            open.used = Some(Instant::now());
        }
        Err(_) => sender.abort(),
    }
    match answered {
        Ok(response) => Tried::Ended(meaning(&response, delivery)),
        Err(error @ ClientError::NotOffered(_)) => Tried::Ended(Sent::Refused(error.to_string())),
        Err(error) => Tried::Failed(error.to_string()),
    }
}

/// What is offered for objects of these kinds: reports and captures always, pages and films, in all their
/// transfer syntaxes, if they are to be sent.
pub fn offers(kinds: &[Kind]) -> Vec<(&'static str, &'static str)> {
    let mut offers = vec![(REPORT_CLASS, EXPLICIT), (CAPTURE_CLASS, EXPLICIT)];
    if kinds.contains(&Kind::Page) {
        offers.push((PAGE_CLASS, EXPLICIT));
    }
    let is_film = |kind: &Kind| matches!(kind, Kind::Original | Kind::Deidentified);
    if kinds.iter().any(is_film) {
        for class in STORAGE {
            let syntaxes = TRANSFER_SYNTAXES
                .iter()
                .map(|syntax| (class.uid, syntax.uid));
            offers.extend(syntaxes.filter(|offer| *offer != (CAPTURE_CLASS, EXPLICIT)));
        }
    }
    offers
}

/// What it means that there is no association.
fn not_let_in(error: &ClientError) -> Tried {
    let why = error.to_string();
    match error {
        ClientError::Rejected {
            permanent: true, ..
        }
        | ClientError::NotOffered(_) => Tried::ShutOut(why),
        _ => Tried::away(why),
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
    // At most as long as the standard has it, and harmless on a terminal.
    let comment: String = response.comment.trim().chars().take(64).collect();
    let comment = printable(&comment);
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
            failed: false,
        },
        Meaning::Refused => Sent::Refused(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_fit_into_an_association_and_are_each_made_once() {
        let mut offers = offers(&Kind::ALL);
        assert!(offers.len() <= 128, "{}", offers.len());
        let all = offers.len();
        offers.sort_unstable();
        offers.dedup();
        assert_eq!(offers.len(), all);
    }
}
