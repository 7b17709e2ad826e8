//! Depthwise convolution.

use candle_core::{CudaStorage, Layout, Result, Shape, bail};

use super::super::depthwise_sizes::DepthwiseSizes;
use super::element::by_element;
use super::kernels::{Depthwise, DepthwiseData, DepthwiseTaps, JoinedTaps};
use super::launch::{Blocks, spans};
use super::memory::{buffer, elements, integers, small, storage};

/// The sizes as every kernel takes them: channels, height, width, those of the outputs, kernel,
/// stride, and the zeros above and left.
fn numbers(sizes: &DepthwiseSizes) -> Result<[i32; 9]> {
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

/// Refuses tensors that do not have the elements of these sizes.
fn check(sizes: &DepthwiseSizes, counts: [(usize, usize); 2]) -> Result<()> {
    if counts.iter().any(|(found, expected)| found != expected) {
        bail!(
            "a depthwise convolution of {} channels got other sizes",
            sizes.channels
        );
    }
    Ok(())
}

/// The outputs.
pub fn forward(
    x: (&CudaStorage, &Layout),
    weight: (&CudaStorage, &Layout),
    sizes: &DepthwiseSizes,
) -> Result<(CudaStorage, Shape)> {
    let device = &x.0.device;
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
    let planes = sizes.films * sizes.channels;
    let y = by_element!(x.0, T => {
        let (x, weight) = (elements::<T>(x.0, x.1)?, elements::<T>(weight.0, weight.1)?);
        check(sizes, [
            (x.len(), planes * sizes.map()),
            (weight.len(), sizes.channels * sizes.taps()),
        ])?;
        let total = planes * sizes.out_map();
        let mut y = buffer::<T>(device, total)?;
        let kernel = Depthwise {
            x: &x,
            weight: &weight,
            y: &mut y,
            channels,
            height,
            width,
            out_height,
            out_width,
            k,
            stride,
            top,
            left,
            count: small(total)?,
        };
        // SAFETY: `check` has seen the operands' sizes, and `y` was made for the outputs.
        unsafe { kernel.launch(device, Blocks::Elements(total)) }?;
        storage(y, device)
    });
    let shape = (
        sizes.films,
        sizes.channels,
        sizes.out_height(),
        sizes.out_width(),
    );
    Ok((y, Shape::from(shape)))
}

/// The gradient of the maps.
pub fn data_gradient(
    y_gradient: (&CudaStorage, &Layout),
    weight: (&CudaStorage, &Layout),
    sizes: &DepthwiseSizes,
) -> Result<(CudaStorage, Shape)> {
    let device = &y_gradient.0.device;
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
    let planes = sizes.films * sizes.channels;
    let x_gradient = by_element!(y_gradient.0, T => {
        let dy = elements::<T>(y_gradient.0, y_gradient.1)?;
        let weight = elements::<T>(weight.0, weight.1)?;
        check(sizes, [
            (dy.len(), planes * sizes.out_map()),
            (weight.len(), sizes.channels * sizes.taps()),
        ])?;
        let total = planes * sizes.map();
        let mut dx = buffer::<T>(device, total)?;
        let kernel = DepthwiseData {
            dy: &dy,
            weight: &weight,
            dx: &mut dx,
            channels,
            height,
            width,
            out_height,
            out_width,
            k,
            stride,
            top,
            left,
            count: small(total)?,
        };
        // SAFETY: `check` has seen the operands' sizes, and `dx` was made for the maps.
        unsafe { kernel.launch(device, Blocks::Elements(total)) }?;
        storage(dx, device)
    });
    let shape = (sizes.films, sizes.channels, sizes.height, sizes.width);
    Ok((x_gradient, Shape::from(shape)))
}

/// The gradient of the kernel.
pub fn weight_gradient(
    x: (&CudaStorage, &Layout),
    y_gradient: (&CudaStorage, &Layout),
    sizes: &DepthwiseSizes,
) -> Result<(CudaStorage, Shape)> {
    let device = &x.0.device;
    let spans = spans(sizes.channels, sizes.films * sizes.out_map());
    let count = sizes.channels * sizes.taps();
    let mut parts = buffer::<f32>(device, count * spans)?;
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
    let planes = sizes.films * sizes.channels;
    let gradient = by_element!(x.0, T => {
        let (x, dy) = (elements::<T>(x.0, x.1)?, elements::<T>(y_gradient.0, y_gradient.1)?);
        check(sizes, [
            (x.len(), planes * sizes.map()),
            (dy.len(), planes * sizes.out_map()),
        ])?;
        let kernel = DepthwiseTaps {
            x: &x,
            dy: &dy,
            parts: &mut parts,
            films,
            channels,
            height,
            width,
            out_height,
            out_width,
            k,
            stride,
            top,
            left,
        };
        // SAFETY: `check` has seen the operands' sizes, and the grid is of the channels and spans
        // that `parts` was made for.
        unsafe { kernel.launch(device, grid) }?;
        let mut gradient = buffer::<T>(device, count)?;
        let kernel = JoinedTaps {
            parts: &parts.as_view(),
            gradient: &mut gradient,
            channels,
            spans,
            taps,
        };
        // SAFETY: the buffers were made for these channels, spans and taps.
        unsafe { kernel.launch(device, joined) }?;
        storage(gradient, device)
    });
    Ok((
        gradient,
        Shape::from((sizes.channels, 1, sizes.kernel, sizes.kernel)),
    ))
}
