//! The layers after the last feature maps.

use candle_core::{Error, Result, bail};
use plumbline_shared::architecture::Architecture;
use plumbline_shared::clinical::Refusal;
use plumbline_shared::gradcam;

use crate::autodiff::Traced;
use crate::layers::{Linear, dropout};
use crate::mode::Mode;
use crate::ops::{global_average_pool, relu};
use crate::parameters::Parameters;

/// The fully connected layers that follow global average pooling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Head {
    /// The study's: 1024-1 (CheXNet's shape) or 1280-512-128-2; the gate's 128-12.
    #[default]
    Study,
    /// One layer, `classifier`, for several independent classes.
    Linear {
        /// Number of classes.
        outputs: usize,
    },
}

impl Head {
    /// The layers in their order: name, inputs and outputs of each. There is a ReLU after each but
    /// the last.
    pub fn layers(self, architecture: Architecture) -> Vec<(&'static str, usize, usize)> {
        let features = architecture.features();
        let widths: &[usize] = match (self, architecture) {
            (Self::Linear { outputs }, _) => return vec![("classifier", features, outputs)],
            (Self::Study, Architecture::Densenet121) => &[1],
            (Self::Study, Architecture::EfficientnetB0) => &[512, 128, 2],
            (Self::Study, Architecture::Gate) => &[Refusal::ALL.len()],
        };
        let inputs = std::iter::once(&features).chain(widths);
        let names = architecture.head().iter();
        names
            .zip(inputs.zip(widths))
            .map(|(name, (inputs, outputs))| (*name, *inputs, *outputs))
            .collect()
    }

    /// The head with its weights, as Grad-CAM in closed form takes it.
    ///
    /// # Errors
    /// If a layer's weights are missing, or the head does not end in one output or two.
    pub fn grad_cam(
        self,
        architecture: Architecture,
        parameters: &Parameters,
    ) -> Result<gradcam::Head> {
        let tensors = parameters.tensors();
        let tensor = |name: String| match tensors.get(&name) {
            Some(tensor) => Ok(tensor),
            None => bail!("the network has no {name}, which Grad-CAM needs"),
        };
        let layers = self.layers(architecture).into_iter();
        let layers = layers.map(|(name, ..)| {
            let weight = tensor(format!("{name}.weight"))?;
            let bias = tensor(format!("{name}.bias"))?.to_vec1()?;
            let (outputs, inputs) = weight.dims2()?;
            let weight = weight.flatten_all()?.to_vec1()?;
            gradcam::Linear::new(inputs, outputs, weight, bias).map_err(Error::wrap)
        });
        gradcam::Head::new(layers.collect::<Result<_>>()?).map_err(Error::wrap)
    }
}

/// Returns true if a tensor of this name belongs to a head.
pub(super) fn is_of_head(name: &str) -> bool {
    name.starts_with("classifier.")
}

/// Global average pooling, dropout and fully connected layers.
pub(super) struct Classifier {
    layers: Vec<Linear>,
    dropout: f32,
}

impl Classifier {
    pub(super) fn new(
        architecture: Architecture,
        head: Head,
        parameters: &mut Parameters,
    ) -> Result<Self> {
        let layers = head.layers(architecture).into_iter();
        Ok(Self {
            layers: layers
                .map(|(name, inputs, outputs)| Linear::new(parameters, name, inputs, outputs))
                .collect::<Result<_>>()?,
            dropout: match architecture {
                Architecture::Densenet121 | Architecture::Gate => 0.0,
                Architecture::EfficientnetB0 => 0.2,
            },
        })
    }

    pub(super) fn set_dropout(&mut self, rate: f32) {
        self.dropout = rate;
    }

    pub(super) fn forward(&self, features: &Traced, mode: &mut Mode) -> Result<Traced> {
        let mut x = dropout(&global_average_pool(features)?, self.dropout, mode)?;
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                x = relu(&x)?;
            }
            x = layer.forward(&x)?;
        }
        Ok(x)
    }
}
