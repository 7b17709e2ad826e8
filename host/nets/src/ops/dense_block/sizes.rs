//! The sizes of a dense block, and the order of its elements and parameters.

use candle_core::{Result, bail};

use super::super::frame::Frame;
use super::super::map_sizes::map_sizes;

/// The sizes of a block.
#[derive(Clone, Copy)]
pub struct BlockSizes {
    /// Number of films.
    pub films: usize,
    /// Channels that come in.
    pub inputs: usize,
    /// Bottleneck channels of a layer.
    pub bottleneck: usize,
    /// Channels that a layer adds.
    pub growth: usize,
    /// Number of layers.
    pub layers: usize,
    /// Height of a map.
    pub height: usize,
    /// Width of a map.
    pub width: usize,
}

/// Half of the 3 x 3 kernels.
pub const BORDER: usize = 1;

/// Elements of a 3 x 3 kernel.
pub const TAPS: usize = 9;

impl BlockSizes {
    /// From the shape of the maps and, for each layer, the shapes of its six parameters.
    ///
    /// # Errors
    /// If the maps are not 4-d, or empty, or a layer does not fit.
    pub fn new(x: &[usize], layers: &[[&[usize]; 6]]) -> Result<Self> {
        let [films, inputs, height, width] = map_sizes(x, "a dense block")?;
        let Some(&[_, _, &[bottleneck, ..], _, _, &[growth, ..]]) = layers.first() else {
            bail!("a dense block needs a layer");
        };
        if bottleneck == 0 || growth == 0 {
            bail!("a dense block's convolutions have {bottleneck} and {growth} outputs; give some");
        }
        let sizes = Self {
            films,
            inputs,
            bottleneck,
            growth,
            layers: layers.len(),
            height,
            width,
        };
        for (index, layer) in layers.iter().enumerate() {
            let channels = sizes.channels(index);
            let fitting: [&[usize]; 6] = [
                &[channels],
                &[channels],
                &[bottleneck, channels, 1, 1],
                &[bottleneck],
                &[bottleneck],
                &[growth, bottleneck, 3, 3],
            ];
            if *layer != fitting {
                bail!("layer {index} of a dense block does not fit {channels} channels");
            }
        }
        Ok(sizes)
    }

    /// Channels that layer `layer` reads.
    pub fn channels(&self, layer: usize) -> usize {
        self.inputs + layer * self.growth
    }

    /// Channels that come out.
    pub fn total(&self) -> usize {
        self.channels(self.layers)
    }

    /// Elements of a map.
    pub fn map(&self) -> usize {
        self.height * self.width
    }

    /// Number of films handled together: small maps are joined so that the matrix products stay
    /// wide. Depends on shapes alone, never on the number of threads.
    pub fn together(&self) -> usize {
        (512 / self.map()).clamp(1, self.films.div_ceil(4))
    }

    /// Elements of a group of films with `channels` channels; the last group may have fewer films.
    pub fn group(&self, channels: usize) -> usize {
        self.together() * channels * self.map()
    }

    /// The frame in which the films of a group's `features` lie together.
    pub fn frame(&self, features: &[f32]) -> Frame {
        Frame {
            films: features.len() / (self.total() * self.map()),
            height: self.height,
            width: self.width,
            border: BORDER,
        }
    }

    /// Sizes of a layer's six parameters, in their order.
    pub fn parameters(&self, layer: usize) -> [usize; 6] {
        let (channels, bottleneck) = (self.channels(layer), self.bottleneck);
        [
            channels,
            channels,
            bottleneck * channels,
            bottleneck,
            bottleneck,
            self.growth * bottleneck * TAPS,
        ]
    }

    /// The range of a layer's parameters among all.
    pub fn place(&self, layer: usize) -> std::ops::Range<usize> {
        let size = |layer| self.parameters(layer).iter().sum::<usize>();
        let start = (0..layer).map(size).sum();
        start..start + size(layer)
    }
}

/// Number of columns that are normalised and multiplied at once, so that they stay in the
/// second-level cache.
pub const STRIP: usize = 256;

/// Calls `f` with each piece of `columns` of a group's joined maps that lies in one film: the film,
/// the piece's range in the film's map, and its start among the columns.
pub fn for_each_piece(
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
