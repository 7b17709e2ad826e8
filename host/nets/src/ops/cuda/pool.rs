//! Poolings.

use candle_core::{CudaStorage, Layout, Result, Shape, bail};

use super::{Blocks, Element, by_element, elements, integers, launch, room, small, storage};

/// Films, channels, height and width of maps.
fn sizes(dims: &[usize]) -> Result<[usize; 4]> {
    match dims {
        &[films, channels, height, width] if height > 0 && width > 0 => {
            Ok([films, channels, height, width])
        }
        other => bail!("pooling needs a 4-d tensor, got {other:?}"),
    }
}

pub fn max(x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    let [films, channels, height, width] = sizes(layout.dims())?;
    let shape = [films, channels, height.div_ceil(2), width.div_ceil(2)];
    let y = map("max_pool", (x, layout), (height, width), &shape)?;
    Ok((y, Shape::from(&shape)))
}

pub fn average(x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    let [films, channels, height, width] = sizes(layout.dims())?;
    let shape = [films, channels, height / 2, width / 2];
    if shape.contains(&0) {
        bail!("a map of {height} x {width} is too small to be halved");
    }
    let y = map("average_pool", (x, layout), (height, width), &shape)?;
    Ok((y, Shape::from(&shape)))
}

/// From the outputs' gradient to that of inputs of `shape`.
pub fn average_gradient(
    y_gradient: &CudaStorage,
    layout: &Layout,
    shape: &[usize],
) -> Result<(CudaStorage, Shape)> {
    let [.., height, width] = sizes(shape)?;
    let size = (height, width);
    let x_gradient = map("average_pool_gradient", (y_gradient, layout), size, shape)?;
    Ok((x_gradient, Shape::from(shape)))
}

/// A kernel with a thread for each element of `shape`; `height` and `width` are the larger maps'.
fn map(
    name: &'static str,
    from: (&CudaStorage, &Layout),
    (height, width): (usize, usize),
    shape: &[usize],
) -> Result<CudaStorage> {
    let device = &from.0.device;
    let [height, width] = integers([height, width])?;
    let total = shape.iter().product();
    by_element!(from.0, T => {
        let from = elements::<T>(from.0, from.1)?;
        let mut to = room::<T>(device, total)?;
        let count = small(total)?;
        launch!(
            device, name, T::SUFFIX, Blocks::Elements(total), from, mut to, height, width, count,
        );
        Ok(storage(to, device))
    })
}

pub fn max_gradient(
    x: (&CudaStorage, &Layout),
    y_gradient: (&CudaStorage, &Layout),
) -> Result<(CudaStorage, Shape)> {
    let device = &x.0.device;
    let shape = x.1.shape().clone();
    let [.., height, width] = sizes(x.1.dims())?;
    let [height, width] = integers([height, width])?;
    let x_gradient = by_element!(x.0, T => {
        let (x, dy) = (elements::<T>(x.0, x.1)?, elements::<T>(y_gradient.0, y_gradient.1)?);
        let mut dx = room::<T>(device, x.len())?;
        let count = small(x.len())?;
        let grid = Blocks::Elements(x.len());
        launch!(
            device, "max_pool_gradient", T::SUFFIX, grid, x, dy, mut dx, height, width, count,
        );
        storage(dx, device)
    });
    Ok((x_gradient, shape))
}

/// The mean of each map, `N x C`, always `f32`.
pub fn means(x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    let device = &x.device;
    let [films, channels, height, width] = sizes(layout.dims())?;
    let mut means = room::<f32>(device, films * channels)?;
    let [map] = integers([height * width])?;
    by_element!(x, T => {
        let x = elements::<T>(x, layout)?;
        let grid = Blocks::Of(films * channels, 1);
        launch!(device, "plane_means", T::SUFFIX, grid, x, mut means, map);
    });
    Ok((storage(means, device), Shape::from((films, channels))))
}

/// Each of the `f32` values times `share` over a map of `shape`, in elements like `like`'s.
pub fn fill(
    values: (&CudaStorage, &Layout),
    like: &CudaStorage,
    share: f32,
    shape: &[usize],
) -> Result<CudaStorage> {
    let device = &values.0.device;
    let [.., height, width] = sizes(shape)?;
    let total = shape.iter().product();
    let [map] = integers([height * width])?;
    let values = elements::<f32>(values.0, values.1)?;
    by_element!(like, T => {
        let mut y = room::<T>(device, total)?;
        let count = small(total)?;
        let grid = Blocks::Elements(total);
        launch!(device, "fill_planes", T::SUFFIX, grid, values, mut y, share, map, count);
        Ok(storage(y, device))
    })
}
