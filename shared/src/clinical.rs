//! Clinical facts about a patient, a spine and a film, as cohorts, stations and reports state them.

use serde::{Deserialize, Serialize};

/// The Cobb angle from which a lateral curve is scoliosis, in degrees (Scoliosis Research Society).
pub const SCOLIOSIS_DEGREES: f64 = 10.0;

/// The kind of coronal curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CurveType {
    /// No scoliosis.
    None,
    /// One main curve with its apex in the thoracic spine.
    Thoracic,
    /// One main curve with its apex about T12.
    Thoracolumbar,
    /// A thoracic and a lumbar curve of similar size.
    Double,
}

/// The side that a curve is convex to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Convexity {
    /// The patient's left.
    Left,
    /// The patient's right.
    Right,
    /// No curve.
    None,
}

/// The patient's sex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sex {
    /// Female.
    #[serde(rename = "F")]
    Female,
    /// Male.
    #[serde(rename = "M")]
    Male,
}

impl Sex {
    /// Returns the letter in the manifest, as in DICOM.
    pub fn name(self) -> &'static str {
        match self {
            Self::Female => "F",
            Self::Male => "M",
        }
    }
}

/// The direction of the rays through the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Projection {
    /// From back to front.
    Pa,
    /// From front to back.
    Ap,
    /// From front to back or from back to front; the source does not say which.
    Frontal,
    /// From side to side.
    Lateral,
}

impl Projection {
    /// All projections.
    pub const ALL: [Self; 4] = [Self::Pa, Self::Ap, Self::Frontal, Self::Lateral];

    /// Returns the name in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pa => "PA",
            Self::Ap => "AP",
            Self::Frontal => "FRONTAL",
            Self::Lateral => "LATERAL",
        }
    }
}

/// Reasons to refuse a film for what it shows: the outputs of the gate's network, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The film was taken from the side.
    Lateral,
    /// Light and dark are exchanged.
    Inverted,
    /// The film shows another part of the body, or is no film.
    NotAChest,
    /// The film shows nothing.
    Blank,
    /// The exposure was so high that tissue is lost.
    OverExposed,
    /// The exposure was so low that noise or a veil hides the tissue.
    UnderExposed,
    /// The head is below.
    UpsideDown,
    /// The film was turned by a quarter to the left: the head is on the left.
    TurnedLeft,
    /// The film was turned by a quarter to the right: the head is on the right.
    TurnedRight,
    /// Left and right are exchanged.
    Mirrored,
    /// The tops of the lungs are cut off.
    ApicesMissing,
    /// The bottoms of the lungs are cut off.
    BasesMissing,
}

impl Refusal {
    /// All reasons.
    pub const ALL: [Self; 12] = [
        Self::Lateral,
        Self::Inverted,
        Self::NotAChest,
        Self::Blank,
        Self::OverExposed,
        Self::UnderExposed,
        Self::UpsideDown,
        Self::TurnedLeft,
        Self::TurnedRight,
        Self::Mirrored,
        Self::ApicesMissing,
        Self::BasesMissing,
    ];

    /// Returns the name in manifests, cohorts and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lateral => "lateral",
            Self::Inverted => "inverted",
            Self::NotAChest => "not-a-chest",
            Self::Blank => "blank",
            Self::OverExposed => "over-exposed",
            Self::UnderExposed => "under-exposed",
            Self::UpsideDown => "upside-down",
            Self::TurnedLeft => "turned-left",
            Self::TurnedRight => "turned-right",
            Self::Mirrored => "mirrored",
            Self::ApicesMissing => "apices-missing",
            Self::BasesMissing => "bases-missing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_named_as_in_the_manifest() {
        for reason in Refusal::ALL {
            let name = serde_json::to_value(reason).unwrap();
            assert_eq!(name, reason.name());
        }
    }
}
