//! A training procedure as a TOML file.

use std::path::{Path, PathBuf};

use plumbline_shared::architecture::Architecture;
use plumbline_shared::clinical::Refusal;
use plumbline_shared::preprocess::SIDE;
use serde::{Deserialize, Serialize};

use super::augment::Augmentation;
use super::batches::Sampling;
use super::optimiser::{Algorithm, Rule};
use plumbline_nets::ops::Loss;
use plumbline_nets::{Description, Head, Precision, Variant};

/// A training procedure.
///
/// ```
/// use plumbline_host::train::{Recipe, Trained};
///
/// let recipe: Recipe = toml::from_str(
///     r#"
///     architecture = "densenet121"
///     seed = 1
///
///     [[round]]
///     train = "last-layer"
///     optimiser = "adam"
///     learning_rate = 0.001
///     batch = 16
///     epochs = 10
///     side = 256
///     "#,
/// )?;
/// assert_eq!(recipe.rounds[0].train, Trained::LastLayer);
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The network.
    pub architecture: Architecture,
    /// Draws the start, the batches, the augmentation and the dropout.
    pub seed: u64,
    /// Findings to tell instead of scoliosis, each by an output of its own, such as ChestX-ray14's:
    /// pretraining on a close domain, whose run is then another's `--init`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
    /// Share of the pooled features dropped before the head; without, the network's own (0 for
    /// DenseNet121, 0.2 for EfficientNet-B0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f32>,
    /// The precision of the computation; a CPU knows only `f32`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub precision: Precision,
    /// On the CPU computes the narrow middles of DenseNet121's layers again in the backward pass
    /// instead of keeping them: less memory, more time, the same result.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub recompute: bool,
    /// Threads that prepare batches beside those that compute; without, these do both. The result
    /// is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,
    /// The augmentation of rounds that have none of their own.
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
    /// The parameters that are trained.
    pub train: Trained,
    /// The optimiser.
    pub optimiser: Algorithm,
    /// The step size (its largest, where the schedule changes it).
    pub learning_rate: f64,
    /// Weight decay.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub weight_decay: f64,
    /// Momentum of `sgd`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub momentum: f64,
    /// The loss function.
    #[serde(default)]
    pub loss: Loss,
    /// The schedule of the step size over the round.
    #[serde(default)]
    pub schedule: Schedule,
    /// The way in which batches are drawn.
    #[serde(default)]
    pub sampling: Sampling,
    /// Films a batch; even where batches are balanced.
    pub batch: usize,
    /// Epochs, at most; validation follows each.
    pub epochs: usize,
    /// Ends the round after this many epochs without a better validation ROC-AUC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Share that a running average of the weights keeps at each step, such as 0.999: validation
    /// and the best weights are then the average's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<f64>,
    /// A round of the last layer computes the frozen features of each film once, for this many
    /// random placements, and draws from these.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub placements: usize,
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
    /// The augmentation of this round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<Augmentation>,
}

/// Limits that no training comes near.
const MOST_A_BATCH: usize = 4096;
const MOST_EPOCHS: usize = 100_000;
const MOST_FILMS: usize = 100_000_000;
const MOST_WORKERS: usize = 1024;

/// The parameters that a round trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trained {
    /// All.
    All,
    /// The parameters of the last dense layer; the features are computed as in evaluation.
    LastLayer,
}

/// The schedule of the step size over a round.
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

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn one() -> usize {
    1
}

fn is_one(value: &usize) -> bool {
    *value == 1
}

fn field_side() -> usize {
    SIDE
}

/// An error of a recipe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The file could not be read.
    #[error("cannot read the recipe {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The text is not a recipe.
    #[error("the recipe {path} is not understood: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The fault and its place.
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

    /// The head: the study's, or one output for each finding or for each reason to refuse a film.
    pub fn head(&self) -> Head {
        match (self.architecture, self.findings.len()) {
            (Architecture::Gate, _) => Head::Linear {
                outputs: Refusal::ALL.len(),
            },
            (_, 0) => Head::Study,
            (_, outputs) => Head::Linear { outputs },
        }
    }

    /// The description that is written into the file of the trained weights.
    pub fn description(&self, variant: Variant) -> Description {
        let own = Description::of_study(self.architecture, variant);
        Description {
            head: self.head(),
            classes: match (self.architecture, self.findings.is_empty()) {
                (Architecture::Gate, _) => Refusal::ALL.map(|r| r.name().to_owned()).to_vec(),
                (_, true) => own.classes,
                (_, false) => self.findings.clone(),
            },
            ..own
        }
    }

    /// The augmentation of one of its rounds.
    pub fn augmentation_of<'a>(&'a self, round: &'a Round) -> &'a Augmentation {
        round.augmentation.as_ref().unwrap_or(&self.augmentation)
    }

    fn fault(&self) -> Option<String> {
        if self.rounds.is_empty() {
            return Some("it has no [[round]]".into());
        }
        if self
            .dropout
            .is_some_and(|rate| !(0.0..=0.9).contains(&rate))
        {
            return Some("a dropout that is not 0 to 0.9".into());
        }
        if self.recompute && self.architecture != Architecture::Densenet121 {
            return Some("recompute, which only densenet121 takes; leave it out".into());
        }
        if self
            .workers
            .is_some_and(|count| !(1..=MOST_WORKERS).contains(&count))
        {
            return Some(format!("workers that are not 1 to {MOST_WORKERS}"));
        }
        if let Some(fault) = self.augmentation.fault() {
            return Some(fault);
        }
        let twice = |name: &&String| self.findings.iter().filter(|n| n == name).count() > 1;
        if let Some(name) = self.findings.iter().find(twice) {
            return Some(format!("the finding {name:?} is there twice"));
        }
        let balanced = |round: &Round| round.sampling == Sampling::Balanced;
        let of_gate = self.architecture == Architecture::Gate;
        if of_gate && !self.findings.is_empty() {
            return Some("findings, which a gate does not tell; leave them out".into());
        }
        if (of_gate || !self.findings.is_empty()) && self.rounds.iter().any(balanced) {
            return Some(
                "batches cannot be balanced for several outputs: give each round \
                 sampling = \"shuffled\""
                    .into(),
            );
        }
        self.rounds.iter().enumerate().find_map(|(index, round)| {
            let fault = round.fault()?;
            Some(format!("round {} has {fault}", index + 1))
        })
    }
}

impl Round {
    /// The optimiser with its numbers.
    pub fn rule(&self) -> Rule {
        Rule {
            algorithm: self.optimiser,
            weight_decay: self.weight_decay,
            momentum: self.momentum,
        }
    }

    /// The first value that is out of range, in words.
    fn fault(&self) -> Option<String> {
        let halves = self.sampling == Sampling::Balanced;
        if halves && !self.batch.is_multiple_of(2) {
            Some(format!("a batch of {}: give an even number", self.batch))
        } else if !(2..=MOST_A_BATCH).contains(&self.batch) {
            Some(format!(
                "a batch of {}: give 2 to {MOST_A_BATCH}",
                self.batch
            ))
        } else if self.epochs == 0 || self.films == Some(0) {
            Some("no epochs, or none with films".into())
        } else if self.epochs > MOST_EPOCHS || self.films.is_some_and(|films| films > MOST_FILMS) {
            Some(format!(
                "more than {MOST_EPOCHS} epochs, or than {MOST_FILMS} films in each"
            ))
        } else if self.patience == Some(0) {
            Some("a patience of 0 epochs: give 1 or more, or leave it out".into())
        } else if self.side < 64 || !SIDE.is_multiple_of(self.side) {
            Some(format!("a side of {}: give 64, 128 or 256", self.side))
        } else if !(0.0..=90.0).contains(&self.margin_degrees) {
            Some(format!(
                "a margin of {} degrees: give 0 to 90",
                self.margin_degrees
            ))
        } else if !(self.learning_rate > 0.0 && self.learning_rate <= 10.0) {
            Some(format!(
                "a learning rate of {}: give up to 10",
                self.learning_rate
            ))
        } else if !(0.0..=1.0).contains(&self.weight_decay) {
            Some(format!(
                "a weight decay of {}: give 0 to 1",
                self.weight_decay
            ))
        } else if !(0.0..1.0).contains(&self.momentum) {
            Some(format!(
                "a momentum of {}: give 0 to less than 1",
                self.momentum
            ))
        } else if self.momentum != 0.0 && self.optimiser != Algorithm::Sgd {
            Some("a momentum, which only sgd takes; leave it out".into())
        } else if self
            .average
            .is_some_and(|share| !(0.5..1.0).contains(&share))
        {
            Some("an average that keeps less than 0.5 or more than all".into())
        } else if !(1..=64).contains(&self.placements) {
            Some(format!("{} placements: give 1 to 64", self.placements))
        } else if self.placements != 1 && self.train != Trained::LastLayer {
            Some("placements, which only a round of the last layer takes; leave them out".into())
        } else {
            let augmentation = self.augmentation.as_ref();
            let varied = augmentation.and_then(Augmentation::fault);
            varied.or_else(|| self.loss.fault())
        }
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
        let pretraining = Recipe::read(&folder.join("pretrain-findings.toml")).unwrap();
        assert_eq!(pretraining.head(), Head::Linear { outputs: 14 });
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
        let top = |line: &str| fault(&format!("{head}{line}\n{round}batch = 4\nepochs = 1"));
        assert!(top("dropout = 1.0").contains("dropout"));
        assert!(top("workers = 0").contains("workers"));
        let other = "architecture = \"efficientnet-b0\"\nseed = 1\nrecompute = true\n";
        assert!(fault(&format!("{other}{round}batch = 4\nepochs = 1")).contains("recompute"));
        let whole = format!("{head}{round}batch = 4\nepochs = 1\n");
        let findings = |names: &str| {
            fault(&format!(
                "{head}findings = [{names}]\n{round}batch = 4\nepochs = 1"
            ))
        };
        assert!(findings("\"Mass\", \"Mass\"").contains("twice"));
        assert!(findings("\"Mass\"").contains("shuffled"));
        for (line, word) in [
            ("momentum = 0.9", "only sgd"),
            ("weight_decay = -0.1", "weight decay"),
            ("patience = 0", "patience"),
            ("films = 100000001", "films in each"),
            ("average = 1.0", "average"),
            ("placements = 3", "last layer"),
            ("loss = { focal = -1.0 }", "focal"),
            ("loss = { positive_weight = 0.0 }", "weight of positives"),
            ("sampling = \"weighted\"", "weighted"),
            ("augmentation = { rotation_degrees = 50.0 }", "rotation"),
        ] {
            let message = fault(&format!("{whole}{line}"));
            assert!(
                message.contains(word) && message.contains("recipe.toml"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_round_may_vary_films_in_its_own_way() {
        let round =
            "train = \"all\"\noptimiser = \"adam\"\nlearning_rate = 0.1\nbatch = 4\nepochs = 1";
        let text = format!(
            "architecture = \"densenet121\"\nseed = 1\naugmentation = {{ noise = 0.1 }}\n\
             [[round]]\n{round}\n[[round]]\n{round}\naugmentation = {{ mirror = true }}"
        );
        let recipe: Recipe = toml::from_str(&text).unwrap();
        let [first, second] = [0, 1].map(|at| recipe.augmentation_of(&recipe.rounds[at]));
        assert_eq!((first.noise, first.mirror), (0.1, false));
        assert_eq!((second.noise, second.mirror), (0.0, true));
    }

    #[test]
    fn the_cosine_schedule_rises_and_falls() {
        let share = |step| Schedule::Cosine.share(step, 200);
        assert_eq!((share(0), share(9), share(10)), (0.1, 1.0, 1.0));
        assert!((share(105) - 0.5).abs() < 1e-12);
        assert!(share(199) < 1e-3);
    }
}
