//! One film's reading as `--json` prints it. Scripts depend on these names.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

use crate::decision::Decision;
use crate::gradcam::Cam;

/// One line of `--json`.
#[derive(Debug, Serialize)]
pub struct ReadingLine<'a> {
    /// The film, as it was named on the command line.
    pub film: &'a str,
    /// The model's name.
    pub model: &'a str,
    /// The model's version.
    pub model_version: &'a str,
    /// The logit; of two outputs, positive minus negative.
    pub logit: f32,
    /// The logistic function of the logit.
    pub probability: f64,
    /// The smallest probability that counts as positive.
    pub threshold: f64,
    /// True if the probability reaches the threshold.
    pub positive: bool,
    /// Whether the film should have been read.
    pub quality: Quality<'a>,
    /// What is wrong with the film, cautions included; left out if nothing is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<FindingLine<'a>>,
    /// What was done to the film before it was read, in words.
    pub film_notes: &'a [String],
    /// The Grad-CAM map, rows first.
    pub cam: Vec<&'a [f32]>,
    /// The time of each step.
    pub milliseconds: Milliseconds,
}

/// The quality of a film that no rule refused.
pub const ACCEPTED: &str = "accepted";

/// Whether a film should be read: [`ACCEPTED`], or the codes of the rules that refuse it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quality<'a>(
    /// The codes of the rules that refuse the film; none if it is accepted.
    pub Vec<&'a str>,
);

impl Serialize for Quality<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.is_empty() {
            true => to.serialize_str(ACCEPTED),
            false => self.0.serialize(to),
        }
    }
}

/// A rule that a film breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingLine<'a> {
    /// The rule's name.
    pub code: &'a str,
    /// `refuse` or `caution`.
    pub severity: &'a str,
    /// What is wrong.
    pub sentence: &'a str,
    /// What to do.
    pub advice: &'a str,
}

/// One line of `--json` for a film that was not read because of its quality.
#[derive(Debug, Serialize)]
pub struct RefusedLine<'a> {
    /// The film, as it was named on the command line.
    pub film: &'a str,
    /// The codes of the rules that refuse the film.
    pub quality: Quality<'a>,
    /// What is wrong with the film.
    pub findings: Vec<FindingLine<'a>>,
    /// What was done to the film when it was opened, in words.
    pub film_notes: &'a [String],
}

impl RefusedLine<'_> {
    /// Writes the line, without a line break.
    ///
    /// # Errors
    /// If a text cannot be written as JSON.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// Milliseconds of each step that was taken.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Milliseconds {
    /// From the file to a film.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decode: Option<f64>,
    /// From a film to the network's input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepare: Option<f64>,
    /// At the gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<f64>,
    /// In the network.
    pub read: f64,
    /// Drawing the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlay: Option<f64>,
    /// All together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
}

impl<'a> ReadingLine<'a> {
    /// Makes the line of an accepted film with which nothing is wrong.
    pub fn new(
        (film, film_notes): (&'a str, &'a [String]),
        (model, model_version): (&'a str, &'a str),
        decision: &Decision,
        cam: &'a Cam,
        milliseconds: Milliseconds,
    ) -> Self {
        Self {
            film,
            model,
            model_version,
            logit: decision.logit,
            probability: decision.probability,
            threshold: decision.threshold,
            positive: decision.positive,
            quality: Quality(Vec::new()),
            findings: Vec::new(),
            film_notes,
            cam: cam.values.chunks(cam.columns.max(1)).collect(),
            milliseconds,
        }
    }

    /// Writes the line, without a line break.
    ///
    /// # Errors
    /// If a number or a text cannot be written as JSON.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}
