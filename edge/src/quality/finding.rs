//! What can be wrong with a film, in a code, a sentence and what to do.

use plumbline_shared::clinical::Refusal;
use plumbline_wire::decoder::RefusalCode;
use serde::{Deserialize, Serialize};

/// The rules of the gate. Their names in reports and in `--json` are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Code {
    /// Another part of the body, or no film.
    NotAChest,
    /// Taken from the side.
    Lateral,
    /// The head is below.
    UpsideDown,
    /// Turned by a quarter, the head on the left.
    TurnedLeft,
    /// Turned by a quarter, the head on the right.
    TurnedRight,
    /// Left and right are exchanged.
    Mirrored,
    /// Light and dark are exchanged.
    Inverted,
    /// Exposed too little.
    UnderExposed,
    /// Exposed too much.
    OverExposed,
    /// Nothing is on it.
    Blank,
    /// The tops of the lungs are cut off.
    ApicesMissing,
    /// The bottoms of the lungs are cut off.
    BasesMissing,
    /// Too few pixels.
    TooSmall,
    /// The station has this film already.
    Duplicate,
    /// Taken by another kind of device, by its tags.
    WrongModality,
    /// Of another part of the body, by its tags.
    WrongBodyPart,
    /// Not yet processed for display, by its tags.
    ForProcessing,
    /// The patient is younger or older than those that the networks are meant for.
    Age,
    /// Unlike the films that the network learnt from.
    UnlikeTraining,
}

/// What a finding means for the film.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The film is read, and its result says what was found.
    Caution,
    /// The film is not read unless a supervisor says so.
    Refuse,
}

/// A rule that a film breaks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The rule.
    pub code: Code,
    /// What it means for the film.
    pub severity: Severity,
    /// What is wrong, without the film's name and without a full stop: "shows no chest".
    pub sentence: String,
    /// What to do, without a full stop.
    pub advice: &'static str,
}

/// A coded entry of CID 6135, Full-Field Digital Mammography Quality Control Reasons (DICOM PS3.16),
/// as a report's Quality Finding gives it; its scheme is `DCM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DicomCode {
    /// Code Value (0008,0100).
    pub value: &'static str,
    /// Code Meaning (0008,0104).
    pub meaning: &'static str,
}

const POSITIONING: DicomCode = DicomCode {
    value: "111209",
    meaning: "Positioning",
};
const UNDER_EXPOSED: DicomCode = DicomCode {
    value: "111211",
    meaning: "Under exposed",
};
const OVER_EXPOSED: DicomCode = DicomCode {
    value: "111212",
    meaning: "Over exposed",
};
const NO_IMAGE: DicomCode = DicomCode {
    value: "111213",
    meaning: "No image",
};
const IMAGE_PROCESSING: DicomCode = DicomCode {
    value: "111219",
    meaning: "Inappropriate image processing",
};
pub(crate) const OTHER_FAILURE: DicomCode = DicomCode {
    value: "111220",
    meaning: "Other failure",
};

impl Code {
    /// All codes.
    pub const ALL: [Self; 19] = [
        Self::NotAChest,
        Self::Lateral,
        Self::UpsideDown,
        Self::TurnedLeft,
        Self::TurnedRight,
        Self::Mirrored,
        Self::Inverted,
        Self::UnderExposed,
        Self::OverExposed,
        Self::Blank,
        Self::ApicesMissing,
        Self::BasesMissing,
        Self::TooSmall,
        Self::Duplicate,
        Self::WrongModality,
        Self::WrongBodyPart,
        Self::ForProcessing,
        Self::Age,
        Self::UnlikeTraining,
    ];

    /// Returns the name in reports and in `--json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotAChest => "not-a-chest",
            Self::Lateral => "lateral",
            Self::UpsideDown => "upside-down",
            Self::TurnedLeft => "turned-left",
            Self::TurnedRight => "turned-right",
            Self::Mirrored => "mirrored",
            Self::Inverted => "inverted",
            Self::UnderExposed => "under-exposed",
            Self::OverExposed => "over-exposed",
            Self::Blank => "blank",
            Self::ApicesMissing => "apices-missing",
            Self::BasesMissing => "bases-missing",
            Self::TooSmall => "too-small",
            Self::Duplicate => "duplicate",
            Self::WrongModality => "wrong-modality",
            Self::WrongBodyPart => "wrong-body-part",
            Self::ForProcessing => "for-processing",
            Self::Age => "age",
            Self::UnlikeTraining => "unlike-training",
        }
    }

    /// Returns the code with this name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }

    /// Returns what the code means for a film.
    ///
    /// A film that only looks mirrored may be of a heart on the right, and the curve of a mirrored
    /// film is as large as before: that is told and not refused. So is a film unlike those of the
    /// training, because good films of another unit are unlike them, too.
    pub const fn severity(self) -> Severity {
        match self {
            Self::Mirrored | Self::UnlikeTraining => Severity::Caution,
            _ => Severity::Refuse,
        }
    }

    /// Returns the code that a report's Quality Finding gives.
    pub const fn dicom(self) -> DicomCode {
        match self {
            Self::NotAChest
            | Self::Lateral
            | Self::UpsideDown
            | Self::TurnedLeft
            | Self::TurnedRight
            | Self::Mirrored
            | Self::ApicesMissing
            | Self::BasesMissing => POSITIONING,
            Self::UnderExposed => UNDER_EXPOSED,
            Self::OverExposed => OVER_EXPOSED,
            Self::Blank => NO_IMAGE,
            Self::Inverted => IMAGE_PROCESSING,
            Self::TooSmall
            | Self::Duplicate
            | Self::WrongModality
            | Self::WrongBodyPart
            | Self::ForProcessing
            | Self::Age
            | Self::UnlikeTraining => OTHER_FAILURE,
        }
    }

    /// Returns what is wrong, where nothing more is known than the code.
    const fn sentence(self) -> &'static str {
        match self {
            Self::NotAChest => "shows no chest from the front",
            Self::Lateral => "shows a chest from the side",
            Self::UpsideDown => "is upside down",
            Self::TurnedLeft => "is turned by a quarter, the head on the left",
            Self::TurnedRight => "is turned by a quarter, the head on the right",
            Self::Mirrored => "seems to be mirrored: the heart is on the picture's left",
            Self::Inverted => "has light and dark exchanged",
            Self::UnderExposed => "is under-exposed: noise or a veil hides the spine",
            Self::OverExposed => "is over-exposed: parts of the chest are lost in black",
            Self::Blank => "shows nothing",
            Self::ApicesMissing => "does not show the tops of the lungs",
            Self::BasesMissing => "does not show the bottoms of the lungs",
            Self::TooSmall => "has too few pixels for a chest film",
            Self::Duplicate => "is here already",
            Self::WrongModality => "was taken by a device of another kind",
            Self::WrongBodyPart => "is of another part of the body",
            Self::ForProcessing => "is not yet processed for display",
            Self::Age => "is of a patient outside the ages that are screened",
            Self::UnlikeTraining => {
                "is unlike the films that the network learnt from, so its answer is unsure"
            }
        }
    }

    /// Returns what to do.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::NotAChest | Self::WrongBodyPart => {
                "send a frontal chest film; if this is one, let a supervisor have it read"
            }
            Self::Lateral => "send the frontal film of the examination",
            Self::UpsideDown | Self::TurnedLeft | Self::TurnedRight => {
                "turn the film at the unit and send it again"
            }
            Self::Mirrored => {
                "compare with the side marker; send it again the right way round, or note a heart \
                 on the right"
            }
            Self::Inverted => "invert the film at the unit and send it again",
            Self::UnderExposed => "take the film again with more exposure",
            Self::OverExposed => "take the film again with less exposure",
            Self::Blank => "check the cable, the detector and the tube, and take the film again",
            Self::ApicesMissing => "take the film again with the beam centred higher",
            Self::BasesMissing => "take the film again with the beam centred lower",
            Self::TooSmall => "send the film at its own size, not a preview of it",
            Self::Duplicate => "look at the result that is there",
            Self::WrongModality => "send a film of a digital or computed radiography unit",
            Self::ForProcessing => "send the film that the unit shows, not its raw values",
            Self::Age => "correct the age, or let a specialist look at the film",
            Self::UnlikeTraining => "let a specialist look at the film, whatever the result",
        }
    }

    /// Returns the rule behind a decoder's refusal of a file, if it is one of the gate's: such a file
    /// has no picture to be gated.
    pub(super) const fn of_decoder(refusal: RefusalCode) -> Option<Self> {
        match refusal {
            RefusalCode::Blank | RefusalCode::NothingShown => Some(Self::Blank),
            RefusalCode::ForProcessing => Some(Self::ForProcessing),
            _ => None,
        }
    }
}

impl From<Refusal> for Code {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Lateral => Self::Lateral,
            Refusal::Inverted => Self::Inverted,
            Refusal::NotAChest => Self::NotAChest,
            Refusal::Blank => Self::Blank,
            Refusal::OverExposed => Self::OverExposed,
            Refusal::UnderExposed => Self::UnderExposed,
            Refusal::UpsideDown => Self::UpsideDown,
            Refusal::TurnedLeft => Self::TurnedLeft,
            Refusal::TurnedRight => Self::TurnedRight,
            Refusal::Mirrored => Self::Mirrored,
            Refusal::ApicesMissing => Self::ApicesMissing,
            Refusal::BasesMissing => Self::BasesMissing,
        }
    }
}

impl Finding {
    /// A finding of which no more is known than its code.
    pub fn new(code: Code) -> Self {
        Self::because(code, code.sentence())
    }

    /// A finding in words of its own.
    pub fn because(code: Code, sentence: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            sentence: sentence.into(),
            advice: code.advice(),
        }
    }

    /// Returns true if the film is not to be read for it.
    pub fn refuses(&self) -> bool {
        self.severity == Severity::Refuse
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.sentence, self.advice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_reports() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.name());
        }
        for refusal in Refusal::ALL {
            assert_eq!(Code::from(refusal).name(), refusal.name());
        }
    }

    #[test]
    fn sentences_follow_a_films_name() {
        for code in Code::ALL {
            let finding = Finding::new(code);
            for text in [&*finding.sentence, finding.advice] {
                assert!(text.starts_with(char::is_lowercase), "{text}");
                assert!(!text.ends_with('.') && text.len() > 10, "{text}");
            }
        }
    }
}
