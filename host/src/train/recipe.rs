//! What a training does, as a TOML file.

use std::path::{Path, PathBuf};

use plumbline_shared::manifest::Architecture;
use plumbline_shared::preprocess::SIDE;
use serde::{Deserialize, Serialize};

use super::augment::Augmentation;
use super::optimiser::Algorithm;

/// A training procedure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The network.
    pub architecture: Architecture,
    /// Draws the start, the batches, the augmentation and the dropout.
    pub seed: u64,
    /// How films are varied.
    #[serde(default)]
    pub augmentation: Augmentation,
    /// The rounds, in order. Each begins with the best weights of the one before.
    #[serde(rename = "round")]
    pub rounds: Vec<Round>,
}

/// One round of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// Which parameters move.
    pub train: Trained,
    /// How they move.
    pub optimiser: Algorithm,
    /// The step size (its largest, where the schedule changes it).
    pub learning_rate: f64,
    /// How the step size changes over the round.
    #[serde(default)]
    pub schedule: Schedule,
    /// Films a batch, half of them positive, half negative; even.
    pub batch: usize,
    /// Epochs; validation follows each.
    pub epochs: usize,
    /// Films drawn an epoch; without, as many as the training set holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub films: Option<usize>,
    /// Leaves out training films whose Cobb angle is known and nearer than this to the 10 degrees
    /// that divide the classes: clear films first teach a network from scratch what to look at.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub margin_degrees: f32,
    /// The side that films are reduced to, in pixels: 256 as in the field, or 128 for quick
    /// rounds that come before.
    #[serde(default = "field_side")]
    pub side: usize,
}

/// Which parameters a round moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trained {
    /// All.
    All,
    /// Those of the last dense layer; the rest of the network runs as in evaluation.
    LastLayer,
}

/// How the step size changes over a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Not at all.
    #[default]
    Constant,
    /// Up in a line over the first twentieth of the steps, then down to zero along a half cosine.
    Cosine,
}

impl Schedule {
    /// The share of the step size at `step` of `steps`.
    pub fn share(self, step: usize, steps: usize) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine => {
                let warm = (steps / 20).max(1);
                if step < warm {
                    (step + 1) as f64 / warm as f64
                } else {
                    let done = (step - warm) as f64 / (steps - warm).max(1) as f64;
                    0.5 * (1.0 + (std::f64::consts::PI * done).cos())
                }
            }
        }
    }
}

fn is_zero(value: &f32) -> bool {
    *value == 0.0
}

fn field_side() -> usize {
    SIDE
}

/// Why a recipe cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The file could not be read.
    #[error("cannot read the recipe {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not a recipe.
    #[error("the recipe {path} is not understood: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What and where.
        source: Box<toml::de::Error>,
    },
    /// A value is out of range.
    #[error("the recipe {path} cannot be followed: {what}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The value and its range.
        what: String,
    },
}

impl Recipe {
    /// Reads and checks a recipe.
    ///
    /// # Errors
    /// If the file cannot be read, or is not a usable recipe.
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let text = std::fs::read_to_string(path).map_err(|source| RecipeError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let recipe: Self = toml::from_str(&text).map_err(|source| RecipeError::Malformed {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        match recipe.fault() {
            Some(what) => Err(RecipeError::Unusable {
                path: path.to_owned(),
                what,
            }),
            None => Ok(recipe),
        }
    }

    fn fault(&self) -> Option<String> {
        if self.rounds.is_empty() {
            return Some("it has no [[round]]".into());
        }
        if let Some(fault) = self.augmentation.fault() {
            return Some(fault);
        }
        self.rounds.iter().enumerate().find_map(|(index, round)| {
            let name = format!("round {}", index + 1);
            if round.batch < 2 || !round.batch.is_multiple_of(2) {
                Some(format!(
                    "{name} has a batch of {}: give an even number",
                    round.batch
                ))
            } else if round.epochs == 0 || round.films == Some(0) {
                Some(format!("{name} has no epochs, or none with films"))
            } else if round.side < 64 || !SIDE.is_multiple_of(round.side) {
                Some(format!(
                    "{name} has a side of {}: give 64, 128 or 256",
                    round.side
                ))
            } else if !(0.0..=90.0).contains(&round.margin_degrees) {
                Some(format!(
                    "{name} has a margin of {} degrees",
                    round.margin_degrees
                ))
            } else if !(round.learning_rate > 0.0 && round.learning_rate <= 10.0) {
                Some(format!(
                    "{name} has a learning rate of {}",
                    round.learning_rate
                ))
            } else {
                None
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_study_s_recipes_are_as_the_study_says() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes");
        let efficientnet = Recipe::read(&folder.join("efficientnet.toml")).unwrap();
        assert_eq!(efficientnet.architecture, Architecture::EfficientnetB0);
        assert_eq!(efficientnet.rounds.len(), 1);
        assert_eq!(efficientnet.rounds[0].batch, 20);
        assert_eq!(efficientnet.rounds[0].optimiser, Algorithm::Adagrad);
        let chexnet = Recipe::read(&folder.join("chexnet.toml")).unwrap();
        assert_eq!(chexnet.architecture, Architecture::Densenet121);
        let [first, second] = &chexnet.rounds[..] else {
            panic!("two rounds")
        };
        assert_eq!(
            (first.train, second.train),
            (Trained::LastLayer, Trained::All)
        );
        assert_eq!((first.learning_rate, second.learning_rate), (1e-3, 1e-4));
        for round in [first, second] {
            assert_eq!((round.batch, round.epochs), (16, 10));
            assert_eq!(round.optimiser, Algorithm::Adam);
        }
    }

    #[test]
    fn faults_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recipe.toml");
        let fault = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Recipe::read(&path).unwrap_err().to_string()
        };
        let round = "[[round]]\ntrain = \"all\"\noptimiser = \"adam\"\nlearning_rate = 0.1\n";
        let head = "architecture = \"densenet121\"\nseed = 1\n";
        assert!(fault(&format!("{head}{round}batch = 3\nepochs = 1")).contains("even"));
        assert!(fault(&format!("{head}{round}batch = 4\nepochs = 0")).contains("no epochs"));
        assert!(fault(&format!("{head}{round}batch = 4\nepochs = 1\nside = 100")).contains("128"));
        assert!(fault(&format!("{head}{round}batch = 4\nepoch = 1")).contains("epoch"));
        assert!(fault(&format!("{head}round = []")).contains("round"));
    }

    #[test]
    fn the_cosine_schedule_rises_and_falls() {
        let share = |step| Schedule::Cosine.share(step, 200);
        assert_eq!((share(0), share(9), share(10)), (0.1, 1.0, 1.0));
        assert!((share(105) - 0.5).abs() < 1e-12);
        assert!(share(199) < 1e-3);
    }
}
