//! Namings of a network's tensors, told apart by the name of its first convolution.

use plumbline_shared::architecture::Architecture;

use super::place::{Layout, Place};
use super::{densenet, efficientnet};
use plumbline_nets::{Head, Shapes};

/// A naming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// torchvision's, which is also this program's.
    Torchvision {
        /// DenseNet's from before 2018: `norm.1` where there is now `norm1`.
        old: bool,
    },
    /// keras.applications'.
    Keras,
    /// efficientnet-pytorch's.
    Lukemelas,
    /// timm's.
    Timm,
}

impl Naming {
    /// Returns the naming of a file with these names, and the prefix of all of them.
    pub fn recognise<'a>(
        architecture: Architecture,
        names: impl Iterator<Item = &'a String> + Clone,
    ) -> Option<(Self, &'a str)> {
        let find = |first: &str| {
            names.clone().find_map(|name| {
                let prefix = name.strip_suffix(first)?;
                (prefix.is_empty() || prefix.ends_with(['.', '/'])).then_some(prefix)
            })
        };
        match architecture {
            Architecture::Densenet121 => {
                if let Some(prefix) = find("features.conv0.weight") {
                    let old = find("features.denseblock1.denselayer1.norm.1.weight").is_some();
                    return Some((Self::Torchvision { old }, prefix));
                }
                let stem = names
                    .clone()
                    .any(|name| densenet::from_keras(name) == "conv1_conv/kernel");
                stem.then_some((Self::Keras, ""))
            }
            Architecture::EfficientnetB0 => [
                ("features.0.0.weight", Self::Torchvision { old: false }),
                ("_conv_stem.weight", Self::Lukemelas),
                ("conv_stem.weight", Self::Timm),
            ]
            .into_iter()
            .find_map(|(first, naming)| Some((naming, find(first)?))),
            // No other library has it.
            Architecture::Gate => None,
        }
    }

    /// Returns a name of a file without the prefix of all of them.
    pub fn bare(self, name: &str, prefix: &str) -> String {
        match self {
            Self::Keras => densenet::from_keras(name),
            _ => name.strip_prefix(prefix).unwrap_or(name).to_owned(),
        }
    }

    /// Returns the head of a file of these tensors, and the name of its classifier if that is one
    /// layer. The head is a shape alone: it does not tell the classes.
    pub fn head(self, architecture: Architecture, shapes: &Shapes) -> (Head, &'static str) {
        let has = |layer: &&str| shapes.contains_key(&format!("{layer}.weight"));
        let study = architecture.head();
        if matches!(self, Self::Torchvision { .. }) && study.len() > 1 && study.iter().all(has) {
            return (Head::Study, "");
        }
        let classifier = match (self, architecture) {
            (Self::Torchvision { .. }, Architecture::EfficientnetB0) => "classifier.1",
            (Self::Torchvision { .. }, _) if has(&"classifier.0") => "classifier.0",
            (Self::Torchvision { .. } | Self::Timm, _) => "classifier",
            (Self::Lukemelas, _) => "_fc",
            (Self::Keras, _) if shapes.contains_key("fc1000/kernel") => "fc1000",
            (Self::Keras, _) => "predictions",
        };
        let outputs = match self {
            Self::Keras => shapes
                .get(&format!("{classifier}/kernel"))
                .and_then(|s| s.get(1)),
            _ => shapes
                .get(&format!("{classifier}.weight"))
                .and_then(|s| s.first()),
        };
        // A file that gives no believable number will be refused for its classifier's shape.
        let outputs = outputs
            .copied()
            .filter(|n| (1..=10_000).contains(n))
            .unwrap_or(1);
        let linear = Head::Linear { outputs };
        if linear.layers(architecture) == Head::Study.layers(architecture) {
            (Head::Study, classifier)
        } else {
            (linear, classifier)
        }
    }

    /// Returns the place of the network's tensor `ours` in a file of this naming whose classifier has
    /// this name.
    pub fn place(self, architecture: Architecture, classifier: &str, ours: &str) -> Place {
        if self == Self::Keras {
            return densenet::keras(classifier, ours);
        }
        let name = match (ours.strip_prefix("classifier."), self, architecture) {
            (Some(rest), ..) if !classifier.is_empty() => format!("{classifier}.{rest}"),
            (_, Self::Torchvision { old: true }, _) => densenet::old(ours),
            (_, Self::Lukemelas, _) => efficientnet::lukemelas(ours),
            (_, Self::Timm, _) => efficientnet::timm(ours),
            _ => ours.to_owned(),
        };
        Place {
            name,
            layout: Layout::OutputsFirst,
        }
    }
}
