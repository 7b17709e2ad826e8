//! A result in words.

use crate::store::{Came, Filing, StoredReading};

/// What every result is.
pub(super) const AID: &str = "Screening aid, not a diagnosis";

/// What came of a film.
pub(super) fn verdict(came: &Came) -> &'static str {
    match came {
        Came::Read(reading) if reading.positive => {
            "Refer to a specialist: the film looks like one with scoliosis"
        }
        Came::Read(_) => "No sign of scoliosis",
        Came::Refused => "Not read: the film should be taken or sent again",
        Came::Failed => "Not read: the reader failed on this film",
    }
}

/// A reading's probability and its operating point.
pub(super) fn numbers(reading: &StoredReading) -> String {
    let (probability, threshold) = (reading.probability, reading.threshold);
    format!("probability {probability:.2}, positive from {threshold:.2}")
}

/// The result as a person reads it.
pub(crate) fn in_words(filing: &Filing) -> String {
    let mut words = verdict(&filing.came).to_owned();
    if let Some(reading) = filing.reading() {
        words += &format!(" ({})", numbers(reading));
    }
    words += ".";
    for finding in &filing.film.findings {
        words += &format!(" {}", finding.as_sentence());
    }
    if filing.acknowledged {
        words += " The result was acknowledged at the station.";
    }
    format!("{words} {AID}.")
}
