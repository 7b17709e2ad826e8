//! Poolings.

use candle_core::{CudaStorage, Layout, Result, Shape, bail};

use super::super::map_sizes::map_sizes;
use super::element::by_element;
use super::kernels::{
    AveragePool, AveragePoolGradient, FillPlanes, MaxPool, MaxPoolGradient, PlaneMeans,
};
use super::launch::Blocks;
use super::memory::{buffer, elements, integers, small, storage};

/// The operation that errors name.
const POOLING: &str = "pooling";

/// The 3 x 3 max pool at stride 2.
pub fn max(x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    let device = &x.device;
    let [films, channels, height, width] = map_sizes(layout.dims(), POOLING)?;
    let shape = [films, channels, height.div_ceil(2), width.div_ceil(2)];
    let total = shape.iter().product();
    let [height, width] = integers([height, width])?;
    let y = by_element!(x, T => {
        let x = elements::<T>(x, layout)?;
        let mut y = buffer::<T>(device, total)?;
        let kernel = MaxPool {
            x: &x,
            y: &mut y,
            height,
            width,
            count: small(total)?,
        };
        // SAFETY: `x` is all of the maps, and `y` was made for the outputs' shape.
        unsafe { kernel.launch(device, Blocks::Elements(total)) }?;
        storage(y, device)
    });
    Ok((y, Shape::from(&shape)))
}

/// The gradient of a max pool's input.
pub fn max_gradient(
    x: (&CudaStorage, &Layout),
    y_gradient: (&CudaStorage, &Layout),
) -> Result<(CudaStorage, Shape)> {
    let device = &x.0.device;
    let shape = x.1.shape().clone();
    let [films, channels, height, width] = map_sizes(x.1.dims(), POOLING)?;
    if y_gradient.1.dims() != [films, channels, height.div_ceil(2), width.div_ceil(2)] {
        bail!(
            "a max pool of {shape:?} got a gradient of {:?}",
            y_gradient.1.dims()
        );
    }
    let [height, width] = integers([height, width])?;
    let x_gradient = by_element!(x.0, T => {
        let (x, dy) = (elements::<T>(x.0, x.1)?, elements::<T>(y_gradient.0, y_gradient.1)?);
        let mut dx = buffer::<T>(device, x.len())?;
        let kernel = MaxPoolGradient {
            x: &x,
            dy: &dy,
            dx: &mut dx,
            height,
            width,
            count: small(x.len())?,
        };
        // SAFETY: the gradient has the outputs' shape, as just checked, and `dx` was made for as
        // many elements as `x` has.
        unsafe { kernel.launch(device, Blocks::Elements(x.len())) }?;
        storage(dx, device)
    });
    Ok((x_gradient, shape))
}

/// The mean over 2 x 2 places.
pub fn average(x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    let device = &x.device;
    let [films, channels, height, width] = map_sizes(layout.dims(), POOLING)?;
    let shape = [films, channels, height / 2, width / 2];
    if shape.contains(&0) {
        bail!("a map of {height} x {width} is too small to be halved");
    }
    let total = shape.iter().product();
    let [height, width] = integers([height, width])?;
    let y = by_element!(x, T => {
        let x = elements::<T>(x, layout)?;
        let mut y = buffer::<T>(device, total)?;
        let kernel = AveragePool {
            x: &x,
            y: &mut y,
            height,
            width,
            count: small(total)?,
        };
        // SAFETY: `x` is all of the maps, and `y` was made for the outputs' shape, which is not
        // empty.
        unsafe { kernel.launch(device, Blocks::Elements(total)) }?;
        storage(y, device)
    });
    Ok((y, Shape::from(&shape)))
}

/// The gradient of an average pool's input of `shape`.
pub fn average_gradient(
    y_gradient: &CudaStorage,
    layout: &Layout,
    shape: &[usize],
) -> Result<(CudaStorage, Shape)> {
    let device = &y_gradient.device;
    let [films, channels, height, width] = map_sizes(shape, POOLING)?;
    if layout.dims() != [films, channels, height / 2, width / 2] {
        bail!(
            "an average pool of {shape:?} got a gradient of {:?}",
            layout.dims()
        );
    }
    let total = shape.iter().product();
    let [height, width] = integers([height, width])?;
    let x_gradient = by_element!(y_gradient, T => {
        let dy = elements::<T>(y_gradient, layout)?;
        let mut dx = buffer::<T>(device, total)?;
        let kernel = AveragePoolGradient {
            dy: &dy,
            dx: &mut dx,
            height,
            width,
            count: small(total)?,
        };
        // SAFETY: the gradient has the outputs' shape, as just checked, and `dx` was made for the
        // inputs' shape.
        unsafe { kernel.launch(device, Blocks::Elements(total)) }?;
        storage(dx, device)
    });
    Ok((x_gradient, Shape::from(shape)))
}

/// The mean of each map, `N x C`, always `f32`.
pub fn means(x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    let device = &x.device;
    let [films, channels, height, width] = map_sizes(layout.dims(), POOLING)?;
    let mut means = buffer::<f32>(device, films * channels)?;
    let [map] = integers([height * width])?;
    by_element!(x, T => {
        let x = elements::<T>(x, layout)?;
        let grid = Blocks::Of(films * channels, 1);
        let kernel = PlaneMeans {
            x: &x,
            means: &mut means,
            map,
        };
        // SAFETY: the grid has a block for each map of `x`, for which `means` was made.
        unsafe { kernel.launch(device, grid) }?;
    });
    Ok((storage(means, device), Shape::from((films, channels))))
}

/// Each of the `f32` values times `share` over a map of `shape`, in elements of the type of `like`.
pub fn fill(
    values: (&CudaStorage, &Layout),
    like: &CudaStorage,
    share: f32,
    shape: &[usize],
) -> Result<CudaStorage> {
    let device = &values.0.device;
    let [films, channels, height, width] = map_sizes(shape, POOLING)?;
    let total = shape.iter().product();
    let [map] = integers([height * width])?;
    let values = elements::<f32>(values.0, values.1)?;
    if values.len() != films * channels {
        bail!("{} values do not fit maps of {shape:?}", values.len());
    }
    by_element!(like, T => {
        let mut y = buffer::<T>(device, total)?;
        let kernel = FillPlanes {
            values: &values,
            y: &mut y,
            share,
            map,
            count: small(total)?,
        };
        // SAFETY: there is a value for each map, as just checked, and `y` was made for the maps.
        unsafe { kernel.launch(device, Blocks::Elements(total)) }?;
        Ok(storage(y, device))
    })
}
