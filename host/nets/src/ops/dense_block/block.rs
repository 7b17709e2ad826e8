//! A dense block: its layers, their statistics, and the values kept for the backward pass.

use std::sync::{Arc, OnceLock};

use candle_core::Result;

use super::super::affine::Affine;
use super::super::statistics::{BatchStatistics, ChannelStatistics};
use super::sizes::BlockSizes;
use crate::autodiff::Traced;

/// The parameters of one layer that reads `C` channels.
pub struct DenseLayer<'a> {
    /// Scale and shift of the first batch norm, `C` each.
    pub norm1: [&'a Traced; 2],
    /// `M x C x 1 x 1`.
    pub conv1: &'a Traced,
    /// Scale and shift of the second batch norm, `M` each.
    pub norm2: [&'a Traced; 2],
    /// `G x M x 3 x 3`.
    pub conv2: &'a Traced,
}

impl<'a> DenseLayer<'a> {
    /// The six parameters in their order.
    pub(super) fn parameters(&self) -> [&'a Traced; 6] {
        let [gamma1, beta1] = self.norm1;
        let [gamma2, beta2] = self.norm2;
        [gamma1, beta1, self.conv1, gamma2, beta2, self.conv2]
    }
}

/// The statistics of the two batch norms of one layer.
#[derive(Clone, Debug)]
pub struct LayerStatistics {
    /// The first one's, of the channels the layer reads.
    pub first: BatchStatistics,
    /// The second one's, of its bottleneck.
    pub second: BatchStatistics,
}

/// [`LayerStatistics`] as numbers.
#[derive(Clone)]
pub struct LayerNumbers {
    /// The first batch norm's.
    pub first: ChannelStatistics,
    /// The second batch norm's.
    pub second: ChannelStatistics,
}

impl LayerStatistics {
    /// The statistics as numbers.
    pub(super) fn numbers(&self) -> Result<LayerNumbers> {
        Ok(LayerNumbers {
            first: self.first.numbers()?,
            second: self.second.numbers()?,
        })
    }
}

impl LayerNumbers {
    /// The numbers as tensors.
    pub fn tensors(self) -> Result<LayerStatistics> {
        Ok(LayerStatistics {
            first: self.first.tensors()?,
            second: self.second.tensors()?,
        })
    }
}

/// A dense block as an operation.
pub struct DenseBlock {
    /// The sizes.
    pub sizes: BlockSizes,
    /// The constant under the root.
    pub epsilon: f32,
    /// True if the gradient also flows through the statistics.
    pub from_batch: bool,
    /// True if the bottleneck maps are kept for the backward pass.
    pub keep_bottlenecks: bool,
    /// The constant statistics in evaluation.
    pub running: Option<Vec<LayerNumbers>>,
    /// Filled by the forward pass.
    pub kept: Arc<OnceLock<Kept>>,
}

/// The values that the forward pass keeps for the backward pass.
pub struct Kept {
    /// One a layer.
    pub statistics: Vec<LayerNumbers>,
    /// One a layer, or none.
    pub bottlenecks: Vec<Vec<f32>>,
}

/// A layer with its batch norms as lines.
pub struct Layer<'a> {
    /// Channels it reads.
    pub channels: usize,
    /// The first batch norm.
    pub norm1: Affine<'a>,
    /// The first kernel.
    pub conv1: &'a [f32],
    /// The second batch norm.
    pub norm2: Affine<'a>,
    /// The second kernel.
    pub conv2: &'a [f32],
}

impl DenseBlock {
    /// The parameters of a layer.
    pub fn split<'a>(&self, parameters: &'a [f32], layer: usize) -> [&'a [f32]; 6] {
        let mut rest = &parameters[self.sizes.place(layer)];
        self.sizes.parameters(layer).map(|count| {
            let (part, after) = rest.split_at(count);
            rest = after;
            part
        })
    }
}
