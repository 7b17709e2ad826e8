//! Imported weights.

use std::collections::HashMap;
use std::path::Path;

use candle_core::Tensor;
use plumbline_nets::{Description, Head, weights_to_bytes};
use plumbline_shared::durable::replace_file;

use super::error::WeightsImportError;

/// Imported weights, by the names of this program.
pub struct Imported {
    /// The network that they are for, their source and their classes.
    pub description: Description,
    /// An assumption on their source, in words, where the file does not tell.
    pub assumed: Option<&'static str>,
    pub(super) tensors: HashMap<String, Tensor>,
}

impl Imported {
    /// Sets the classes that the outputs answer for.
    ///
    /// # Errors
    /// If there is not one class for each output; a negative and a positive output of the study's
    /// head are for one.
    pub fn set_classes(&mut self, classes: Vec<String>) -> Result<(), WeightsImportError> {
        let outputs = match self.description.head {
            Head::Study => 1,
            Head::Linear { outputs } => outputs,
        };
        if classes.len() != outputs {
            return Err(WeightsImportError::Classes {
                outputs,
                given: classes.len(),
            });
        }
        self.description.classes = classes;
        Ok(())
    }

    /// Writes the weights to a safetensors file, whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), WeightsImportError> {
        let bytes = weights_to_bytes(&self.tensors, &self.description)?;
        Ok(replace_file(path, &bytes)?)
    }
}
