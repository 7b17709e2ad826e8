//! Weights on disk: safetensors whose metadata say what network they are of.
//!
//! | key | value |
//! |---|---|
//! | `architecture` | `efficientnet-b0` or `densenet121` |
//! | `source` | where the weights come from, such as `torchxrayvision`; `plumbline` for its own |
//! | `batch_norm_epsilon` | batch norms' constant under the root |
//! | `padding` | `symmetric` or `same` (right and below first, at stride 2) |
//! | `last_relu` | `yes` or `no`: whether a ReLU follows DenseNet's last batch norm |
//! | `input` | `imagenet`, `signed-unit` (-1 to 1) or `one-channel-1024` (-1024 to 1024) |
//! | `head` | `study`, or `linear` for one layer of as many outputs as it has |
//! | `classes` | the outputs' names as a JSON array, where they are known |
//!
//! A file without them is taken for one of the study's networks as torchvision computes it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use plumbline_shared::manifest::Architecture;
use safetensors::SafeTensors;

use super::head::is_of_head;
use super::{Head, Input, Parameters, Variant};

/// Why weights could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file could not be read as safetensors.
    #[error(
        "cannot read the weights {path}: {source}; give a safetensors file, which `plumbline \
         weights import` makes of others"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What Candle said.
        source: candle_core::Error,
    },
    /// The file says something of its network that this program does not know.
    #[error(
        "the weights {path} give {key} as {value:?}, which this program does not know; import them \
         again with this version"
    )]
    Metadata {
        /// The file.
        path: PathBuf,
        /// The metadata's key.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// The file is of the other architecture.
    #[error("the weights {path} are of {found}; give weights of {expected}")]
    Architecture {
        /// The file.
        path: PathBuf,
        /// What the file says.
        found: Architecture,
        /// What was asked for.
        expected: Architecture,
    },
    /// Names or shapes are not the network's.
    #[error(
        "the weights {path} are not this network's: {misfits}; give this architecture's weights, \
         imported by `plumbline weights import` if they come from elsewhere"
    )]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The tensors that do not fit.
        misfits: Box<Misfits>,
    },
}

/// Shapes by name.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// Tensors that do not fit a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Misfits {
    missing: Vec<String>,
    extra: Vec<String>,
    misshaped: Vec<String>,
}

impl Misfits {
    /// What keeps `found` from being exactly `expected`, if anything does.
    pub fn between(found: &Shapes, expected: &Shapes) -> Option<Self> {
        let mut misfits = Self::default();
        for (name, shape) in expected {
            match found.get(name) {
                None => misfits.missing.push(name.clone()),
                Some(other) if other != shape => misfits
                    .misshaped
                    .push(format!("{name} is {other:?} instead of {shape:?}")),
                Some(_) => {}
            }
        }
        let extra = found.keys().filter(|name| !expected.contains_key(*name));
        misfits.extra = extra.cloned().collect();
        (misfits != Self::default()).then_some(misfits)
    }
}

impl Display for Misfits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("missing", &self.missing),
            ("extra", &self.extra),
            ("of another shape", &self.misshaped),
        ];
        let mut between = "";
        for (what, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
            write!(f, "{between}{what}: {}", shortened(names))?;
            between = "; ";
        }
        Ok(())
    }
}

/// Up to ten of `names`, and how many more there are.
pub fn shortened(names: &[String]) -> String {
    const MOST: usize = 10;
    match names.len().checked_sub(MOST) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..MOST].join(", ")),
    }
}

/// What a file says of its network.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The network; unknown in files that say nothing.
    pub architecture: Option<Architecture>,
    /// Where the weights come from.
    pub source: String,
    /// How the network computes.
    pub variant: Variant,
    /// What follows the features.
    pub head: Head,
    /// The outputs' names, or none.
    pub classes: Vec<String>,
}

impl Description {
    /// What describes the weights of one of the study's networks, trained here.
    pub fn of_study(architecture: Architecture, variant: Variant) -> Self {
        Self {
            architecture: Some(architecture),
            source: "plumbline".to_owned(),
            variant,
            head: Head::Study,
            classes: Vec::new(),
        }
    }

    /// The metadata that say it.
    fn metadata(&self) -> HashMap<String, String> {
        let Variant {
            epsilon,
            padding,
            last_relu,
            input,
        } = self.variant;
        let mut entries = vec![
            ("source", self.source.clone()),
            ("batch_norm_epsilon", epsilon.to_string()),
            ("padding", word(padding)),
            ("last_relu", if last_relu { "yes" } else { "no" }.to_owned()),
            ("input", word(input)),
            (
                "head",
                match self.head {
                    Head::Study => "study",
                    Head::Linear { .. } => "linear",
                }
                .to_owned(),
            ),
        ];
        if let Some(architecture) = self.architecture {
            entries.push(("architecture", architecture.to_string()));
        }
        if !self.classes.is_empty() {
            entries.push(("classes", serde_json::json!(self.classes).to_string()));
        }
        entries
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }

    /// What metadata say; `outputs` is the number of the classifier's, where it has one layer.
    ///
    /// # Errors
    /// The first key whose value is not understood, and the value.
    fn parse(
        metadata: &HashMap<String, String>,
        outputs: Option<usize>,
    ) -> Result<Self, (&'static str, String)> {
        let get = |key: &'static str| metadata.get(key).map(String::as_str);
        let unknown = |key| (key, get(key).unwrap_or_default().to_owned());
        let standard = Variant::default();
        let architecture = get("architecture").map(|name| name.parse());
        let classes = get("classes").map(serde_json::from_str);
        Ok(Self {
            architecture: architecture
                .transpose()
                .map_err(|_| unknown("architecture"))?,
            source: get("source").unwrap_or("unknown").to_owned(),
            variant: Variant {
                epsilon: match get("batch_norm_epsilon").map(str::parse) {
                    None => standard.epsilon,
                    Some(Ok(epsilon)) if epsilon > 0.0 && epsilon < 1.0 => epsilon,
                    Some(_) => return Err(unknown("batch_norm_epsilon")),
                },
                padding: match get("padding") {
                    None => standard.padding,
                    Some(word) => from_word(word).ok_or_else(|| unknown("padding"))?,
                },
                last_relu: match get("last_relu") {
                    None => standard.last_relu,
                    Some("yes") => true,
                    Some("no") => false,
                    Some(_) => return Err(unknown("last_relu")),
                },
                input: match get("input") {
                    None => Input::Imagenet,
                    Some(word) => from_word(word).ok_or_else(|| unknown("input"))?,
                },
            },
            head: match (get("head"), outputs) {
                (None | Some("study"), _) => Head::Study,
                (Some("linear"), Some(outputs)) => Head::Linear { outputs },
                _ => return Err(unknown("head")),
            },
            classes: classes
                .transpose()
                .map_err(|_| unknown("classes"))?
                .unwrap_or_default(),
        })
    }
}

/// A value of an enumeration as the word that stands for it in files.
fn word(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn from_word<T: serde::de::DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}

/// A weights file, read.
pub struct WeightsFile {
    path: PathBuf,
    /// What it says of its network.
    pub description: Description,
    tensors: HashMap<String, Tensor>,
}

impl WeightsFile {
    /// Reads a file.
    ///
    /// # Errors
    /// If it is no safetensors file, or says something that is not understood.
    pub fn read(path: &Path, device: &Device) -> Result<Self, WeightsError> {
        let unreadable = |source: candle_core::Error| WeightsError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let bytes = std::fs::read(path).map_err(|error| unreadable(error.into()))?;
        let (_, header) =
            SafeTensors::read_metadata(&bytes).map_err(|error| unreadable(error.into()))?;
        let tensors = candle_core::safetensors::load_buffer(&bytes, device).map_err(unreadable)?;
        let outputs = tensors.get("classifier.weight").map(|w| w.dims()[0]);
        let metadata = header.metadata().clone().unwrap_or_default();
        let description = Description::parse(&metadata, outputs).map_err(|(key, value)| {
            WeightsError::Metadata {
                path: path.to_owned(),
                key,
                value,
            }
        })?;
        Ok(Self {
            path: path.to_owned(),
            description,
            tensors,
        })
    }

    /// Refuses a file that says it is of another architecture.
    ///
    /// # Errors
    /// If it is.
    pub fn expect(&self, expected: Architecture) -> Result<(), WeightsError> {
        match self.description.architecture {
            Some(found) if found != expected => Err(WeightsError::Architecture {
                path: self.path.clone(),
                found,
                expected,
            }),
            _ => Ok(()),
        }
    }

    /// Whether its head is the study's of this architecture.
    pub fn has_study_head(&self, architecture: Architecture) -> bool {
        let layers = Head::Study.layers(architecture);
        let fits = |name: String, shape: &[usize]| {
            let tensor = self.tensors.get(&name);
            tensor.is_some_and(|tensor| tensor.dims() == shape)
        };
        layers.iter().all(|&(name, inputs, outputs)| {
            fits(format!("{name}.weight"), &[outputs, inputs])
                && fits(format!("{name}.bias"), &[outputs])
        })
    }

    /// Sets every parameter and statistic.
    ///
    /// # Errors
    /// If names or shapes are not exactly the network's; then nothing is changed.
    pub fn give_all(self, parameters: &Parameters) -> Result<(), WeightsError> {
        self.give(parameters, |_| true)
    }

    /// Sets every parameter and statistic of the features, and those of the head if it is the
    /// study's; else the head stays as it is.
    ///
    /// # Errors
    /// If names or shapes of the features are not exactly the network's; then nothing is changed.
    pub fn give_features(
        self,
        architecture: Architecture,
        parameters: &Parameters,
    ) -> Result<(), WeightsError> {
        let head = self.has_study_head(architecture);
        self.give(parameters, |name| head || !is_of_head(name))
    }

    fn give(
        mut self,
        parameters: &Parameters,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(), WeightsError> {
        let own = parameters.tensors();
        let shapes = |tensors: &HashMap<String, Tensor>| -> Shapes {
            let tensors = tensors.iter().filter(|(name, _)| wanted(name));
            tensors
                .map(|(name, tensor)| (name.clone(), tensor.dims().to_vec()))
                .collect()
        };
        if let Some(misfits) = Misfits::between(&shapes(&self.tensors), &shapes(&own)) {
            return Err(WeightsError::Mismatch {
                path: self.path,
                misfits: Box::new(misfits),
            });
        }
        let mut take = |name: &str| match wanted(name) {
            true => self.tensors.remove(name),
            false => own.get(name)?.copy().ok(),
        };
        parameters
            .restore(&mut take)
            .map_err(|source| WeightsError::Unreadable {
                path: self.path,
                source,
            })
    }
}

/// Writes tensors with what describes them to a safetensors file.
///
/// # Errors
/// Candle's, if the file cannot be written.
pub fn write_weights(
    path: &Path,
    tensors: &HashMap<String, Tensor>,
    description: &Description,
) -> candle_core::Result<()> {
    let metadata = Some(description.metadata());
    Ok(safetensors::serialize_to_file(tensors, metadata, path)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nets::Network;
    use crate::nets::ops::Padding;

    fn odd() -> Description {
        Description {
            architecture: Some(Architecture::Densenet121),
            source: "somewhere".into(),
            variant: Variant {
                epsilon: 1.001e-5,
                padding: Padding::Same,
                last_relu: false,
                input: Input::OneChannel1024,
            },
            head: Head::Linear { outputs: 3 },
            classes: ["a", "b;", "\"c\""].map(String::from).into(),
        }
    }

    #[test]
    fn metadata_say_everything() {
        for description in [
            odd(),
            Description::of_study(Architecture::EfficientnetB0, Variant::default()),
        ] {
            let metadata = description.metadata();
            assert_eq!(Description::parse(&metadata, Some(3)), Ok(description));
        }
        let nothing = Description::parse(&HashMap::new(), None).unwrap();
        assert_eq!(nothing.variant, Variant::default());
        assert_eq!((nothing.head, nothing.architecture), (Head::Study, None));
        for key in [
            "architecture",
            "batch_norm_epsilon",
            "padding",
            "last_relu",
            "input",
            "head",
            "classes",
        ] {
            let mut metadata = odd().metadata();
            metadata.insert(key.into(), "-1".into());
            let refused = Description::parse(&metadata, Some(3)).unwrap_err();
            assert_eq!(refused, (key, "-1".to_owned()));
        }
    }

    #[test]
    fn features_are_taken_without_the_head() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let architecture = Architecture::Densenet121;
        let head = Head::Linear { outputs: 3 };
        let variant = odd().variant;
        let network = |head, seed| {
            let mut parameters = Parameters::new(&Device::Cpu, seed);
            Network::build(architecture, variant, head, &mut parameters).unwrap();
            parameters
        };
        let values = |parameters: &Parameters, name: &str| -> Vec<f32> {
            let tensor = &parameters.tensors()[name];
            tensor.flatten_all().unwrap().to_vec1().unwrap()
        };
        let source = network(head, 1);
        source.save(&path, &odd()).unwrap();
        let file = WeightsFile::read(&path, &Device::Cpu).unwrap();
        assert_eq!(file.description, odd());
        assert!(!file.has_study_head(architecture));

        let begun = network(Head::Study, 2);
        let drawn = values(&begun, "classifier.weight");
        file.give_features(architecture, &begun).unwrap();
        let conv = "features.conv0.weight";
        assert_eq!(values(&begun, conv), values(&source, conv));
        assert_eq!(values(&begun, "classifier.weight"), drawn);

        let whole = WeightsFile::read(&path, &Device::Cpu).unwrap();
        let refused = whole.give_all(&begun).unwrap_err().to_string();
        let expected = "of another shape: classifier.bias is [3] instead of [1], classifier.weight";
        assert!(refused.contains(expected), "{refused}");
    }

    #[test]
    fn misfits_are_listed_up_to_ten() {
        let shapes = |names: std::ops::Range<usize>| -> Shapes {
            names.map(|i| (format!("t{i:02}"), vec![i])).collect()
        };
        let misfits = Misfits::between(&shapes(0..2), &shapes(1..14)).unwrap();
        let text = misfits.to_string();
        assert!(text.starts_with("missing: t02, t03"), "{text}");
        assert!(text.ends_with("t11 and 2 more; extra: t00"), "{text}");
        assert_eq!(Misfits::between(&shapes(0..2), &shapes(0..2)), None);
    }
}
