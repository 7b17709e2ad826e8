//! What the sources of pretrained weights do otherwise than the study's networks.

use std::fmt::{self, Display};

use candle_core::{Result, Tensor};
use plumbline_shared::preprocess::{DEVIATION, MEAN};
use serde::{Deserialize, Serialize};

use super::ops::Padding;

/// How a network of one of the architectures computes, where its sources differ. The default is
/// torchvision's way.
///
/// It belongs to the weights: they were trained with it and mean little without it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Variant {
    /// Batch norms' constant under the root.
    pub epsilon: f32,
    /// Where zeros lie around the maps of strided convolutions (EfficientNet's; DenseNet's only
    /// one has them on every side in all sources).
    pub padding: Padding,
    /// Whether a ReLU follows the last batch norm (DenseNet's; EfficientNet has its SiLU there in
    /// all sources).
    pub last_relu: bool,
    /// What the first convolution takes.
    pub input: Input,
}

impl Default for Variant {
    fn default() -> Self {
        Self {
            epsilon: 1e-5,
            padding: Padding::Symmetric,
            last_relu: true,
            input: Input::Imagenet,
        }
    }
}

impl Variant {
    /// Whether it is the default.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let padding = match self.padding {
            Padding::Symmetric => "symmetric padding",
            Padding::Same => "TensorFlow's padding",
        };
        let input = match self.input {
            Input::Imagenet => "three channels normalised by ImageNet's mean and deviation",
            Input::SignedUnit => "three channels from -1 to 1",
            Input::OneChannel1024 => "one channel from -1024 to 1024",
        };
        write!(f, "epsilon {:e}, {padding}, {input}", self.epsilon)?;
        if !self.last_relu {
            f.write_str(", no ReLU after the last batch norm")?;
        }
        Ok(())
    }
}

/// The values that a network's first convolution takes. Every network is given films as they are
/// prepared and turns them into these itself, so that zero padding means what it meant to the
/// source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// Three channels, each 0 to 1 less ImageNet's mean and divided by its deviation: as films are
    /// prepared.
    #[default]
    Imagenet,
    /// Three channels from -1 to 1.
    SignedUnit,
    /// One channel from -1024 to 1024.
    #[serde(rename = "one-channel-1024")]
    OneChannel1024,
}

impl Input {
    /// Channels of the first convolution.
    pub const fn channels(self) -> usize {
        match self {
            Self::Imagenet | Self::SignedUnit => 3,
            Self::OneChannel1024 => 1,
        }
    }

    /// Factors and summands, one a channel, that turn the first channels of a prepared film into
    /// this; nothing where it is that already.
    pub fn from_prepared(self) -> Option<(Vec<f32>, Vec<f32>)> {
        let half_range = match self {
            Self::Imagenet => return None,
            Self::SignedUnit => 1.0,
            Self::OneChannel1024 => 1024.0,
        };
        let channels = MEAN.iter().zip(DEVIATION).take(self.channels());
        Some(
            channels
                .map(|(mean, deviation)| {
                    let factor = 2.0 * half_range * deviation;
                    (factor, (2.0 * mean - 1.0) * half_range)
                })
                .unzip(),
        )
    }

    /// Prepared films, `N x 3 x S x S`, as the first convolution takes them.
    ///
    /// # Errors
    /// Candle's, if `x` has another shape.
    pub fn adapt(self, x: &Tensor) -> Result<Tensor> {
        let Some((factors, summands)) = self.from_prepared() else {
            return Ok(x.clone());
        };
        let channels = factors.len();
        let a_channel =
            |values: Vec<f32>| Tensor::from_vec(values, (1, channels, 1, 1), x.device());
        x.narrow(1, 0, channels)?
            .broadcast_mul(&a_channel(factors)?)?
            .broadcast_add(&a_channel(summands)?)
    }
}
