//! What became of a film on a station, in words for people.

use alloc::format;
use alloc::string::String;

use crate::printable::printable;

/// Says a film's result: `held`, why it is not read although it waits; `reading`, whether it is positive
/// and its probability; `reason`, why it was refused or could not be read.
///
/// ```
/// use plumbline_shared::outcome::in_words;
///
/// assert_eq!(in_words(None, Some((true, 0.93)), None), "refer, probability 0.9300");
/// assert_eq!(in_words(None, None, Some("it is blank")), "it is blank");
/// ```
pub fn in_words(held: Option<&str>, reading: Option<(bool, f64)>, reason: Option<&str>) -> String {
    match (held, reading, reason) {
        (Some(held), ..) => format!("not read: {}", printable(held)),
        (None, Some((true, probability)), _) => format!("refer, probability {probability:.4}"),
        (None, Some((false, probability)), _) => format!("no sign, probability {probability:.4}"),
        (None, None, Some(reason)) => printable(reason),
        (None, None, None) => "waits".into(),
    }
}
