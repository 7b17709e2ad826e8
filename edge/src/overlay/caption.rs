//! The texts beside the film.

use plumbline_shared::decision::Decision;

/// The content of the panel beside the film.
#[derive(Debug, Clone, Copy)]
pub struct Caption<'a> {
    /// The film's file name.
    pub film: &'a str,
    /// The model's name.
    pub model: &'a str,
    /// The model's version.
    pub model_version: &'a str,
    /// The network's decision.
    pub decision: &'a Decision,
    /// What makes the result doubtful, each a sentence.
    pub doubts: &'a [String],
    /// What was done to the film before it was read, in words.
    pub notes: &'a [String],
}
