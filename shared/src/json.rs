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
    /// [`ACCEPTED`], or the reasons to take the film again.
    pub quality: &'a str,
    /// What was done to the film before it was read, in words.
    pub film_notes: &'a [String],
    /// The Grad-CAM map, rows first.
    pub cam: Vec<&'a [f32]>,
    /// The time of each step.
    pub milliseconds: Milliseconds,
}

/// The quality of a film that no rule refused.
pub const ACCEPTED: &str = "accepted";

/// Milliseconds of each step that was taken.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Milliseconds {
    /// From the file to a film.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decode: Option<f64>,
    /// From a film to the network's input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepare: Option<f64>,
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
    /// Makes the line of an accepted film.
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
            quality: ACCEPTED,
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
