//! Dense convolution.
//!
//! Stride 1: the film's maps are laid side by side, each with its zero border, as one long row
//! per channel; a `k x k` convolution is then `k * k` matrix products of whole rows shifted by
//! the kernel's offset, with nothing gathered. The data gradient is the same convolution with the
//! kernel turned over, the weight gradient a dot product of shifted rows.
//!
//! Larger strides (the stems): patches are gathered into columns, a band of output rows at a time.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::gemm::{Matrix, Rows, add_dot_products, matmul};
use super::{Padding, elements};

/// Convolves `x` (`N x I x H x W`) with `weight` (`O x I x k x k`, `k` odd) to
/// `N x O x ceil(H / stride) x ceil(W / stride)`.
///
/// # Errors
/// If the shapes do not fit.
pub fn conv2d(x: &Tensor, weight: &Tensor, stride: usize, padding: Padding) -> Result<Tensor> {
    x.contiguous()?
        .apply_op2(weight, Convolution { stride, padding })
}

#[derive(Clone, Copy)]
struct Convolution {
    stride: usize,
    padding: Padding,
}

/// The sizes of one convolution.
#[derive(Clone, Copy)]
struct Sizes {
    films: usize,
    inputs: usize,
    height: usize,
    width: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    /// Zeros on every side of a map at stride 1.
    border: usize,
    /// Zeros above and left of a map.
    before: (usize, usize),
    out_height: usize,
    out_width: usize,
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
            border: kernel / 2,
            before: (
                padding.before(height, kernel, stride),
                padding.before(width, kernel, stride),
            ),
            out_height: height.div_ceil(stride),
            out_width: width.div_ceil(stride),
        })
    }

    fn map(&self) -> usize {
        self.height * self.width
    }

    fn out_map(&self) -> usize {
        self.out_height * self.out_width
    }

    fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// Films handled together at stride 1: small maps are joined so that the matrix products
    /// stay wide. Depends on shapes alone, never on the number of threads.
    fn films_together(&self) -> usize {
        (1024 / self.map()).clamp(1, self.films.div_ceil(4))
    }
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::new(x_layout.dims(), weight_layout.dims(), *self)?;
        let (x, weight) = (elements(x, x_layout)?, elements(weight, weight_layout)?);
        let y = if self.stride == 1 {
            shifted_forward(x, weight, sizes)
        } else {
            patches_forward(x, weight, sizes)
        };
        let shape = (
            sizes.films,
            sizes.outputs,
            sizes.out_height,
            sizes.out_width,
        );
        Ok((CpuStorage::F32(y), Shape::from(shape)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        y_gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let y_gradient = y_gradient.contiguous()?;
        let op = *self;
        let x_gradient = x
            .track_op()
            .then(|| {
                let shape = x.dims().to_vec();
                y_gradient.apply_op2_no_bwd(weight, &DataGradient { op, shape })
            })
            .transpose()?;
        let weight_gradient = weight
            .track_op()
            .then(|| {
                let shape = weight.dims().to_vec();
                x.apply_op2_no_bwd(&y_gradient, &WeightGradient { op, shape })
            })
            .transpose()?;
        Ok((x_gradient, weight_gradient))
    }
}

/// The gradient of the input, from the output's gradient and the kernel.
struct DataGradient {
    op: Convolution,
    shape: Vec<usize>,
}

impl CustomOp2 for DataGradient {
    fn name(&self) -> &'static str {
        "convolution data gradient"
    }

    fn cpu_fwd(
        &self,
        y_gradient: &CpuStorage,
        y_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::new(&self.shape, weight_layout.dims(), self.op)?;
        let y_gradient = elements(y_gradient, y_layout)?;
        let weight = elements(weight, weight_layout)?;
        let x_gradient = if self.op.stride == 1 {
            let turned = turn_over(weight, sizes);
            let mirrored = Sizes {
                inputs: sizes.outputs,
                outputs: sizes.inputs,
                ..sizes
            };
            shifted_forward(y_gradient, &turned, mirrored)
        } else {
            patches_data_gradient(y_gradient, weight, sizes)
        };
        Ok((CpuStorage::F32(x_gradient), Shape::from(self.shape.clone())))
    }
}

/// The gradient of the kernel, from the input and the output's gradient.
struct WeightGradient {
    op: Convolution,
    shape: Vec<usize>,
}

impl CustomOp2 for WeightGradient {
    fn name(&self) -> &'static str {
        "convolution weight gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        y_gradient: &CpuStorage,
        y_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::new(x_layout.dims(), &self.shape, self.op)?;
        let (x, y_gradient) = (elements(x, x_layout)?, elements(y_gradient, y_layout)?);
        let gradient = if self.op.stride == 1 {
            shifted_weight_gradient(x, y_gradient, sizes)
        } else {
            patches_weight_gradient(x, y_gradient, sizes)
        };
        Ok((CpuStorage::F32(gradient), Shape::from(self.shape.clone())))
    }
}

/// `O x I x k x k` to `I x O x k x k`, each kernel rotated by half a turn.
fn turn_over(weight: &[f32], sizes: Sizes) -> Vec<f32> {
    let taps = sizes.taps();
    let mut turned = vec![0.0; weight.len()];
    for o in 0..sizes.outputs {
        for i in 0..sizes.inputs {
            let from = &weight[(o * sizes.inputs + i) * taps..][..taps];
            let to = &mut turned[(i * sizes.outputs + o) * taps..][..taps];
            for (to, from) in to.iter_mut().zip(from.iter().rev()) {
                *to = *from;
            }
        }
    }
    turned
}

/// Lays the maps of `films` films (`films x channels x height x width`) side by side as one row
/// per channel, each map at (`inset`, `inset`) of a zeroed frame `2 * border` larger.
fn lay_out(maps: &[f32], channels: usize, sizes: Sizes, inset: usize) -> Vec<f32> {
    let Sizes { height, width, .. } = sizes;
    let films = maps.len() / (channels * sizes.map());
    let frame_width = width + 2 * sizes.border;
    let frame = (height + 2 * sizes.border) * frame_width;
    let mut rows = vec![0.0; channels * films * frame];
    for film in 0..films {
        for channel in 0..channels {
            let map = &maps[(film * channels + channel) * sizes.map()..][..sizes.map()];
            let to = &mut rows[(channel * films + film) * frame..][..frame];
            for (y, line) in map.chunks_exact(width).enumerate() {
                to[(y + inset) * frame_width + inset..][..width].copy_from_slice(line);
            }
        }
    }
    rows
}

/// The inverse of [`lay_out`] with an inset of zero.
fn pick_up(rows: &[f32], channels: usize, sizes: Sizes, maps: &mut [f32]) {
    let Sizes { height, width, .. } = sizes;
    let films = maps.len() / (channels * sizes.map());
    let frame_width = width + 2 * sizes.border;
    let frame = (height + 2 * sizes.border) * frame_width;
    for film in 0..films {
        for channel in 0..channels {
            let map = &mut maps[(film * channels + channel) * sizes.map()..][..sizes.map()];
            let from = &rows[(channel * films + film) * frame..][..frame];
            for (y, line) in map.chunks_exact_mut(width).enumerate() {
                line.copy_from_slice(&from[y * frame_width..][..width]);
            }
        }
    }
}

/// Where tap `tap` of the kernel reads, relative to the output's place in a laid-out row.
fn tap_offset(tap: usize, sizes: Sizes) -> usize {
    (tap / sizes.kernel) * (sizes.width + 2 * sizes.border) + tap % sizes.kernel
}

fn shifted_forward(x: &[f32], weight: &[f32], sizes: Sizes) -> Vec<f32> {
    let mut y = vec![0.0; sizes.films * sizes.outputs * sizes.map()];
    let together = sizes.films_together();
    y.par_chunks_mut(together * sizes.outputs * sizes.map())
        .zip(x.par_chunks(together * sizes.inputs * sizes.map()))
        .for_each(|(y, x)| {
            let direct = sizes.kernel == 1 && x.len() == sizes.inputs * sizes.map();
            if direct {
                multiply_taps(x, weight, sizes, y);
            } else {
                let rows = lay_out(x, sizes.inputs, sizes, sizes.border);
                let mut out = vec![0.0; rows.len() / sizes.inputs * sizes.outputs];
                multiply_taps(&rows, weight, sizes, &mut out);
                pick_up(&out, sizes.outputs, sizes, y);
            }
        });
    y
}

/// One matrix product per tap on laid-out rows.
fn multiply_taps(rows: &[f32], weight: &[f32], sizes: Sizes, out: &mut [f32]) {
    let row = rows.len() / sizes.inputs;
    let columns = row - tap_offset(sizes.taps() - 1, sizes);
    for tap in 0..sizes.taps() {
        matmul(
            (sizes.outputs, columns, sizes.inputs),
            out,
            row,
            tap > 0,
            Matrix {
                data: &weight[tap..],
                row: sizes.inputs * sizes.taps(),
                column: sizes.taps(),
            },
            Matrix {
                data: &rows[tap_offset(tap, sizes)..],
                row,
                column: 1,
            },
        );
    }
}

fn shifted_weight_gradient(x: &[f32], y_gradient: &[f32], sizes: Sizes) -> Vec<f32> {
    let together = sizes.films_together();
    let parts: Vec<Vec<f32>> = x
        .par_chunks(together * sizes.inputs * sizes.map())
        .zip(y_gradient.par_chunks(together * sizes.outputs * sizes.map()))
        .map(|(x, y_gradient)| {
            let mut part = vec![0.0; sizes.outputs * sizes.inputs * sizes.taps()];
            if sizes.kernel == 1 && x.len() == sizes.inputs * sizes.map() {
                add_tap_products(x, y_gradient, sizes, &mut part);
            } else {
                let rows = lay_out(x, sizes.inputs, sizes, sizes.border);
                let gradient_rows = lay_out(y_gradient, sizes.outputs, sizes, 0);
                add_tap_products(&rows, &gradient_rows, sizes, &mut part);
            }
            part
        })
        .collect();
    sum_in_order(parts)
}

fn add_tap_products(rows: &[f32], gradient_rows: &[f32], sizes: Sizes, part: &mut [f32]) {
    let row = rows.len() / sizes.inputs;
    let columns = row - tap_offset(sizes.taps() - 1, sizes);
    for tap in 0..sizes.taps() {
        add_dot_products(
            &mut part[tap..],
            sizes.taps(),
            Rows {
                data: gradient_rows,
                count: sizes.outputs,
                stride: row,
                offset: 0,
            },
            Rows {
                data: rows,
                count: sizes.inputs,
                stride: row,
                offset: tap_offset(tap, sizes),
            },
            columns,
        );
    }
}

/// Adds the parts in their order, so that the sum does not depend on which thread was first.
fn sum_in_order(parts: Vec<Vec<f32>>) -> Vec<f32> {
    let mut parts = parts.into_iter();
    let mut sum = parts.next().unwrap_or_default();
    for part in parts {
        for (sum, part) in sum.iter_mut().zip(part) {
            *sum += part;
        }
    }
    sum
}

/// Output rows gathered at once, so that a band of patches stays in the second-level cache.
const BAND: usize = 8;

/// Calls `f` with each band of patches of one film: first output row, rows, and the patches as
/// `inputs * k * k` rows of one column per output place.
fn for_each_band(x: &[f32], sizes: Sizes, mut f: impl FnMut(usize, usize, &[f32])) {
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
    sizes: Sizes,
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

fn patches_forward(x: &[f32], weight: &[f32], sizes: Sizes) -> Vec<f32> {
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

fn patches_weight_gradient(x: &[f32], y_gradient: &[f32], sizes: Sizes) -> Vec<f32> {
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

fn patches_data_gradient(y_gradient: &[f32], weight: &[f32], sizes: Sizes) -> Vec<f32> {
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
