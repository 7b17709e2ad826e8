//! The sizes of one dense convolution.

use candle_core::{Result, bail};

use super::map_sizes::map_sizes;
use super::padding::Padding;

/// The sizes of one dense convolution.
#[derive(Clone, Copy)]
pub struct ConvSizes {
    pub films: usize,
    pub inputs: usize,
    pub height: usize,
    pub width: usize,
    pub outputs: usize,
    pub kernel: usize,
    pub stride: usize,
    /// Zeros above and left of a map.
    pub before: (usize, usize),
    pub out_height: usize,
    pub out_width: usize,
}

impl ConvSizes {
    /// From the shapes of the maps, `N x I x H x W`, and of the kernel, `O x I x k x k`.
    ///
    /// # Errors
    /// If the shapes do not fit, or one of them is empty.
    pub fn new(x: &[usize], weight: &[usize], stride: usize, padding: Padding) -> Result<Self> {
        let [films, inputs, height, width] = map_sizes(x, "a convolution")?;
        let &[outputs, w_inputs, kernel, kernel_w] = weight else {
            bail!("a convolution needs a 4-d kernel, got {weight:?}");
        };
        let fits = w_inputs == inputs && kernel == kernel_w && kernel % 2 == 1;
        if !fits || outputs == 0 || stride == 0 {
            bail!("a convolution of {x:?} cannot use a kernel of {weight:?} at stride {stride}");
        }
        Ok(Self {
            films,
            inputs,
            height,
            width,
            outputs,
            kernel,
            stride,
            before: (
                padding.before(height, kernel, stride),
                padding.before(width, kernel, stride),
            ),
            out_height: height.div_ceil(stride),
            out_width: width.div_ceil(stride),
        })
    }

    /// Elements of an input map.
    pub fn map(&self) -> usize {
        self.height * self.width
    }

    /// Elements of an output map.
    pub fn out_map(&self) -> usize {
        self.out_height * self.out_width
    }

    /// Elements of a kernel's window.
    pub fn taps(&self) -> usize {
        self.kernel * self.kernel
    }
}
