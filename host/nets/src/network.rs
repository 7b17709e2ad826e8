//! A network: one of the two architectures, its head, and how it is computed.

use candle_core::{DType, Tensor, Var};
use plumbline_shared::architecture::Architecture;

use crate::autodiff::Traced;
use crate::densenet121::DenseNet121;
use crate::efficientnet_b0::EfficientNetB0;
use crate::head::{Classifier, Head};
use crate::mode::Mode;
#[cfg(feature = "cuda")]
use crate::ops;
use crate::parameters::Parameters;
use crate::precision::Precision;
use crate::variant::{Input, Variant};

/// What a network makes of a batch.
pub struct Output {
    /// The last map of features, `N x C x S/32 x S/32`.
    pub features: Traced,
    /// The head's outputs: of the study's heads `N x 1` (CheXNet) or `N x 2` (EfficientNet:
    /// negative, positive).
    pub logits: Traced,
}

impl Output {
    /// One logit a film, as [`logit`] takes it.
    ///
    /// # Errors
    /// Candle's, if the logits have another shape.
    pub fn logit(&self) -> candle_core::Result<Traced> {
        logit(&self.logits)
    }
}

/// One logit a film, `N`, of a head's outputs (`N x 1` or `N x 2`): the only one, or the positive
/// one minus the negative.
///
/// # Errors
/// Candle's, if the outputs have another shape.
pub fn logit(outputs: &Traced) -> candle_core::Result<Traced> {
    let (_, count) = outputs.dims2()?;
    let last = outputs.narrow(1, count - 1, 1)?;
    let logit = match count {
        1 => last,
        _ => last.sub(&outputs.narrow(1, 0, 1)?)?,
    };
    let logit = logit.squeeze(1)?;
    Ok(Traced::step(&[outputs], logit, move |gradient, _| {
        let of_last = gradient.unsqueeze(1)?;
        let of_outputs = match count {
            1 => of_last,
            _ => Tensor::cat(&[of_last.neg()?, of_last], 1)?,
        };
        Ok(vec![Some(of_outputs)])
    }))
}

/// Either network.
pub struct Network {
    input: Input,
    body: Body,
    classifier: Classifier,
    last_layer: &'static str,
    precision: Precision,
}

enum Body {
    EfficientNetB0(EfficientNetB0),
    DenseNet121(DenseNet121),
}

impl Network {
    /// The study's network, as [`build`](Self::build) makes it.
    ///
    /// # Errors
    /// Candle's, if a parameter already there has another shape.
    pub fn new(
        architecture: Architecture,
        parameters: &mut Parameters,
    ) -> candle_core::Result<Self> {
        Self::build(architecture, Variant::default(), Head::Study, parameters)
    }

    /// A network whose parameters are drawn from `parameters`' seed, or taken from it where
    /// already there.
    ///
    /// # Errors
    /// Candle's, if a parameter already there has another shape.
    pub fn build(
        architecture: Architecture,
        variant: Variant,
        head: Head,
        parameters: &mut Parameters,
    ) -> candle_core::Result<Self> {
        let body = match architecture {
            Architecture::EfficientnetB0 => {
                Body::EfficientNetB0(EfficientNetB0::new(variant, parameters)?)
            }
            Architecture::Densenet121 => Body::DenseNet121(DenseNet121::new(variant, parameters)?),
        };
        let layers = head.layers(architecture);
        Ok(Self {
            input: variant.input,
            body,
            classifier: Classifier::new(architecture, head, parameters)?,
            last_layer: layers.last().map_or("", |(name, ..)| *name),
            precision: Precision::F32,
        })
    }

    /// Computes features with this precision, which a CPU has only one of. Whether TF32 is allowed
    /// holds for the whole process.
    pub fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
        #[cfg(feature = "cuda")]
        ops::allow_tf32(precision == Precision::Tf32);
    }

    /// Drops this share of the pooled features before the head in training.
    pub fn set_dropout(&mut self, rate: f32) {
        self.classifier.set_dropout(rate);
    }

    /// Has the backward pass compute again what it can instead of keeping it from the forward pass:
    /// the narrow middles of DenseNet's layers. Takes less memory and more time; results are the
    /// same to the bit.
    pub fn recompute(&mut self) {
        match &mut self.body {
            Body::EfficientNetB0(_) => {}
            Body::DenseNet121(net) => net.recompute(),
        }
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

    /// The last map of features, `f32`.
    ///
    /// # Errors
    /// Candle's, if `x` is not `N x 3 x S x S`.
    pub fn features(&self, x: &Tensor, mode: &mut Mode) -> candle_core::Result<Traced> {
        let mut x = Traced::from(&self.input.adapt(x)?);
        if self.precision == Precision::Bf16 {
            x = x.to_dtype(DType::BF16)?;
        }
        let features = match &self.body {
            Body::EfficientNetB0(net) => net.features(&x, mode),
            Body::DenseNet121(net) => net.features(&x, mode),
        };
        features?.to_dtype(DType::F32)
    }

    /// The head's outputs for a map of features.
    ///
    /// # Errors
    /// Candle's, if `features` has another number of channels.
    pub fn head(&self, features: &Traced, mode: &mut Mode) -> candle_core::Result<Traced> {
        self.classifier.forward(features, mode)
    }

    /// The parameters of the last dense layer alone, which the study's first CheXNet round trains.
    pub fn last_layer<'a>(&self, parameters: &'a Parameters) -> Vec<(&'a str, &'a Var)> {
        parameters
            .trainable()
            .filter(|(name, _)| {
                let rest = name.strip_prefix(self.last_layer);
                rest.is_some_and(|rest| rest.starts_with('.'))
            })
            .collect()
    }
}
