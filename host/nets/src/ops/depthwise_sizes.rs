//! The sizes of one depthwise convolution.

use candle_core::{Result, bail};

use super::map_sizes::map_sizes;
use super::padding::Padding;

/// The sizes of one depthwise convolution.
#[derive(Clone, Copy)]
pub struct DepthwiseSizes {
    pub films: usize,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub kernel: usize,
    pub stride: usize,
    /// Row and column of the stride-1 map where the first place that is kept lies.
    pub first: (usize, usize),
}

impl DepthwiseSizes {
    /// From the shapes of the maps, `N x C x H x W`, and of the kernel, `C x 1 x k x k`.
    ///
    /// # Errors
    /// If the shapes or the stride do not fit, or the maps are empty.
    pub fn new(x: &[usize], weight: &[usize], stride: usize, padding: Padding) -> Result<Self> {
        let [films, channels, height, width] = map_sizes(x, "a depthwise convolution")?;
        match *weight {
            [kernels, 1, kernel, kernel_w]
                if kernels == channels
                    && kernel == kernel_w
                    && matches!(kernel, 3 | 5)
                    && matches!(stride, 1 | 2) =>
            {
                let first = |size| kernel / 2 - padding.before(size, kernel, stride);
                Ok(Self {
                    films,
                    channels,
                    height,
                    width,
                    kernel,
                    stride,
                    first: (first(height), first(width)),
                })
            }
            _ => bail!(
                "a depthwise convolution of {x:?} cannot use a kernel of {weight:?} at stride \
                 {stride}"
            ),
        }
    }

    /// Height of an output map.
    pub fn out_height(&self) -> usize {
        self.height.div_ceil(self.stride)
    }

    /// Width of an output map.
    pub fn out_width(&self) -> usize {
        self.width.div_ceil(self.stride)
    }

    /// Elements of an input map.
    pub fn map(&self) -> usize {
        self.height * self.width
    }

    /// Elements of an output map.
    pub fn out_map(&self) -> usize {
        self.out_height() * self.out_width()
    }

    /// Width of a map with its frame of zeros.
    pub fn frame_width(&self) -> usize {
        self.width + self.kernel - 1
    }

    /// Elements of a map with its frame of zeros.
    pub fn frame(&self) -> usize {
        (self.height + self.kernel - 1) * self.frame_width()
    }

    /// The index of the first kept place of output row `row` in the computed row.
    pub fn kept(&self, row: usize) -> usize {
        (row * self.stride + self.first.0) * self.frame_width() + self.first.1
    }

    /// Places of the framed row that can be computed: the last valid one plus one.
    pub fn places(&self) -> usize {
        (self.height - 1) * self.frame_width() + self.width
    }

    /// Elements of a kernel's window.
    pub fn taps(&self) -> usize {
        self.kernel * self.kernel
    }
}
