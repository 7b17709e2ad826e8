//! A result in words.

use crate::store::{Came, Filing};

/// The result as a person reads it.
pub(super) fn in_words(filing: &Filing) -> String {
    let mut words = match &filing.came {
        Came::Read(reading) => {
            let result = match reading.positive {
                true => "Refer to a specialist: the film looks like one with scoliosis",
                false => "No sign of scoliosis",
            };
            let (probability, threshold) = (reading.probability, reading.threshold);
            format!("{result} (probability {probability:.2}, positive from {threshold:.2}).")
        }
        Came::Refused => "Not read: the film should be taken or sent again.".to_owned(),
        Came::Failed => "Not read: the reader failed on this film.".to_owned(),
    };
    for finding in &filing.film.findings {
        words += &format!(" {}", finding.as_sentence());
    }
    if filing.acknowledged {
        words += " The result was acknowledged at the station.";
    }
    words + " Screening aid, not a diagnosis."
}
