//! The study's two networks, trainable end to end in Candle.
//!
//! Both take `N x 3 x S x S` (S = 256 in the field) and end in a map of features, its global
//! average, and a small head. Names of parameters and statistics are torchvision's.

mod densenet121;
mod efficientnet_b0;
pub mod layers;
pub mod ops;
mod parameters;

use candle_core::{Tensor, Var};
use plumbline_shared::manifest::Architecture;
use rand_chacha::ChaCha8Rng;

pub use densenet121::DenseNet121;
pub use efficientnet_b0::EfficientNetB0;
pub use parameters::{Parameters, WeightsError};

/// How a network is run.
pub enum Mode<'a> {
    /// Running statistics, no dropout.
    Evaluation,
    /// Batch statistics (the running ones are updated), dropout and stochastic depth drawn from
    /// the generator.
    Training(&'a mut ChaCha8Rng),
}

/// What a network makes of a batch.
pub struct Output {
    /// The last map of features, `N x C x S/32 x S/32`.
    pub features: Tensor,
    /// The head's outputs: `N x 1` (CheXNet) or `N x 2` (EfficientNet: negative, positive).
    pub logits: Tensor,
}

impl Output {
    /// One logit a film, as [`logit`] takes it.
    ///
    /// # Errors
    /// Candle's, if the logits have another shape.
    pub fn logit(&self) -> candle_core::Result<Tensor> {
        logit(&self.logits)
    }
}

/// One logit a film, `N`, of a head's outputs (`N x 1` or `N x 2`): the only one, or the positive
/// one minus the negative.
///
/// # Errors
/// Candle's, if the outputs have another shape.
pub fn logit(outputs: &Tensor) -> candle_core::Result<Tensor> {
    let (_, count) = outputs.dims2()?;
    let last = outputs.narrow(1, count - 1, 1)?;
    let logit = match count {
        1 => last,
        _ => last.sub(&outputs.narrow(1, 0, 1)?)?,
    };
    logit.squeeze(1)
}

/// Either network.
pub enum Network {
    /// EfficientNet-B0 with the study's three-layer head.
    EfficientNetB0(EfficientNetB0),
    /// DenseNet121 with CheXNet's one-output head.
    DenseNet121(DenseNet121),
}

impl Network {
    /// A network whose parameters are drawn from `parameters`' seed, or taken from it where
    /// already there.
    ///
    /// # Errors
    /// Candle's, if a parameter already there has another shape.
    pub fn new(
        architecture: Architecture,
        parameters: &mut Parameters,
    ) -> candle_core::Result<Self> {
        Ok(match architecture {
            Architecture::EfficientnetB0 => Self::EfficientNetB0(EfficientNetB0::new(parameters)?),
            Architecture::Densenet121 => Self::DenseNet121(DenseNet121::new(parameters)?),
        })
    }

    /// The head's outputs and the feature map for `x`, `N x 3 x S x S`, normalised.
    ///
    /// # Errors
    /// Candle's, if `x` has another shape.
    pub fn forward(&self, x: &Tensor, mode: &mut Mode) -> candle_core::Result<Output> {
        let features = self.features(x, mode)?;
        let logits = self.head(&features, mode)?;
        Ok(Output { features, logits })
    }

    /// The last map of features.
    ///
    /// # Errors
    /// Candle's, if `x` is not `N x 3 x S x S`.
    pub fn features(&self, x: &Tensor, mode: &mut Mode) -> candle_core::Result<Tensor> {
        match self {
            Self::EfficientNetB0(net) => net.features(x, mode),
            Self::DenseNet121(net) => net.features(x, mode),
        }
    }

    /// The head's outputs for a map of features.
    ///
    /// # Errors
    /// Candle's, if `features` has another number of channels.
    pub fn head(&self, features: &Tensor, mode: &mut Mode) -> candle_core::Result<Tensor> {
        match self {
            Self::EfficientNetB0(net) => net.head(features, mode),
            Self::DenseNet121(net) => net.head(features),
        }
    }

    /// The parameters of the last dense layer alone, which the study's first CheXNet round trains.
    pub fn last_layer<'a>(&self, parameters: &'a Parameters) -> Vec<(&'a str, &'a Var)> {
        let prefix = match self {
            Self::EfficientNetB0(_) => "classifier.4.",
            Self::DenseNet121(_) => "classifier.",
        };
        parameters
            .trainable()
            .filter(|(name, _)| name.starts_with(prefix))
            .collect()
    }
}
