//! The sources of pretrained weights, and the peculiarities of each.

use plumbline_shared::architecture::Architecture;

use super::names::Naming;
use plumbline_nets::ops::Padding;
use plumbline_nets::{Input, Shapes, Variant};

/// A source of pretrained weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// torchvision's DenseNet121 (names of before or after 2018, also timm's) or EfficientNet-B0.
    Torchvision,
    /// arnoweng/CheXNet: DenseNet121, 14 findings of ChestX-ray14.
    Chexnet,
    /// torchxrayvision's DenseNet121: one channel from -1024 to 1024, 18 findings.
    Torchxrayvision,
    /// brucechou1983's CheXNet for Keras: DenseNet121 without the last ReLU, 14 findings.
    KerasChexnet,
    /// keras.applications' DenseNet121.
    Keras,
    /// lukemelas' EfficientNet-B0 (efficientnet-pytorch): TensorFlow's padding and epsilon.
    Lukemelas,
    /// The same trained with AdvProp: channels from -1 to 1.
    LukemelasAdvprop,
    /// timm's efficientnet_b0: PyTorch's padding and epsilon.
    Timm,
    /// timm's tf_efficientnet_b0: TensorFlow's padding and epsilon.
    TimmTf,
    /// The same trained with AdvProp: channels from -1 to 1.
    TimmTfAdvprop,
}

/// ChestX-ray14's findings in CheXNet's order.
const CHEST_XRAY_14: [&str; 14] = [
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
];

/// torchxrayvision's findings in its order; a model that was trained on one collection knows some
/// of them only.
const TORCHXRAYVISION: [&str; 18] = [
    "Atelectasis",
    "Consolidation",
    "Infiltration",
    "Pneumothorax",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Effusion",
    "Pneumonia",
    "Pleural_Thickening",
    "Cardiomegaly",
    "Nodule",
    "Mass",
    "Hernia",
    "Lung Lesion",
    "Fracture",
    "Lung Opacity",
    "Enlarged Cardiomediastinum",
];

/// TensorFlow's epsilon in EfficientNet's batch norms.
const TENSORFLOW_EPSILON: f32 = 1e-3;

/// Keras' epsilon in DenseNet's batch norms.
const KERAS_EPSILON: f32 = 1.001e-5;

impl Source {
    /// Returns the name used in files and on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Torchvision => "torchvision",
            Self::Chexnet => "chexnet",
            Self::Torchxrayvision => "torchxrayvision",
            Self::KerasChexnet => "keras-chexnet",
            Self::Keras => "keras",
            Self::Lukemelas => "lukemelas",
            Self::LukemelasAdvprop => "lukemelas-advprop",
            Self::Timm => "timm",
            Self::TimmTf => "timm-tf",
            Self::TimmTfAdvprop => "timm-tf-advprop",
        }
    }

    /// Returns the source of a file of this naming and these tensors, and an assumption, in words,
    /// where names and shapes do not tell.
    pub(super) fn of(
        architecture: Architecture,
        naming: Naming,
        shapes: &Shapes,
        outputs: usize,
    ) -> (Self, Option<&'static str>) {
        match naming {
            Naming::Torchvision { .. } if architecture == Architecture::EfficientnetB0 => {
                (Self::Torchvision, None)
            }
            Naming::Torchvision { .. } => {
                let stem = shapes.get("features.conv0.weight");
                if stem.is_some_and(|shape| shape.get(1) == Some(&1)) {
                    (Self::Torchxrayvision, None)
                } else if outputs != CHEST_XRAY_14.len() {
                    (Self::Torchvision, None)
                } else if shapes.contains_key("classifier.0.weight") {
                    (Self::Chexnet, None)
                } else {
                    let assumed = "its 14 outputs have no names that it tells; give --source \
                                   chexnet if they are ChestX-ray14's in CheXNet's order";
                    (Self::Torchvision, Some(assumed))
                }
            }
            Naming::Keras if outputs == CHEST_XRAY_14.len() => (
                Self::KerasChexnet,
                Some(
                    "by its 14 outputs it was taken for brucechou1983's CheXNet, which has no \
                     ReLU after the last batch norm; give --source keras if its network has one",
                ),
            ),
            Naming::Keras => (
                Self::Keras,
                Some(
                    "it was taken for a network with a ReLU after the last batch norm, as Keras \
                     has it since 2018; give --source keras-chexnet if its network has none",
                ),
            ),
            Naming::Lukemelas => (
                Self::Lukemelas,
                Some(
                    "its names do not tell whether it was trained with AdvProp, and it was taken \
                     for one that was not; give --source lukemelas-advprop if it was",
                ),
            ),
            Naming::Timm => (
                Self::Timm,
                Some(
                    "timm's efficientnet_b0 and tf_efficientnet_b0 have the same names, and it \
                     was taken for the first; give --source timm-tf (or timm-tf-advprop) if it is \
                     the second",
                ),
            ),
        }
    }

    /// Returns true if its files of this architecture have this naming.
    pub(super) fn has(self, architecture: Architecture, naming: Naming) -> bool {
        match (naming, architecture) {
            (Naming::Torchvision { .. }, Architecture::EfficientnetB0) => {
                matches!(self, Self::Torchvision)
            }
            (Naming::Torchvision { .. }, Architecture::Densenet121) => matches!(
                self,
                Self::Torchvision | Self::Chexnet | Self::Torchxrayvision | Self::Timm
            ),
            (Naming::Keras, _) => matches!(self, Self::Keras | Self::KerasChexnet),
            (Naming::Lukemelas, _) => matches!(self, Self::Lukemelas | Self::LukemelasAdvprop),
            (Naming::Torchvision { .. }, Architecture::Gate) => false,
            (Naming::Timm, _) => matches!(self, Self::Timm | Self::TimmTf | Self::TimmTfAdvprop),
        }
    }

    /// Returns the variant of its networks.
    pub fn variant(self) -> Variant {
        let standard = Variant::default();
        let tensorflow = Variant {
            epsilon: TENSORFLOW_EPSILON,
            padding: Padding::Same,
            ..standard
        };
        match self {
            Self::Torchvision | Self::Chexnet | Self::Timm => standard,
            Self::Torchxrayvision => Variant {
                input: Input::OneChannel1024,
                ..standard
            },
            Self::KerasChexnet => Variant {
                epsilon: KERAS_EPSILON,
                last_relu: false,
                ..standard
            },
            Self::Keras => Variant {
                epsilon: KERAS_EPSILON,
                ..standard
            },
            Self::Lukemelas | Self::TimmTf => tensorflow,
            Self::LukemelasAdvprop | Self::TimmTfAdvprop => Variant {
                input: Input::SignedUnit,
                ..tensorflow
            },
        }
    }

    /// Returns the names of its outputs, where they are known.
    pub(super) fn classes(self, outputs: usize) -> Vec<String> {
        let names: &[&str] = match self {
            Self::Chexnet | Self::KerasChexnet => &CHEST_XRAY_14,
            Self::Torchxrayvision => &TORCHXRAYVISION,
            _ => &[],
        };
        if names.len() == outputs {
            names.iter().map(ToString::to_string).collect()
        } else {
            Vec::new()
        }
    }
}
