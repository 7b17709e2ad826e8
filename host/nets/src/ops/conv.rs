//! Dense convolution.
//!
//! At stride 1 in [frames](super::frame), without gathering; at larger strides (the stems) in
//! [patches](super::patches).

use candle_core::{Result, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::conv_op::OnCuda;
use super::conv_op::{Convolving, convolved};
#[cfg(feature = "cuda")]
use super::cuda;
use super::frame::{Frame, turn_over};
use super::{Padding, Traced, patches, sum_in_order};

/// Convolves `x` (`N x I x H x W`) with `weight` (`O x I x k x k`, `k` odd) to
/// `N x O x ceil(H / stride) x ceil(W / stride)`.
///
/// # Errors
/// If the shapes do not fit.
pub fn conv2d(x: &Traced, weight: &Traced, stride: usize, padding: Padding) -> Result<Traced> {
    convolved(x, weight, Convolution { stride, padding })
}

#[derive(Clone, Copy)]
struct Convolution {
    stride: usize,
    padding: Padding,
}

/// The sizes of one convolution.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
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

impl Sizes {
    fn new(x: &[usize], weight: &[usize], op: Convolution) -> Result<Self> {
        let (&[films, inputs, height, width], &[outputs, w_inputs, kernel, kernel_w]) = (x, weight)
        else {
            bail!("a convolution needs a 4-d input and kernel, got {x:?} and {weight:?}");
        };
        let Convolution { stride, padding } = op;
        if w_inputs != inputs || kernel != kernel_w || kernel % 2 == 0 || stride == 0 {
            bail!("a convolution of {x:?} cannot use a kernel of {weight:?} at stride {stride}");
        }
        if height == 0 || width == 0 {
            bail!("a map of {height} x {width} has nothing to convolve");
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

    pub fn map(&self) -> usize {
        self.height * self.width
    }

    pub fn out_map(&self) -> usize {
        self.out_height * self.out_width
    }

    pub fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// Films handled together at stride 1: small maps are joined so that the matrix products
    /// stay wide. Depends on shapes alone, never on the number of threads.
    fn films_together(&self) -> usize {
        (1024 / self.map()).clamp(1, self.films.div_ceil(4))
    }

    /// How the films of `x` lie together at stride 1.
    fn frame(&self, x: &[f32]) -> Frame {
        Frame {
            films: x.len() / (self.inputs * self.map()),
            height: self.height,
            width: self.width,
            border: self.kernel / 2,
        }
    }
}

impl Convolving for Convolution {
    type Sizes = Sizes;

    const NAMES: [&'static str; 3] = [
        "convolution",
        "convolution data gradient",
        "convolution weight gradient",
    ];

    fn sizes(self, x: &[usize], weight: &[usize]) -> Result<Sizes> {
        Sizes::new(x, weight, self)
    }

    fn outputs(sizes: &Sizes) -> [usize; 4] {
        let Sizes { films, outputs, .. } = *sizes;
        [films, outputs, sizes.out_height, sizes.out_width]
    }

    fn forward(x: &[f32], weight: &[f32], sizes: &Sizes) -> Vec<f32> {
        if sizes.stride == 1 {
            shifted_forward(x, weight, *sizes)
        } else {
            patches::forward(x, weight, *sizes)
        }
    }

    fn data_gradient(y_gradient: &[f32], weight: &[f32], sizes: &Sizes) -> Vec<f32> {
        if sizes.stride > 1 {
            return patches::data_gradient(y_gradient, weight, *sizes);
        }
        let turned = turn_over(weight, (sizes.inputs, sizes.outputs));
        let mirrored = Sizes {
            inputs: sizes.outputs,
            outputs: sizes.inputs,
            ..*sizes
        };
        shifted_forward(y_gradient, &turned, mirrored)
    }

    fn weight_gradient(x: &[f32], y_gradient: &[f32], sizes: &Sizes) -> Vec<f32> {
        if sizes.stride == 1 {
            shifted_weight_gradient(x, y_gradient, *sizes)
        } else {
            patches::weight_gradient(x, y_gradient, *sizes)
        }
    }

    #[cfg(feature = "cuda")]
    const ON_CUDA: [OnCuda<Sizes>; 3] = [
        cuda::conv::forward,
        cuda::conv::data_gradient,
        cuda::conv::weight_gradient,
    ];
}

fn shifted_forward(x: &[f32], weight: &[f32], sizes: Sizes) -> Vec<f32> {
    let Sizes {
        inputs, outputs, ..
    } = sizes;
    let together = sizes.films_together();
    let mut y = vec![0.0; sizes.films * outputs * sizes.map()];
    y.par_chunks_mut(together * outputs * sizes.map())
        .zip(x.par_chunks(together * inputs * sizes.map()))
        .for_each(|(y, x)| {
            let frame = sizes.frame(x);
            if frame.border == 0 && frame.films == 1 {
                frame.convolve(x, weight, (inputs, outputs), y);
            } else {
                let rows = frame.lay_out(x, inputs);
                let mut out = vec![0.0; outputs * frame.row()];
                frame.convolve(&rows, weight, (inputs, outputs), &mut out);
                frame.pick_up(&out, outputs, y);
            }
        });
    y
}

fn shifted_weight_gradient(x: &[f32], y_gradient: &[f32], sizes: Sizes) -> Vec<f32> {
    let Sizes {
        inputs, outputs, ..
    } = sizes;
    let together = sizes.films_together();
    let parts = x
        .par_chunks(together * inputs * sizes.map())
        .zip(y_gradient.par_chunks(together * outputs * sizes.map()))
        .map(|(x, y_gradient)| {
            let frame = sizes.frame(x);
            let mut part = vec![0.0; outputs * inputs * sizes.taps()];
            if frame.border == 0 && frame.films == 1 {
                frame.add_weight_gradient(x, y_gradient, (inputs, outputs), &mut part);
            } else {
                let rows = frame.lay_out(x, inputs);
                let output_rows = frame.lay_out(y_gradient, outputs);
                frame.add_weight_gradient(&rows, &output_rows, (inputs, outputs), &mut part);
            }
            part
        })
        .collect();
    sum_in_order(parts)
}
