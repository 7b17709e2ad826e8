//! The model card: what a bundle is, where it comes from and how well it does, for people.

use std::fmt::Write;

use plumbline_shared::architecture::Architecture;

use super::weights::StoragePrecision;
use crate::evaluate::Measures;
use crate::train::{Epoch, Recipe, Record};

/// The contents of a card.
pub struct Card<'a> {
    /// The model's name.
    pub model: &'a str,
    /// The model's version.
    pub model_version: &'a str,
    /// The precision of its stored weights.
    pub precision: StoragePrecision,
    /// The recipe of its training.
    pub recipe: &'a Recipe,
    /// The material of its training.
    pub record: &'a Record,
    /// The epochs of its training.
    pub epochs: &'a [Epoch],
    /// The cohort that calibrated it.
    pub calibration: &'a str,
    /// The number of its films that could not be used.
    pub left_out: usize,
    /// Its decision threshold.
    pub threshold: f64,
    /// The sensitivity that the threshold was chosen for, if it was.
    pub sensitivity: Option<f64>,
    /// Its measures on the calibration cohort's test films.
    pub test: &'a Measures,
    /// ROC-AUC of the run in floating point on the same films, where they are of both classes.
    pub float_auc: Option<f64>,
    /// Remarks of those who made it, in Markdown.
    pub remarks: &'a str,
}

impl Card<'_> {
    /// The card in Markdown.
    ///
    /// # Errors
    /// If the recipe cannot be written as TOML.
    pub fn markdown(&self) -> Result<String, toml::ser::Error> {
        let network = match self.recipe.architecture {
            Architecture::EfficientnetB0 => "EfficientNet-B0 with a head of 1280-512-128-2",
            Architecture::Densenet121 => "DenseNet121 with a head of 1024-1 (CheXNet's shape)",
            Architecture::Gate => "seven convolutions with a head of 128-12",
        };
        let weights = match self.precision {
            StoragePrecision::F32 => "32-bit floats",
            StoragePrecision::Int8 => "8-bit integers, one scale an output channel",
        };
        let chosen = match self.sensitivity {
            Some(share) => format!(
                "the largest threshold that finds {:.1} % of the positives",
                100.0 * share
            ),
            None => "the threshold with the largest sensitivity + specificity".into(),
        };
        let mut text = format!(
            "# {} {}\n\nReads a frontal chest film and gives the probability that it shows \
             scoliosis (Cobb angle of 10 degrees or more). A screening aid for trained staff: it \
             points out films for a specialist's look and makes no diagnosis.\n\n\
             - Network: {network}.\n- Weights: {weights}.\n- Positive from a probability of {:.4}, \
             {chosen} on the validation films of the calibration cohort.\n- Preprocessing: `{}`.\n",
            self.model, self.model_version, self.threshold, self.record.preprocessing
        );
        if !self.remarks.trim().is_empty() {
            let _ = write!(text, "\n{}\n", self.remarks.trim());
        }
        let _ = write!(
            text,
            "\n## Measured\n\nThis bundle, weights and threshold as shipped, on the held-out test \
             films of the calibration cohort (`{}`):\n\n```text\n{}\n```\n",
            self.calibration, self.test,
        );
        if let Some(float_auc) = self.float_auc {
            let _ = write!(
                text,
                "\nThe run in floating point reaches a ROC-AUC of {:.3} % on the same films.\n",
                float_auc * 100.0
            );
        }
        if self.left_out + self.record.left_out > 0 {
            let _ = write!(
                text,
                "\nFilms that could not be used and were left out: {} in training, {} in \
                 calibration.\n",
                self.record.left_out, self.left_out
            );
        }
        let recipe = toml::to_string(self.recipe)?;
        let start = self.record.initial_weights.as_deref().map_or_else(
            || "drawn from the recipe's seed".to_owned(),
            |digest| format!("a file with SHA-256 `{digest}`"),
        );
        let source = if self.record.variant.is_default() {
            String::new()
        } else {
            format!(
                " (the network computes as theirs did: {})",
                self.record.variant
            )
        };
        let _ = write!(
            text,
            "\n## Training\n\nCohort `{}`; initial weights {start}{source}; plumbline {}. The recipe:\n\n\
             ```toml\n{}\n```\n\n| round | epoch | loss | validation loss | validation ROC-AUC | \
             |\n|---|---|---|---|---|---|\n",
            self.record.cohort,
            self.record.plumbline,
            recipe.trim()
        );
        for epoch in self.epochs {
            let _ = writeln!(
                text,
                "| {} | {} | {:.4} | {:.4} | {:.4} | {} |",
                epoch.round,
                epoch.epoch,
                epoch.loss,
                epoch.validation_loss,
                epoch.validation_roc_auc,
                if epoch.best { "best so far" } else { "" }
            );
        }
        Ok(text)
    }
}
