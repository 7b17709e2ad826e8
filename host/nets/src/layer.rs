//! The layers of the networks between which maps can be read and put back, as Grad-CAM at an inner
//! layer needs.

use std::fmt;

/// A part of a network's features, from maps to maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layer {
    /// The first convolution with its batch norm and activation.
    Stem,
    /// DenseNet's max pool after the stem.
    Pool,
    /// A dense block of DenseNet, numbered from 1.
    DenseBlock(usize),
    /// The transition of DenseNet that follows the dense block of the same number.
    Transition(usize),
    /// A stage of EfficientNet's inverted bottlenecks, numbered from 1.
    Stage(usize),
    /// DenseNet's last batch norm, with its ReLU where the variant has one; EfficientNet's last
    /// convolution with its batch norm and SiLU.
    Last,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stem => f.write_str("stem"),
            Self::Pool => f.write_str("pool"),
            Self::DenseBlock(number) => write!(f, "dense block {number}"),
            Self::Transition(number) => write!(f, "transition {number}"),
            Self::Stage(number) => write!(f, "stage {number}"),
            Self::Last => f.write_str("last layer"),
        }
    }
}

/// The error of a layer that a network does not have.
pub(super) fn no_such_layer(layer: Layer) -> candle_core::Error {
    candle_core::Error::msg(format!(
        "the network has no {layer}; ask for one of its own"
    ))
}
