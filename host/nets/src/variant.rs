//! The differences between the sources of pretrained weights.

use std::fmt::{self, Display};

use candle_core::{Result, Tensor};
use plumbline_shared::preprocess::{DEVIATION, MEAN};
use serde::{Deserialize, Serialize};

use crate::autodiff::Traced;
use crate::ops::Padding;

/// The settings of a network in which the sources of weights differ. The default is torchvision's.
///
/// It belongs to the weights: they were trained with it and mean little without it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Variant {
    /// The constant under the root of batch norms.
    pub epsilon: f32,
    /// The place of the zeros around the maps of strided convolutions (EfficientNet's; DenseNet's
    /// only one has them on every side in all sources).
    pub padding: Padding,
    /// True if a ReLU follows the last batch norm (DenseNet's; EfficientNet has its SiLU there in
    /// all sources).
    pub last_relu: bool,
    /// The input of the first convolution.
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
    /// Returns true for the default.
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

/// The values that a network's first convolution takes. Every network gets films as they are
/// prepared and converts them itself, so that zero padding means the same as to the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// Three channels from 0 to 1, normalised by ImageNet's mean and deviation: as films are
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
    /// Number of channels of the first convolution's input.
    pub const fn channels(self) -> usize {
        match self {
            Self::Imagenet | Self::SignedUnit => 3,
            Self::OneChannel1024 => 1,
        }
    }

    /// Factors and summands, one a channel, that convert the first channels of a prepared film to
    /// this input; none if it needs no conversion.
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

    /// Converts prepared films, `N x 3 x S x S`, to the first convolution's input.
    ///
    /// # Errors
    /// Candle's, if `x` has another shape.
    pub fn adapt(self, x: &Traced) -> Result<Traced> {
        let Some((factors, summands)) = self.from_prepared() else {
            return Ok(x.clone());
        };
        let channels = factors.len();
        let by_channel =
            |values: Vec<f32>| Tensor::from_vec(values, (1, channels, 1, 1), x.device());
        let factors = by_channel(factors)?;
        let adapted = x
            .value()
            .narrow(1, 0, channels)?
            .broadcast_mul(&factors)?
            .broadcast_add(&by_channel(summands)?)?;
        let unread = x.dim(1)? - channels;
        Ok(Traced::node(&[x], adapted, move |gradient, _| {
            let of_read = gradient.broadcast_mul(&factors)?;
            Ok(vec![Some(of_read.pad_with_zeros(1, 0, unread)?)])
        }))
    }
}
