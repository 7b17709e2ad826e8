//! A dense block as one operation, on the CPU.
//!
//! Every layer reads all channels that were there before it and adds a few: batch norm, ReLU and a
//! 1 x 1 convolution to a narrow middle, then batch norm, ReLU and a 3 x 3 convolution (Huang et
//! al., "Densely Connected Convolutional Networks", 2017). Layer by layer, each joins its channels
//! to a copy of all others, keeps a normalised copy of them, and measures their mean and variance
//! again. Here all layers share one map per film that grows in place; a channel is measured once;
//! what a layer normalises lives only as long as the matrix product that reads it, and is computed
//! again in the backward pass (Pleiss et al., "Memory-Efficient Implementation of DenseNets", 2017).
//! Kept for the backward pass are the block's output and, unless they too are to be computed again,
//! the middles.

mod backward;
mod forward;

use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use super::batch_norm::{Affine, ChannelStatistics};
use super::frame::Frame;
use super::{BatchStatistics, Traced, elements, with_elements};

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

/// What the two batch norms of one layer normalise by.
#[derive(Clone, Debug)]
pub struct LayerStatistics {
    /// The first's, of the channels the layer reads.
    pub first: BatchStatistics,
    /// The second's, of its middle.
    pub second: BatchStatistics,
}

/// The channels of `x` (`N x C x H x W`) and, after them, those that each layer adds to them.
///
/// With `running` statistics, one a layer, these are used and held constant (evaluation); without,
/// the batch's own (training). Returns those used. With `recompute` the middles are computed again
/// in the backward pass instead of being kept, as they are in evaluation.
///
/// # Errors
/// If the shapes do not fit.
pub fn dense_block(
    x: &Traced,
    layers: &[DenseLayer],
    running: Option<Vec<LayerStatistics>>,
    epsilon: f32,
    recompute: bool,
) -> Result<(Traced, Vec<LayerStatistics>)> {
    let sizes = Sizes::new(x.dims(), layers)?;
    let mut inputs = vec![x];
    for layer in layers {
        let [gamma1, beta1] = layer.norm1;
        let [gamma2, beta2] = layer.norm2;
        inputs.extend([gamma1, beta1, layer.conv1, gamma2, beta2, layer.conv2]);
    }
    let flat = inputs[1..].iter().map(|part| part.flatten_all());
    let parameters = Tensor::cat(&flat.collect::<Result<Vec<_>>>()?, 0)?;
    let shapes: Vec<Shape> = inputs[1..]
        .iter()
        .map(|part| part.shape().clone())
        .collect();
    let running = running
        .map(|running| running.iter().map(LayerStatistics::numbers).collect())
        .transpose()?;
    let op = DenseBlock {
        sizes,
        epsilon,
        from_batch: running.is_none(),
        keep_middles: running.is_none() && !recompute,
        running,
        kept: Arc::default(),
    };
    let kept = op.kept.clone();
    let maps = x.contiguous()?;
    let features = maps.apply_op2_no_bwd(&parameters, &op)?;
    let y = Traced::step(&inputs, features.clone(), move |gradient, _| {
        let [of_maps, of_parameters] = op.gradients(&maps, &parameters, &features, gradient)?;
        let mut gradients = vec![Some(of_maps)];
        let mut from = 0;
        for shape in shapes {
            let part = of_parameters.narrow(0, from, shape.elem_count())?;
            from += shape.elem_count();
            gradients.push(Some(part.reshape(shape)?));
        }
        Ok(gradients)
    });
    match kept.get() {
        Some(kept) => {
            let statistics = kept.statistics.iter().cloned().map(LayerNumbers::tensors);
            Ok((y, statistics.collect::<Result<_>>()?))
        }
        None => bail!("a dense block left no statistics"),
    }
}

/// [`LayerStatistics`] as numbers.
#[derive(Clone)]
struct LayerNumbers {
    first: ChannelStatistics,
    second: ChannelStatistics,
}

impl LayerStatistics {
    fn numbers(&self) -> Result<LayerNumbers> {
        Ok(LayerNumbers {
            first: self.first.numbers()?,
            second: self.second.numbers()?,
        })
    }
}

impl LayerNumbers {
    fn tensors(self) -> Result<LayerStatistics> {
        Ok(LayerStatistics {
            first: self.first.tensors()?,
            second: self.second.tensors()?,
        })
    }
}

struct DenseBlock {
    sizes: Sizes,
    epsilon: f32,
    /// Whether the gradient also flows through the statistics.
    from_batch: bool,
    keep_middles: bool,
    running: Option<Vec<LayerNumbers>>,
    kept: Arc<OnceLock<Kept>>,
}

/// What the forward pass leaves for the backward one.
struct Kept {
    /// One a layer.
    statistics: Vec<LayerNumbers>,
    /// One a layer, or none.
    middles: Vec<Vec<f32>>,
}

impl DenseBlock {
    /// The gradients of the maps and of all parameters.
    fn gradients(
        &self,
        x: &Tensor,
        parameters: &Tensor,
        features: &Tensor,
        gradient: &Tensor,
    ) -> Result<[Tensor; 2]> {
        let Some(kept) = self.kept.get() else {
            bail!("a dense block was asked for a gradient before its forward pass");
        };
        let gradient = with_elements(&gradient.contiguous()?, |all| Ok(all.to_vec()))?;
        let (of_maps, of_parameters) = with_elements(parameters, |parameters| {
            with_elements(features, |features| {
                self.backward(features, parameters, kept, gradient)
            })
        })?;
        let tensor = |gradient, of: &Tensor| Tensor::from_vec(gradient, of.shape(), of.device());
        Ok([tensor(of_maps, x)?, tensor(of_parameters, parameters)?])
    }
}

impl CustomOp2 for DenseBlock {
    fn name(&self) -> &'static str {
        "dense block"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        parameters: &CpuStorage,
        parameters_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let parameters = elements(parameters, parameters_layout)?;
        let (features, kept) = self.forward(elements(x, x_layout)?, parameters)?;
        self.kept.get_or_init(|| kept);
        let Sizes {
            films,
            height,
            width,
            ..
        } = self.sizes;
        let shape = (films, self.sizes.total(), height, width);
        Ok((CpuStorage::F32(features), Shape::from(shape)))
    }
}

/// The sizes of a block.
#[derive(Clone, Copy)]
struct Sizes {
    films: usize,
    /// Channels that come in.
    inputs: usize,
    /// Channels of a layer's middle.
    middle: usize,
    /// Channels that a layer adds.
    growth: usize,
    layers: usize,
    height: usize,
    width: usize,
}

/// Half of the 3 x 3 kernels.
const BORDER: usize = 1;

/// Elements of a 3 x 3 kernel.
const TAPS: usize = 9;

impl Sizes {
    fn new(x: &[usize], layers: &[DenseLayer]) -> Result<Self> {
        let &[films, inputs, height, width] = x else {
            bail!("a dense block needs a 4-d input, got {x:?}");
        };
        let Some(first) = layers.first() else {
            bail!("a dense block needs a layer");
        };
        let sizes = Self {
            films,
            inputs,
            middle: first.conv1.dim(0)?,
            growth: first.conv2.dim(0)?,
            layers: layers.len(),
            height,
            width,
        };
        if x.contains(&0) {
            bail!("a dense block of {x:?} has nothing to read");
        }
        let Self { middle, growth, .. } = sizes;
        for (index, layer) in layers.iter().enumerate() {
            let channels = sizes.channels(index);
            let fits = layer.norm1.iter().all(|norm| norm.dims() == [channels])
                && layer.norm2.iter().all(|norm| norm.dims() == [middle])
                && layer.conv1.dims() == [middle, channels, 1, 1]
                && layer.conv2.dims() == [growth, middle, 3, 3];
            if !fits {
                bail!("layer {index} of a dense block does not fit {channels} channels");
            }
        }
        Ok(sizes)
    }

    /// Channels that layer `layer` reads.
    fn channels(&self, layer: usize) -> usize {
        self.inputs + layer * self.growth
    }

    /// Channels that come out.
    fn total(&self) -> usize {
        self.channels(self.layers)
    }

    fn map(&self) -> usize {
        self.height * self.width
    }

    /// Films handled together: small maps are joined so that the matrix products stay wide.
    /// Depends on shapes alone, never on the number of threads.
    fn together(&self) -> usize {
        (512 / self.map()).clamp(1, self.films.div_ceil(4))
    }

    /// Elements of a group of films with `channels` channels; the last group may have fewer films.
    fn group(&self, channels: usize) -> usize {
        self.together() * channels * self.map()
    }

    /// How the films of a group's `features` lie together.
    fn frame(&self, features: &[f32]) -> Frame {
        Frame {
            films: features.len() / (self.total() * self.map()),
            height: self.height,
            width: self.width,
            border: BORDER,
        }
    }

    /// Numbers of each kind of a layer's parameters, in their order.
    fn parameters(&self, layer: usize) -> [usize; 6] {
        let (channels, middle) = (self.channels(layer), self.middle);
        [
            channels,
            channels,
            middle * channels,
            middle,
            middle,
            self.growth * middle * TAPS,
        ]
    }

    /// Where a layer's parameters lie among all.
    fn place(&self, layer: usize) -> std::ops::Range<usize> {
        let size = |layer| self.parameters(layer).iter().sum::<usize>();
        let start = (0..layer).map(size).sum();
        start..start + size(layer)
    }
}

/// A layer with what its batch norms come to.
struct Layer<'a> {
    /// Channels it reads.
    channels: usize,
    norm1: Affine<'a>,
    conv1: &'a [f32],
    norm2: Affine<'a>,
    conv2: &'a [f32],
}

impl DenseBlock {
    /// The parameters of a layer.
    fn split<'a>(&self, parameters: &'a [f32], layer: usize) -> [&'a [f32]; 6] {
        let mut rest = &parameters[self.sizes.place(layer)];
        self.sizes.parameters(layer).map(|count| {
            let (part, after) = rest.split_at(count);
            rest = after;
            part
        })
    }
}

/// Columns that are normalised and multiplied at once, so that they stay in the second-level cache.
const STRIP: usize = 256;

/// Calls `f` with each piece of `columns` of a group's joined maps that lies in one film: the film,
/// the piece's place in the film's map, and where it starts among the columns.
fn for_each_piece(
    columns: std::ops::Range<usize>,
    map: usize,
    mut f: impl FnMut(usize, std::ops::Range<usize>, usize),
) {
    let mut at = columns.start;
    while at < columns.end {
        let film = at / map;
        let end = columns.end.min((film + 1) * map);
        f(film, at - film * map..end - film * map, at - columns.start);
        at = end;
    }
}
