//! Gathering films, and scaling channels.

use candle_core::{CudaStorage, Layout, Result, Shape, Tensor, bail};

use super::{
    Blocks, Element, by_element, elements, films, integers, launch, room, small, storage, tensor,
    with_storages,
};

/// Films that lie apart, one behind another.
pub fn gathered(maps: &Tensor) -> Result<Tensor> {
    with_storages([maps], |[(x, layout)]| {
        let device = &x.device;
        let shape = layout.shape().clone();
        let (_, channels, height, width) = shape.dims4()?;
        let (film, count) = (small(channels * height * width)?, shape.elem_count());
        let gathered = by_element!(x, T => {
            let (x, step) = films::<T>(x, layout)?;
            let mut y = room::<T>(device, count)?;
            let (grid, count) = (Blocks::Elements(count), small(count)?);
            launch!(device, "gathered", T::SUFFIX, grid, x, mut y, film, step, count);
            storage(y, device)
        });
        Ok(tensor((gathered, shape)))
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
