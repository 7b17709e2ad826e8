//! A network: one of the architectures, its head, and how it is computed.

use candle_core::{DType, Result, Tensor, Var};
use plumbline_shared::architecture::Architecture;

use crate::autodiff::Traced;
use crate::densenet121::DenseNet121;
use crate::efficientnet_b0::EfficientNetB0;
use crate::gate::Gate;
use crate::head::{Classifier, Head};
use crate::layer::{Layer, no_such_layer};
use crate::mode::Mode;
use crate::parameters::Parameters;
use crate::precision::Precision;
use crate::variant::{Input, Variant};

/// A network's output for a batch.
pub struct Output {
    /// The last feature maps, `N x C x S/32 x S/32`.
    pub features: Traced,
    /// The head's outputs: of the study's heads `N x 1` (CheXNet) or `N x 2` (EfficientNet:
    /// negative, positive), of the gate's one for each reason to refuse a film.
    pub logits: Traced,
}

impl Output {
    /// One logit a film, as [`logit`] takes it.
    ///
    /// # Errors
    /// Candle's, if the logits have another shape.
    pub fn logit(&self) -> Result<Traced> {
        logit(&self.logits)
    }
}

/// One logit a film, `N`, of a head's outputs (`N x 1` or `N x 2`): the only one, or the positive
/// one minus the negative.
///
/// # Errors
/// Candle's, if the outputs have another shape.
pub fn logit(outputs: &Traced) -> Result<Traced> {
    let (_, count) = outputs.dims2()?;
    let values = outputs.value();
    let last = values.narrow(1, count - 1, 1)?;
    let logit = match count {
        1 => last,
        _ => last.sub(&values.narrow(1, 0, 1)?)?,
    };
    let logit = logit.squeeze(1)?;
    Ok(Traced::node(&[outputs], logit, move |gradient, _| {
        let of_last = gradient.unsqueeze(1)?;
        let of_outputs = match count {
            1 => of_last,
            _ => Tensor::cat(&[of_last.neg()?, of_last], 1)?,
        };
        Ok(vec![Some(of_outputs)])
    }))
}

/// One of the networks.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use plumbline_nets::{Mode, Network, Parameters};
/// use plumbline_shared::architecture::Architecture;
///
/// # fn main() -> candle_core::Result<()> {
/// let mut parameters = Parameters::new(&Device::Cpu, 0);
/// let network = Network::new(Architecture::Densenet121, &mut parameters)?;
/// let films = Tensor::zeros((2, 3, 32, 32), DType::F32, &Device::Cpu)?;
/// let output = network.forward(&films, &mut Mode::Evaluation)?;
/// assert_eq!(output.features.dims(), [2, 1024, 1, 1]);
/// assert_eq!(output.logits.dims(), [2, 1]);
/// # Ok(())
/// # }
/// ```
pub struct Network {
    input: Input,
    body: Body,
    layers: Vec<Layer>,
    classifier: Classifier,
    /// Name of the last dense layer.
    last_layer: &'static str,
    precision: Precision,
}

enum Body {
    EfficientNetB0(EfficientNetB0),
    DenseNet121(DenseNet121),
    Gate(Gate),
}

impl Network {
    /// The study's network, as [`build`](Self::build) makes it.
    ///
    /// # Errors
    /// Candle's, if a parameter already there has another shape.
    pub fn new(architecture: Architecture, parameters: &mut Parameters) -> Result<Self> {
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
    ) -> Result<Self> {
        let body = match architecture {
            Architecture::EfficientnetB0 => {
                Body::EfficientNetB0(EfficientNetB0::new(variant, parameters)?)
            }
            Architecture::Densenet121 => Body::DenseNet121(DenseNet121::new(variant, parameters)?),
            Architecture::Gate => Body::Gate(Gate::new(variant, parameters)?),
        };
        let layers = match &body {
            Body::EfficientNetB0(net) => net.layers(),
            Body::DenseNet121(net) => net.layers(),
            Body::Gate(net) => net.layers(),
        };
        let dense = head.layers(architecture);
        Ok(Self {
            input: variant.input,
            body,
            layers,
            classifier: Classifier::new(architecture, head, parameters)?,
            last_layer: dense.last().map_or("", |(name, ..)| *name),
            precision: Precision::F32,
        })
    }

    /// Computes this network's features with another precision. A CPU has [`Precision::F32`] only.
    pub fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
        match &mut self.body {
            Body::EfficientNetB0(net) => net.set_precision(precision),
            Body::DenseNet121(net) => net.set_precision(precision),
            Body::Gate(net) => net.set_precision(precision),
        }
    }

    /// Drops this share of the pooled features before the head in training.
    pub fn set_dropout(&mut self, rate: f32) {
        self.classifier.set_dropout(rate);
    }

    /// Has the backward pass compute the narrow maps of DenseNet's layers again, instead of keeping
    /// them from the forward pass. Takes less memory and more time; results are the same to the
    /// bit.
    pub fn recompute(&mut self) {
        match &mut self.body {
            Body::EfficientNetB0(_) | Body::Gate(_) => {}
            Body::DenseNet121(net) => net.recompute(),
        }
    }

    /// The head's outputs and the feature maps for prepared films `x`, `N x 3 x S x S`.
    ///
    /// # Errors
    /// Candle's, if `x` has another shape.
    pub fn forward(&self, x: impl Into<Traced>, mode: &mut Mode) -> Result<Output> {
        let features = self.features(x, mode)?;
        let logits = self.head(&features, mode)?;
        Ok(Output { features, logits })
    }

    /// The last feature maps for prepared films, `f32`. Gradients reach `x` if it is a variable or a
    /// [`Traced::leaf`], whatever the network's [`Input`].
    ///
    /// # Errors
    /// Candle's, if `x` is not `N x 3 x S x S`.
    pub fn features(&self, x: impl Into<Traced>, mode: &mut Mode) -> Result<Traced> {
        self.run(&self.layers, self.input.adapt(&x.into())?, mode)
    }

    /// The layers of the features, in their order.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The maps after `layer` for prepared films, `f32`.
    ///
    /// # Errors
    /// Candle's, if `x` is not `N x 3 x S x S`, or the network has no such layer.
    pub fn features_until(
        &self,
        layer: Layer,
        x: impl Into<Traced>,
        mode: &mut Mode,
    ) -> Result<Traced> {
        let (until, _) = self.split_at(layer)?;
        self.run(until, self.input.adapt(&x.into())?, mode)
    }

    /// The last feature maps, `f32`, from the maps after `layer`, as
    /// [`features_until`](Self::features_until) gives them.
    ///
    /// # Errors
    /// Candle's, if `maps` has another number of channels, or the network has no such layer.
    pub fn features_from(
        &self,
        layer: Layer,
        maps: impl Into<Traced>,
        mode: &mut Mode,
    ) -> Result<Traced> {
        let (_, after) = self.split_at(layer)?;
        self.run(after, maps.into(), mode)
    }

    /// The layers up to and with `layer`, and those after it.
    fn split_at(&self, layer: Layer) -> Result<(&[Layer], &[Layer])> {
        match self.layers.iter().position(|other| *other == layer) {
            Some(place) => Ok(self.layers.split_at(place + 1)),
            None => Err(no_such_layer(layer)),
        }
    }

    fn run(&self, layers: &[Layer], mut x: Traced, mode: &mut Mode) -> Result<Traced> {
        if self.precision == Precision::Bf16 {
            x = x.to_dtype(DType::BF16)?;
        }
        for layer in layers {
            x = match &self.body {
                Body::EfficientNetB0(net) => net.forward(*layer, &x, mode)?,
                Body::DenseNet121(net) => net.forward(*layer, &x, mode)?,
                Body::Gate(net) => net.forward(*layer, &x, mode)?,
            };
        }
        x.to_dtype(DType::F32)
    }

    /// The head's outputs for the last feature maps.
    ///
    /// # Errors
    /// Candle's, if `features` has another number of channels.
    pub fn head(&self, features: &Traced, mode: &mut Mode) -> Result<Traced> {
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
