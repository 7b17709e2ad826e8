//! Scaling each channel of each film, and contiguous copies of maps.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::cuda;
use super::map_sizes::map_sizes;
use super::storage::elements;
use crate::autodiff::Traced;

/// A contiguous copy of maps whose films may lie apart.
///
/// # Errors
/// Candle's.
pub fn contiguous(maps: &Tensor) -> Result<Tensor> {
    // Candle's own copy sends a GPU the layout each time.
    #[cfg(feature = "cuda")]
    if maps.device().is_cuda()
        && !maps.is_contiguous()
        && cuda::memory::film_step(maps.layout()).is_some()
    {
        return cuda::channels::contiguous(maps);
    }
    maps.contiguous()
}

/// Multiplies each map of `x` (`N x C x H x W`) by its entry of `scale` (`N x C`).
///
/// # Errors
/// If the shapes do not fit, or the maps are empty.
pub fn scale_channels(x: &Traced, scale: &Traced) -> Result<Traced> {
    let (maps, factors) = (x.value().contiguous()?, scale.value().contiguous()?);
    let y = maps.apply_op2_no_bwd(&factors, &Scale)?;
    Ok(Traced::node(&[x, scale], y, move |gradient, wanted| {
        let gradient = gradient.contiguous()?;
        let of_maps = || gradient.apply_op2_no_bwd(&factors, &Scale);
        let of_scale = || maps.apply_op2_no_bwd(&gradient, &MapProducts);
        Ok(vec![
            wanted[0].then(of_maps).transpose()?,
            wanted[1].then(of_scale).transpose()?,
        ])
    }))
}

struct Scale;

impl CustomOp2 for Scale {
    fn name(&self) -> &'static str {
        "channel scale"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        scale: &CpuStorage,
        scale_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let map = map_of_scale(x_layout, scale_layout)?;
        let (x, scale) = (elements(x, x_layout)?, elements(scale, scale_layout)?);
        let mut y = vec![0.0; x.len()];
        y.par_chunks_mut(map)
            .zip(x.par_chunks(map).zip(scale))
            .with_min_len(16)
            .for_each(|(y, (x, scale))| {
                for (y, x) in y.iter_mut().zip(x) {
                    *y = x * scale;
                }
            });
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        scale: &CudaStorage,
        scale_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let map = map_of_scale(x_layout, scale_layout)?;
        let y = cuda::channels::scale((x, x_layout), (scale, scale_layout), map)?;
        Ok((y, x_layout.shape().clone()))
    }
}

/// Elements of each map of `x`, which `scale` has an entry for.
fn map_of_scale(x: &Layout, scale: &Layout) -> Result<usize> {
    let [films, channels, height, width] = map_sizes(x.dims(), "a scale of channels")?;
    if scale.dims() != [films, channels] {
        bail!(
            "maps of {:?} cannot be scaled by {:?}",
            x.dims(),
            scale.dims()
        );
    }
    Ok(height * width)
}

/// The sum over each map of the products of two tensors: `N x C x H x W` to `N x C`.
struct MapProducts;

impl CustomOp2 for MapProducts {
    fn name(&self) -> &'static str {
        "channel scale gradient"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let [films, channels, height, width] = map_sizes(a_layout.dims(), "a product of maps")?;
        let (a, b) = (elements(a, a_layout)?, elements(b, b_layout)?);
        let sums: Vec<f32> = a
            .par_chunks(height * width)
            .zip(b.par_chunks(height * width))
            .with_min_len(16)
            .map(|(a, b)| {
                let (a_blocks, a_tail) = a.as_chunks::<16>();
                let (b_blocks, b_tail) = b.as_chunks::<16>();
                let mut lanes = [0.0f32; 16];
                for (a, b) in a_blocks.iter().zip(b_blocks) {
                    for lane in 0..16 {
                        lanes[lane] += a[lane] * b[lane];
                    }
                }
                let tail: f32 = a_tail.iter().zip(b_tail).map(|(a, b)| a * b).sum();
                lanes.iter().sum::<f32>() + tail
            })
            .collect();
        Ok((CpuStorage::F32(sums), Shape::from((films, channels))))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        a: &CudaStorage,
        a_layout: &Layout,
        b: &CudaStorage,
        b_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        cuda::channels::products((a, a_layout), (b, b_layout))
    }
}
