//! Scaling channels, and contiguous copies of films.

use candle_core::{CudaStorage, Layout, Result, Shape, Tensor, bail};

use super::super::map_sizes::map_sizes;
use super::element::by_element;
use super::kernels::{Contiguous, PlaneProducts, ScalePlanes};
use super::launch::Blocks;
use super::memory::{buffer, elements, films, integers, small, storage, tensor, with_storages};

/// A contiguous copy of films that lie apart.
pub fn contiguous(maps: &Tensor) -> Result<Tensor> {
    with_storages([maps], |[(x, layout)]| {
        let device = &x.device;
        let shape = layout.shape().clone();
        let (_, channels, height, width) = shape.dims4()?;
        let (film, count) = (small(channels * height * width)?, shape.elem_count());
        let copy = by_element!(x, T => {
            let (x, step) = films::<T>(x, layout)?;
            let mut y = buffer::<T>(device, count)?;
            let (grid, count) = (Blocks::Elements(count), small(count)?);
            let kernel = Contiguous {
                x: &x,
                y: &mut y,
                film,
                step,
                count,
            };
            // SAFETY: `films` gave `x` and the step, and `y` was made for the elements of the
            // shape.
            unsafe { kernel.launch(device, grid) }?;
            storage(y, device)
        });
        Ok(tensor((copy, shape)))
    })
}

/// Each map of `map` elements times its `f32` value.
pub fn scale(
    x: (&CudaStorage, &Layout),
    scale: (&CudaStorage, &Layout),
    map: usize,
) -> Result<CudaStorage> {
    let device = &x.0.device;
    let scale = elements::<f32>(scale.0, scale.1)?;
    by_element!(x.0, T => {
        let x = elements::<T>(x.0, x.1)?;
        let mut y = buffer::<T>(device, x.len())?;
        let (grid, count) = (Blocks::Elements(x.len()), small(x.len())?);
        if map == 0 || scale.len() * map != x.len() {
            bail!("{} factors do not fit {} elements in maps of {map}", scale.len(), x.len());
        }
        let [map] = integers([map])?;
        let kernel = ScalePlanes {
            x: &x,
            scale: &scale,
            y: &mut y,
            map,
            count,
        };
        // SAFETY: there is a factor for each plane, as just checked, and `y` was made for as many
        // elements as `x` has.
        unsafe { kernel.launch(device, grid) }?;
        Ok(storage(y, device))
    })
}

/// The sum over each map of the products of two tensors, `N x C`, always `f32`.
pub fn products(
    a: (&CudaStorage, &Layout),
    b: (&CudaStorage, &Layout),
) -> Result<(CudaStorage, Shape)> {
    let device = &a.0.device;
    let [films, channels, height, width] = map_sizes(a.1.dims(), "a product of maps")?;
    if a.1.shape() != b.1.shape() {
        bail!(
            "maps of {:?} and {:?} cannot be multiplied",
            a.1.dims(),
            b.1.dims()
        );
    }
    let mut sums = buffer::<f32>(device, films * channels)?;
    let [map] = integers([height * width])?;
    by_element!(a.0, T => {
        let (a, b) = (elements::<T>(a.0, a.1)?, elements::<T>(b.0, b.1)?);
        let grid = Blocks::Of(films * channels, 1);
        let kernel = PlaneProducts {
            a: &a,
            b: &b,
            sums: &mut sums,
            map,
        };
        // SAFETY: the operands are of one shape, and the grid has a block for each of their planes,
        // for which `sums` was made.
        unsafe { kernel.launch(device, grid) }?;
    });
    Ok((storage(sums, device), Shape::from((films, channels))))
}
