//! Depthwise convolution.

use candle_core::{CudaStorage, Layout, Result, Shape};

use super::super::depthwise::Sizes;
use super::{Blocks, Element, by_element, elements, integers, launch, room, small, spans, storage};

/// The sizes as every kernel takes them.
fn numbers(sizes: &Sizes) -> Result<[i32; 9]> {
    integers([
        sizes.channels,
        sizes.height,
        sizes.width,
        sizes.out_height(),
        sizes.out_width(),
        sizes.kernel,
        sizes.stride,
        sizes.kernel / 2 - sizes.first.0,
        sizes.kernel / 2 - sizes.first.1,
    ])
}

pub fn forward(
    x: (&CudaStorage, &Layout),
    weight: (&CudaStorage, &Layout),
    sizes: &Sizes,
) -> Result<(CudaStorage, Shape)> {
    let shape = (
        sizes.films,
        sizes.channels,
        sizes.out_height(),
        sizes.out_width(),
    );
    let y = along("depthwise", x, weight, sizes, sizes.out_map())?;
    Ok((y, Shape::from(shape)))
}

pub fn data_gradient(
    y_gradient: (&CudaStorage, &Layout),
    weight: (&CudaStorage, &Layout),
    sizes: &Sizes,
) -> Result<(CudaStorage, Shape)> {
    let shape = (sizes.films, sizes.channels, sizes.height, sizes.width);
    let x_gradient = along("depthwise_data", y_gradient, weight, sizes, sizes.map())?;
    Ok((x_gradient, Shape::from(shape)))
}

/// A kernel with a thread for each of `map` places of each plane of what it makes.
fn along(
    name: &'static str,
    from: (&CudaStorage, &Layout),
    weight: (&CudaStorage, &Layout),
    sizes: &Sizes,
    map: usize,
) -> Result<CudaStorage> {
    let device = &from.0.device;
    let [
        channels,
        height,
        width,
        out_height,
        out_width,
        k,
        stride,
        top,
        left,
    ] = numbers(sizes)?;
    by_element!(from.0, T => {
        let (from, weight) = (elements::<T>(from.0, from.1)?, elements::<T>(weight.0, weight.1)?);
        let total = sizes.films * sizes.channels * map;
        let mut to = room::<T>(device, total)?;
        let count = small(total)?;
        let grid = Blocks::Elements(total);
        launch!(
            device, name, T::SUFFIX, grid, from, weight, mut to, channels, height, width, out_height,
            out_width, k, stride, top, left, count,
        );
        Ok(storage(to, device))
    })
}

pub fn weight_gradient(
    x: (&CudaStorage, &Layout),
    y_gradient: (&CudaStorage, &Layout),
    sizes: &Sizes,
) -> Result<(CudaStorage, Shape)> {
    let device = &x.0.device;
    let spans = spans(sizes.channels, sizes.films * sizes.out_map());
    let count = sizes.channels * sizes.taps();
    let mut parts = room::<f32>(device, count * spans)?;
    let (grid, joined) = (Blocks::Of(sizes.channels, spans), Blocks::Elements(count));
    let [
        channels,
        height,
        width,
        out_height,
        out_width,
        k,
        stride,
        top,
        left,
    ] = numbers(sizes)?;
    let [films, spans, taps] = integers([sizes.films, spans, sizes.taps()])?;
    let gradient = by_element!(x.0, T => {
        let (x, dy) = (elements::<T>(x.0, x.1)?, elements::<T>(y_gradient.0, y_gradient.1)?);
        launch!(
            device, "depthwise_taps", T::SUFFIX, grid, x, dy, mut parts, films, channels, height, width,
            out_height, out_width, k, stride, top, left,
        );
        let mut gradient = room::<T>(device, count)?;
        launch!(
            device, "joined_taps", T::SUFFIX, joined, parts, mut gradient, channels, spans, taps,
        );
        storage(gradient, device)
    });
    Ok((
        gradient,
        Shape::from((sizes.channels, 1, sizes.kernel, sizes.kernel)),
    ))
}
