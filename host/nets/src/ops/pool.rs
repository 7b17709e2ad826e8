//! The poolings the two networks use.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::cuda;
use super::map_sizes::map_sizes;
use super::storage::elements;
use crate::autodiff::Traced;

/// The operation that errors name.
const POOLING: &str = "pooling";

/// Overlapping maximum over 3 x 3 windows at stride 2, padded by 1, as in DenseNet's stem:
/// `N x C x H x W` to `N x C x ceil(H / 2) x ceil(W / 2)`.
///
/// The gradient goes to the first maximum of each window in reading order, as in PyTorch.
///
/// # Errors
/// If `x` is not 4-d, or empty.
pub fn max_pool_3x3(x: &Traced) -> Result<Traced> {
    pooled(x, MaxPool, MaxPoolGradient)
}

/// The maps after `pool`; `backward` computes the maps' gradient, from them and the output's.
fn pooled(
    x: &Traced,
    pool: impl CustomOp1,
    backward: impl CustomOp2 + Send + 'static,
) -> Result<Traced> {
    let maps = x.value().contiguous()?;
    let y = maps.apply_op1_no_bwd(&pool)?;
    Ok(Traced::node(&[x], y, move |gradient, _| {
        let gradient = maps.apply_op2_no_bwd(&gradient.contiguous()?, &backward)?;
        Ok(vec![Some(gradient)])
    }))
}

struct MaxPool;

/// The index in `map` of the first maximum of the window of output (`row`, `column`), or of the
/// last not-a-number.
fn window_maximum(map: &[f32], height: usize, width: usize, row: usize, column: usize) -> usize {
    let mut best = (2 * row) * width + 2 * column;
    let mut first = true;
    for y in (2 * row).saturating_sub(1)..(2 * row + 2).min(height) {
        for x in (2 * column).saturating_sub(1)..(2 * column + 2).min(width) {
            let at = y * width + x;
            if first || map[at] > map[best] || map[at].is_nan() {
                best = at;
                first = false;
            }
        }
    }
    best
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let [films, channels, height, width] = map_sizes(layout.dims(), POOLING)?;
        let (out_height, out_width) = (height.div_ceil(2), width.div_ceil(2));
        let mut y = vec![0.0; films * channels * out_height * out_width];
        y.par_chunks_mut(out_height * out_width)
            .zip(elements(x, layout)?.par_chunks(height * width))
            .for_each(|(y, x)| {
                for (at, y) in y.iter_mut().enumerate() {
                    *y = x[window_maximum(x, height, width, at / out_width, at % out_width)];
                }
            });
        let shape = (films, channels, out_height, out_width);
        Ok((CpuStorage::F32(y), Shape::from(shape)))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::pool::max(x, layout)
    }
}

struct MaxPoolGradient;

impl CustomOp2 for MaxPoolGradient {
    fn name(&self) -> &'static str {
        "max pool gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        y_gradient: &CpuStorage,
        y_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let [_, _, height, width] = map_sizes(x_layout.dims(), POOLING)?;
        let (out_height, out_width) = (height.div_ceil(2), width.div_ceil(2));
        let x = elements(x, x_layout)?;
        let y_gradient = elements(y_gradient, y_layout)?;
        let mut gradient = vec![0.0; x.len()];
        gradient
            .par_chunks_mut(height * width)
            .zip(x.par_chunks(height * width))
            .zip(y_gradient.par_chunks(out_height * out_width))
            .for_each(|((gradient, x), y_gradient)| {
                for (at, y) in y_gradient.iter().enumerate() {
                    let (row, column) = (at / out_width, at % out_width);
                    gradient[window_maximum(x, height, width, row, column)] += y;
                }
            });
        Ok((CpuStorage::F32(gradient), x_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        y_gradient: &CudaStorage,
        y_gradient_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        cuda::pool::max_gradient((x, x_layout), (y_gradient, y_gradient_layout))
    }
}

/// Mean over 2 x 2 windows at stride 2, as in DenseNet's transitions: `N x C x H x W` to
/// `N x C x H / 2 x W / 2`; an odd last row or column is left out.
///
/// # Errors
/// If `x` is not 4-d, or empty.
pub fn average_pool_2x2(x: &Traced) -> Result<Traced> {
    let y = x.value().contiguous()?.apply_op1_no_bwd(&AveragePool)?;
    let shape = x.dims().to_vec();
    Ok(Traced::node(&[x], y, move |gradient, _| {
        let gradient = gradient.contiguous()?.apply_op1_no_bwd(&Spread { shape })?;
        Ok(vec![Some(gradient)])
    }))
}

struct AveragePool;

impl CustomOp1 for AveragePool {
    fn name(&self) -> &'static str {
        "average pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let [films, channels, height, width] = map_sizes(layout.dims(), POOLING)?;
        let (out_height, out_width) = (height / 2, width / 2);
        if out_height == 0 || out_width == 0 {
            bail!("a map of {height} x {width} is too small to be halved");
        }
        let mut y = vec![0.0; films * channels * out_height * out_width];
        y.par_chunks_mut(out_height * out_width)
            .zip(elements(x, layout)?.par_chunks(height * width))
            .for_each(|(y, x)| {
                for (row, line) in y.chunks_exact_mut(out_width).enumerate() {
                    let (upper, lower) = x[2 * row * width..].split_at(width);
                    for (column, y) in line.iter_mut().enumerate() {
                        let (a, b) = (2 * column, 2 * column + 1);
                        *y = 0.25 * (upper[a] + upper[b] + lower[a] + lower[b]);
                    }
                }
            });
        let shape = (films, channels, out_height, out_width);
        Ok((CpuStorage::F32(y), Shape::from(shape)))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::pool::average(x, layout)
    }
}

/// Mean over each map: `N x C x H x W` to `N x C`, always `f32`.
///
/// # Errors
/// If `x` is not 4-d, or empty.
pub fn global_average_pool(x: &Traced) -> Result<Traced> {
    pooled(x, GlobalAverage, Fill)
}

struct GlobalAverage;

impl CustomOp1 for GlobalAverage {
    fn name(&self) -> &'static str {
        "global average pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let [films, channels, height, width] = map_sizes(layout.dims(), POOLING)?;
        let map = height * width;
        let means = elements(x, layout)?
            .par_chunks(map)
            .with_min_len(16)
            .map(|x| {
                let (blocks, tail) = x.as_chunks::<16>();
                let mut lanes = [0.0f32; 16];
                for block in blocks {
                    for (lane, x) in lanes.iter_mut().zip(block) {
                        *lane += x;
                    }
                }
                (lanes.iter().sum::<f32>() + tail.iter().sum::<f32>()) / map as f32
            })
            .collect();
        Ok((CpuStorage::F32(means), Shape::from((films, channels))))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::pool::means(x, layout)
    }
}

/// The gradient of a mean over each map of the first tensor: each value of the second divided
/// evenly.
struct Fill;

impl CustomOp2 for Fill {
    fn name(&self) -> &'static str {
        "global average pool gradient"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        x_layout: &Layout,
        values: &CpuStorage,
        values_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let [_, _, height, width] = map_sizes(x_layout.dims(), POOLING)?;
        let map = height * width;
        let mut maps = vec![0.0; x_layout.shape().elem_count()];
        maps.par_chunks_mut(map)
            .zip(elements(values, values_layout)?)
            .with_min_len(16)
            .for_each(|(plane, value)| plane.fill(value / map as f32));
        Ok((CpuStorage::F32(maps), x_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        values: &CudaStorage,
        values_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let [_, _, height, width] = map_sizes(x_layout.dims(), POOLING)?;
        let share = 1.0 / (height * width) as f32;
        let values = (values, values_layout);
        let maps = cuda::pool::fill(values, x, share, x_layout.dims())?;
        Ok((maps, x_layout.shape().clone()))
    }
}

/// The gradient of a mean over 2 x 2 places: each value divided evenly over its window.
struct Spread {
    shape: Vec<usize>,
}

impl CustomOp1 for Spread {
    fn name(&self) -> &'static str {
        "average pool gradient"
    }

    fn cpu_fwd(&self, y_gradient: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let [_, _, out_height, out_width] = map_sizes(layout.dims(), POOLING)?;
        let (height, width) = (self.shape[2], self.shape[3]);
        let mut gradient = vec![0.0; self.shape.iter().product()];
        gradient
            .par_chunks_mut(height * width)
            .zip(elements(y_gradient, layout)?.par_chunks(out_height * out_width))
            .for_each(|(gradient, y_gradient)| {
                for (row, line) in gradient
                    .chunks_exact_mut(width)
                    .take(2 * out_height)
                    .enumerate()
                {
                    let from = &y_gradient[row / 2 * out_width..][..out_width];
                    for (to, from) in line.chunks_exact_mut(2).zip(from) {
                        to.fill(0.25 * from);
                    }
                }
            });
        Ok((CpuStorage::F32(gradient), Shape::from(self.shape.clone())))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::pool::average_gradient(x, layout, &self.shape)
    }
}
