//! What a weights file says of its network, in safetensors' metadata.
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

use std::collections::HashMap;

use plumbline_shared::manifest::Architecture;

use super::{Head, Input, Variant};

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

    /// What metadata say; `outputs` is the number of the classifier's, where it has one layer.
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::nets::ops::Padding;

    /// One that differs from the study's in everything.
    pub(in crate::nets) fn odd() -> Description {
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
}
