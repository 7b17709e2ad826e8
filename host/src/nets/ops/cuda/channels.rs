//! Cutting and scaling channels.

use candle_core::{CudaStorage, Layout, Result, Shape, bail};

use super::{Blocks, Element, by_element, elements, integers, launch, room, small, storage};

/// Runs of elements in one tensor: the first begins at `first`, each next one `step` on.
#[derive(Clone, Copy)]
pub struct Runs {
    pub first: usize,
    pub step: usize,
}

/// The elements that `runs` of `run` elements begin, as many as fill `count`.
pub fn cut(
    x: (&CudaStorage, &Layout),
    runs: Runs,
    run: usize,
    count: usize,
) -> Result<CudaStorage> {
    let device = &x.0.device;
    by_element!(x.0, T => {
        let x = elements::<T>(x.0, x.1)?;
        if count > 0 && (count / run - 1) * runs.step + runs.first + run > x.len() {
            bail!("channels past the last one were asked for");
        }
        let mut y = room::<T>(device, count)?;
        let grid = Blocks::Elements(count);
        let [first, step, run, count] = [runs.first, runs.step, run, count].map(small);
        let (first, step, run, count) = (first?, step?, run?, count?);
        launch!(device, "cut_runs", T::SUFFIX, grid, x, mut y, first, step, run, count);
        Ok(storage(y, device))
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
        let mut y = room::<T>(device, x.len())?;
        let (grid, count) = (Blocks::Elements(x.len()), small(x.len())?);
        let [map] = integers([map])?;
        launch!(device, "scale_planes", T::SUFFIX, grid, x, scale, mut y, map, count);
        Ok(storage(y, device))
    })
}

/// The sum over each map of the products of two tensors, `N x C`, always `f32`.
pub fn products(
    a: (&CudaStorage, &Layout),
    b: (&CudaStorage, &Layout),
) -> Result<(CudaStorage, Shape)> {
    let device = &a.0.device;
    let &[films, channels, height, width] = a.1.dims() else {
        bail!("map products need 4-d tensors");
    };
    let mut sums = room::<f32>(device, films * channels)?;
    let [map] = integers([height * width])?;
    by_element!(a.0, T => {
        let (a, b) = (elements::<T>(a.0, a.1)?, elements::<T>(b.0, b.1)?);
        let grid = Blocks::Of(films * channels, 1);
        launch!(device, "plane_products", T::SUFFIX, grid, a, b, mut sums, map);
    });
    Ok((storage(sums, device), Shape::from((films, channels))))
}
