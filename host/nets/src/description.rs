//! The description of a network in its weights file, as safetensors' metadata.
//!
//! | key | value |
//! |---|---|
//! | `architecture` | `efficientnet-b0` or `densenet121` |
//! | `source` | where the weights come from, such as `torchxrayvision`; `plumbline` for its own |
//! | `batch_norm_epsilon` | batch norms' constant under the root |
//! | `padding` | `symmetric` or `same` (right and below first, at stride 2) |
//! | `last_relu` | `yes` if a ReLU follows DenseNet's last batch norm, else `no` |
//! | `input` | `imagenet`, `signed-unit` (-1 to 1) or `one-channel-1024` (-1024 to 1024) |
//! | `head` | `study`, or `linear` for one layer of as many outputs as it has |
//! | `classes` | names of the classes that the outputs answer for as a JSON array, where they are known; `["scoliosis"]` of the study's networks |
//!
//! A file without them is taken for one of the two networks as torchvision computes it; its classes
//! are then unknown.

use std::collections::HashMap;

use plumbline_shared::architecture::Architecture;

use crate::head::Head;
use crate::variant::{Input, Variant};

/// The description of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The architecture; unknown in files without metadata.
    pub architecture: Option<Architecture>,
    /// The origin of the weights.
    pub source: String,
    /// The settings in which sources differ.
    pub variant: Variant,
    /// The layers after the features.
    pub head: Head,
    /// Names of the classes that the outputs answer for; empty where they are unknown. The study's
    /// head answers for one class, [`SCOLIOSIS`], by one output or two.
    pub classes: Vec<String>,
}

/// The class that the study's networks answer for.
pub const SCOLIOSIS: &str = "scoliosis";

/// The source of weights that were trained here.
const OWN: &str = "plumbline";

impl Description {
    /// The description of one of the study's networks, trained here.
    ///
    /// ```
    /// use plumbline_nets::{Description, Variant};
    /// use plumbline_shared::architecture::Architecture;
    ///
    /// let description = Description::of_study(Architecture::EfficientnetB0, Variant::default());
    /// assert_eq!(description.classes, ["scoliosis"]);
    /// ```
    pub fn of_study(architecture: Architecture, variant: Variant) -> Self {
        Self {
            architecture: Some(architecture),
            source: OWN.to_owned(),
            variant,
            head: Head::Study,
            classes: vec![SCOLIOSIS.to_owned()],
        }
    }

    /// Returns true if the network answers for scoliosis. The shape of its head does not tell that.
    pub fn reads_scoliosis(&self) -> bool {
        self.classes == [SCOLIOSIS]
    }

    /// The description as metadata.
    pub(super) fn metadata(&self) -> HashMap<String, String> {
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

    /// The description that metadata give; `outputs` is the number of the classifier's, where it
    /// has one layer.
    ///
    /// # Errors
    /// The first key whose value is not understood, and the value.
    pub(super) fn parse(
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
            classes: match classes.transpose().map_err(|_| unknown("classes"))? {
                Some(classes) => classes,
                // Trained here before files named their classes.
                None if get("source") == Some(OWN) && get("head") == Some("study") => {
                    vec![SCOLIOSIS.to_owned()]
                }
                None => Vec::new(),
            },
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::ops::Padding;

    /// A description that differs from the study's in everything.
    pub(crate) fn odd() -> Description {
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
    fn metadata_hold_everything() {
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
        assert!(!nothing.reads_scoliosis(), "a shape is no answer");
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
    fn weights_trained_before_classes_were_named_still_read_scoliosis() {
        let of = |source: &str, head: &str| {
            let entries = [("source", source), ("head", head)];
            let metadata = entries.map(|(key, value)| (key.to_owned(), value.to_owned()));
            Description::parse(&metadata.into(), Some(1)).unwrap()
        };
        assert!(of("plumbline", "study").reads_scoliosis());
        assert!(!of("plumbline", "linear").reads_scoliosis());
        assert!(!of("torchvision", "study").reads_scoliosis());
    }
}
