//! The gate's features: seven plain 3 x 3 convolutions, each with batch norm and ReLU, on a film of
//! 128 x 128.

use candle_core::Result;

use crate::autodiff::Traced;
use crate::layer::{Layer, no_such_layer};
use crate::layers::{BatchNorm, Convolution, Fan};
use crate::mode::Mode;
use crate::ops::{Activation, average_pool_2x2};
use crate::parameters::Parameters;
use crate::precision::Precision;
use crate::variant::Variant;

/// Output channels and stride of each convolution.
pub const CONVOLUTIONS: [(usize, usize); 7] = [
    (16, 2),
    (32, 2),
    (32, 1),
    (64, 2),
    (64, 1),
    (128, 2),
    (128, 1),
];

/// Side of the kernels.
pub const KERNEL: usize = 3;

/// Side of the film that the first convolution reads; one of twice the side is averaged down first.
pub const SIDE: usize = 128;

/// The features; 291,664 trained numbers.
pub(super) struct Gate {
    convolutions: Vec<(Convolution, BatchNorm)>,
}

impl Gate {
    pub(super) fn new(variant: Variant, parameters: &mut Parameters) -> Result<Self> {
        let mut inputs = variant.input.channels();
        let mut convolutions = Vec::new();
        for (index, (outputs, stride)) in CONVOLUTIONS.into_iter().enumerate() {
            let name = format!("features.{index}.0");
            let channels = (inputs, outputs);
            let conv = Convolution::new(parameters, &name, channels, KERNEL, stride, Fan::In)?;
            let name = format!("features.{index}.1");
            let norm = BatchNorm::new(
                parameters,
                &name,
                outputs,
                variant.epsilon,
                Activation::Relu,
            )?;
            convolutions.push((conv.padded(variant.padding), norm));
            inputs = outputs;
        }
        Ok(Self { convolutions })
    }

    /// All layers in their order.
    pub(super) fn layers(&self) -> Vec<Layer> {
        let stages = (1..self.convolutions.len()).map(Layer::Stage);
        std::iter::once(Layer::Stem).chain(stages).collect()
    }

    pub(super) fn set_precision(&mut self, precision: Precision) {
        for (conv, _) in &mut self.convolutions {
            conv.set_precision(precision);
        }
    }

    /// The maps after `layer`, from those before it.
    pub(super) fn forward(&self, layer: Layer, x: &Traced, mode: &mut Mode) -> Result<Traced> {
        let index = match layer {
            Layer::Stem => 0,
            Layer::Stage(number) => number,
            _ => return Err(no_such_layer(layer)),
        };
        let Some((conv, norm)) = self.convolutions.get(index) else {
            return Err(no_such_layer(layer));
        };
        let pooled;
        let x = match x.dim(2)? {
            side if index == 0 && side > SIDE => {
                pooled = average_pool_2x2(x)?;
                &pooled
            }
            _ => x,
        };
        norm.forward(&conv.forward(x)?, mode)
    }
}
