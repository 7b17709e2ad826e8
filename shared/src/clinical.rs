//! Clinical facts about a patient, a spine and a film, as cohorts, stations and reports state them.

use serde::{Deserialize, Serialize};

/// The Cobb angle from which a lateral curve is scoliosis, in degrees (Scoliosis Research Society).
pub const SCOLIOSIS_DEGREES: f64 = 10.0;

/// Kind of coronal curve.
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

/// The side a curve bulges to.
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
    /// The letter in the manifest, as in DICOM.
    pub fn name(self) -> &'static str {
        match self {
            Self::Female => "F",
            Self::Male => "M",
        }
    }
}

/// Direction of the rays through the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Projection {
    /// From back to front.
    Pa,
    /// From front to back.
    Ap,
    /// One of the two, not said which.
    Frontal,
    /// From side to side.
    Lateral,
}

impl Projection {
    /// All projections.
    pub const ALL: [Self; 4] = [Self::Pa, Self::Ap, Self::Frontal, Self::Lateral];

    /// The name in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pa => "PA",
            Self::Ap => "AP",
            Self::Frontal => "FRONTAL",
            Self::Lateral => "LATERAL",
        }
    }
}

/// Why a reader should refuse a film.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Taken from the side.
    Lateral,
    /// Light and dark are exchanged.
    Inverted,
    /// Another part of the body.
    NotAChest,
    /// Nobody was exposed, or nothing was.
    Blank,
    /// So much exposure that tissue is lost.
    OverExposed,
}

impl Refusal {
    /// All reasons.
    pub const ALL: [Self; 5] = [
        Self::Lateral,
        Self::Inverted,
        Self::NotAChest,
        Self::Blank,
        Self::OverExposed,
    ];
}
