//! Convolution at larger strides: patches are gathered into columns (im2col), a band of output rows
//! at a time.

use rayon::prelude::*;

use super::conv_sizes::ConvSizes;
use super::gemm::{Matrix, Rows, add_dot_products, matmul};
use super::sums::sum_in_order;

/// Output rows gathered at once, so that a band of patches stays in the second-level cache.
const BAND: usize = 8;

/// Calls `f` with each band of patches of one film: first output row, rows, and the patches as
/// `inputs * k * k` rows of one column per output place.
fn for_each_band(x: &[f32], sizes: ConvSizes, mut f: impl FnMut(usize, usize, &[f32])) {
    let mut patches = vec![0.0; sizes.inputs * sizes.taps() * BAND * sizes.out_width];
    for first in (0..sizes.out_height).step_by(BAND) {
        let rows = BAND.min(sizes.out_height - first);
        let places = rows * sizes.out_width;
        let patches = &mut patches[..sizes.inputs * sizes.taps() * places];
        for_each_patch_line(sizes, first, rows, |input, line, y, places_in_line| {
            let to = &mut patches[line..][..sizes.out_width];
            to.fill(0.0);
            if let Some(y) = y {
                let from = &x[(input * sizes.height + y) * sizes.width..][..sizes.width];
                for (out, column) in places_in_line {
                    to[out] = from[column];
                }
            }
        });
        f(first, rows, patches);
    }
}

/// Visits every line of a band of patches: the input channel, where the line starts among the
/// patches, the film row it reads (none in the padding), and the pairs of output column and film
/// column inside the film.
fn for_each_patch_line(
    sizes: ConvSizes,
    first: usize,
    rows: usize,
    mut f: impl FnMut(usize, usize, Option<usize>, &mut dyn Iterator<Item = (usize, usize)>),
) {
    for input in 0..sizes.inputs {
        for tap in 0..sizes.taps() {
            let (tap_y, tap_x) = (tap / sizes.kernel, tap % sizes.kernel);
            for row in 0..rows {
                let line = ((input * sizes.taps() + tap) * rows + row) * sizes.out_width;
                let y = ((first + row) * sizes.stride + tap_y)
                    .checked_sub(sizes.before.0)
                    .filter(|y| *y < sizes.height);
                let mut places = (0..sizes.out_width).filter_map(|out| {
                    (out * sizes.stride + tap_x)
                        .checked_sub(sizes.before.1)
                        .filter(|x| *x < sizes.width)
                        .map(|x| (out, x))
                });
                f(input, line, y, &mut places);
            }
        }
    }
}

/// The outputs, films first.
pub fn forward(x: &[f32], weight: &[f32], sizes: ConvSizes) -> Vec<f32> {
    let mut y = vec![0.0; sizes.films * sizes.outputs * sizes.out_map()];
    let depth = sizes.inputs * sizes.taps();
    y.par_chunks_mut(sizes.outputs * sizes.out_map())
        .zip(x.par_chunks(sizes.inputs * sizes.map()))
        .for_each(|(y, x)| {
            for_each_band(x, sizes, |first, rows, patches| {
                let places = rows * sizes.out_width;
                matmul(
                    (sizes.outputs, places, depth),
                    &mut y[first * sizes.out_width..],
                    sizes.out_map(),
                    false,
                    Matrix {
                        data: weight,
                        row: depth,
                        column: 1,
                    },
                    Matrix {
                        data: patches,
                        row: places,
                        column: 1,
                    },
                );
            });
        });
    y
}

/// The gradient of the kernel.
pub fn weight_gradient(x: &[f32], y_gradient: &[f32], sizes: ConvSizes) -> Vec<f32> {
    let depth = sizes.inputs * sizes.taps();
    let parts = x
        .par_chunks(sizes.inputs * sizes.map())
        .zip(y_gradient.par_chunks(sizes.outputs * sizes.out_map()))
        .map(|(x, y_gradient)| {
            let mut part = vec![0.0; sizes.outputs * depth];
            for_each_band(x, sizes, |first, rows, patches| {
                let places = rows * sizes.out_width;
                add_dot_products(
                    &mut part,
                    1,
                    Rows {
                        data: y_gradient,
                        count: sizes.outputs,
                        stride: sizes.out_map(),
                        offset: first * sizes.out_width,
                    },
                    Rows {
                        data: patches,
                        count: depth,
                        stride: places,
                        offset: 0,
                    },
                    places,
                );
            });
            part
        })
        .collect();
    sum_in_order(parts)
}

/// The gradient of the inputs, from the outputs'.
pub fn data_gradient(y_gradient: &[f32], weight: &[f32], sizes: ConvSizes) -> Vec<f32> {
    let depth = sizes.inputs * sizes.taps();
    let mut x_gradient = vec![0.0; sizes.films * sizes.inputs * sizes.map()];
    x_gradient
        .par_chunks_mut(sizes.inputs * sizes.map())
        .zip(y_gradient.par_chunks(sizes.outputs * sizes.out_map()))
        .for_each(|(x_gradient, y_gradient)| {
            let mut patches = vec![0.0; depth * BAND * sizes.out_width];
            for first in (0..sizes.out_height).step_by(BAND) {
                let rows = BAND.min(sizes.out_height - first);
                let places = rows * sizes.out_width;
                matmul(
                    (depth, places, sizes.outputs),
                    &mut patches,
                    places,
                    false,
                    Matrix {
                        data: weight,
                        row: 1,
                        column: depth,
                    },
                    Matrix {
                        data: &y_gradient[first * sizes.out_width..],
                        row: sizes.out_map(),
                        column: 1,
                    },
                );
                for_each_patch_line(sizes, first, rows, |input, line, y, places_in_line| {
                    let Some(y) = y else { return };
                    let to = &mut x_gradient[(input * sizes.height + y) * sizes.width..];
                    let from = &patches[line..][..sizes.out_width];
                    for (out, column) in places_in_line {
                        to[column] += from[out];
                    }
                });
            }
        });
    x_gradient
}
