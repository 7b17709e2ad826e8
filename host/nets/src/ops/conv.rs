//! Dense convolution.
//!
//! At stride 1 in [frames](super::frame), without gathering; at larger strides (the stems) in
//! [patches](super::patches).

use candle_core::Result;
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::conv_op::OnCuda;
use super::conv_op::{Convolving, convolved};
use super::conv_sizes::ConvSizes;
#[cfg(feature = "cuda")]
use super::cuda;
use super::frame::{Frame, flip_transpose};
use super::padding::Padding;
use super::patches;
use super::sums::sum_in_order;
use crate::autodiff::Traced;
use crate::precision::Precision;

/// Convolves `x` (`N x I x H x W`) with `weight` (`O x I x k x k`, `k` odd) to
/// `N x O x ceil(H / stride) x ceil(W / stride)`. The maps' own type decides between `f32` and
/// `bf16`; `precision` only allows a GPU TF32.
///
/// # Errors
/// If the shapes do not fit, or the batch is empty.
pub fn conv2d(
    x: &Traced,
    weight: &Traced,
    stride: usize,
    padding: Padding,
    precision: Precision,
) -> Result<Traced> {
    let op = Convolution {
        stride,
        padding,
        tf32: precision == Precision::Tf32,
    };
    convolved(x, weight, op)
}

#[derive(Clone, Copy)]
struct Convolution {
    stride: usize,
    padding: Padding,
    /// True if a GPU may round factors to TF32.
    #[cfg_attr(
        not(feature = "cuda"),
        expect(dead_code, reason = "a CPU multiplies in f32 only")
    )]
    tf32: bool,
}

/// Number of films handled together at stride 1: small maps are joined so that the matrix products
/// stay wide. Depends on shapes alone, never on the number of threads.
fn films_together(sizes: &ConvSizes) -> usize {
    (1024 / sizes.map()).clamp(1, sizes.films.div_ceil(4))
}

/// The frame in which the films of `x` lie together at stride 1.
fn frame(sizes: &ConvSizes, x: &[f32]) -> Frame {
    Frame {
        films: x.len() / (sizes.inputs * sizes.map()),
        height: sizes.height,
        width: sizes.width,
        border: sizes.kernel / 2,
    }
}

impl Convolving for Convolution {
    type Sizes = ConvSizes;

    const NAMES: [&'static str; 3] = [
        "convolution",
        "convolution data gradient",
        "convolution weight gradient",
    ];

    fn sizes(self, x: &[usize], weight: &[usize]) -> Result<ConvSizes> {
        ConvSizes::new(x, weight, self.stride, self.padding)
    }

    fn outputs(sizes: &ConvSizes) -> [usize; 4] {
        let ConvSizes { films, outputs, .. } = *sizes;
        [films, outputs, sizes.out_height, sizes.out_width]
    }

    fn forward(x: &[f32], weight: &[f32], sizes: &ConvSizes) -> Vec<f32> {
        if sizes.stride == 1 {
            shifted_forward(x, weight, *sizes)
        } else {
            patches::forward(x, weight, *sizes)
        }
    }

    fn data_gradient(y_gradient: &[f32], weight: &[f32], sizes: &ConvSizes) -> Vec<f32> {
        if sizes.stride > 1 {
            return patches::data_gradient(y_gradient, weight, *sizes);
        }
        let flipped = flip_transpose(weight, (sizes.inputs, sizes.outputs));
        let swapped = ConvSizes {
            inputs: sizes.outputs,
            outputs: sizes.inputs,
            ..*sizes
        };
        shifted_forward(y_gradient, &flipped, swapped)
    }

    fn weight_gradient(x: &[f32], y_gradient: &[f32], sizes: &ConvSizes) -> Vec<f32> {
        if sizes.stride == 1 {
            shifted_weight_gradient(x, y_gradient, *sizes)
        } else {
            patches::weight_gradient(x, y_gradient, *sizes)
        }
    }

    #[cfg(feature = "cuda")]
    const ON_CUDA: [OnCuda<Self>; 3] = [
        |op, x, weight, sizes| cuda::conv::forward(x, weight, sizes, op.tf32),
        |op, dy, weight, sizes| cuda::conv::data_gradient(dy, weight, sizes, op.tf32),
        |op, x, dy, sizes| cuda::conv::weight_gradient(x, dy, sizes, op.tf32),
    ];
}

fn shifted_forward(x: &[f32], weight: &[f32], sizes: ConvSizes) -> Vec<f32> {
    let ConvSizes {
        inputs, outputs, ..
    } = sizes;
    let together = films_together(&sizes);
    let mut y = vec![0.0; sizes.films * outputs * sizes.map()];
    y.par_chunks_mut(together * outputs * sizes.map())
        .zip(x.par_chunks(together * inputs * sizes.map()))
        .for_each(|(y, x)| {
            let frame = frame(&sizes, x);
            if frame.border == 0 && frame.films == 1 {
                frame.convolve(x, weight, (inputs, outputs), y);
            } else {
                let rows = frame.lay_out(x, inputs);
                let mut out = vec![0.0; outputs * frame.row()];
                frame.convolve(&rows, weight, (inputs, outputs), &mut out);
                frame.gather(&out, outputs, y);
            }
        });
    y
}

fn shifted_weight_gradient(x: &[f32], y_gradient: &[f32], sizes: ConvSizes) -> Vec<f32> {
    let ConvSizes {
        inputs, outputs, ..
    } = sizes;
    let together = films_together(&sizes);
    let parts = x
        .par_chunks(together * inputs * sizes.map())
        .zip(y_gradient.par_chunks(together * outputs * sizes.map()))
        .map(|(x, y_gradient)| {
            let frame = frame(&sizes, x);
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
