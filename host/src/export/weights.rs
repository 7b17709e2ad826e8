//! A network's weights as plain arrays.

use std::collections::BTreeMap;

use plumbline_nets::Parameters;

/// One tensor of weights, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight {
    /// Size of each dimension.
    pub shape: Vec<usize>,
    /// The values, as many as the sizes' product.
    pub data: Vec<f32>,
}

/// A network's tensors by their names in torchvision's state dict.
pub type Weights = BTreeMap<String, Weight>;

/// The tensors of a network in Candle.
///
/// # Errors
/// Candle's, if one is not of 32-bit floats.
pub fn weights(parameters: &Parameters) -> candle_core::Result<Weights> {
    let tensors = parameters.tensors().into_iter();
    tensors
        .map(|(name, tensor)| {
            let shape = tensor.dims().to_vec();
            let data = tensor.flatten_all()?.to_vec1()?;
            Ok((name, Weight { shape, data }))
        })
        .collect()
}

/// The precision in which an exported network stores its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoragePrecision {
    /// As they were trained.
    F32,
    /// Weights of convolutions and fully connected layers in int8 with one scale an output
    /// channel, all else in f32. Computation stays in f32.
    Int8,
}
