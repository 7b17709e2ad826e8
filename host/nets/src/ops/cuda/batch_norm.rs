//! Batch norm with its activation.

use candle_core::cuda_backend::cudarc::driver::CudaView;
use candle_core::{CudaStorage, Layout, Result, Shape, Tensor, bail};

use super::super::activation::Activation;
use super::super::map_sizes::map_sizes;
use super::element::{Element, by_element};
use super::kernels::{
    InputGradient, JoinedGradients, JoinedMoments, Normalise, SpanGradients, SpanMoments,
};
use super::launch::{Blocks, spans};
use super::memory::{
    Films, Stored, buffer, elements, films, integers, small, storage, tensor, with_storages,
};

/// A normalisation: its statistics, parameters and settings.
pub struct Normalisation<'a> {
    /// One scale a channel.
    pub gamma: &'a Tensor,
    /// One shift a channel.
    pub beta: &'a Tensor,
    /// One mean a channel.
    pub mean: &'a Tensor,
    /// One variance a channel.
    pub variance: &'a Tensor,
    /// The constant under the root.
    pub epsilon: f32,
    /// The activation after it.
    pub activation: Activation,
}

/// Films, channels and places of maps.
fn sizes(layout: &Layout) -> Result<(usize, usize, usize)> {
    let [films, channels, height, width] = map_sizes(layout.dims(), "batch norm")?;
    Ok((films, channels, height * width))
}

/// The number of an activation in `kernels.cu`.
fn number(activation: Activation) -> i32 {
    match activation {
        Activation::Identity => 0,
        Activation::Relu => 1,
        Activation::Silu => 2,
    }
}

impl Normalisation<'_> {
    /// Calls `f` with the values of gamma, beta, mean and variance, `channels` each.
    fn with_values<R>(
        &self,
        channels: usize,
        f: impl FnOnce([CudaView<'_, f32>; 4]) -> Result<R>,
    ) -> Result<R> {
        let all = [self.gamma, self.beta, self.mean, self.variance];
        if all.iter().any(|values| values.elem_count() != channels) {
            bail!("batch norm of {channels} channels was given parameters of other sizes");
        }
        with_storages(all, |[gamma, beta, mean, variance]| {
            let values = |(storage, layout)| elements::<f32>(storage, layout);
            f([
                values(gamma)?,
                values(beta)?,
                values(mean)?,
                values(variance)?,
            ])
        })
    }
}

/// Mean and biased variance of each channel, `2 x C`.
pub fn statistics(x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    let (films, channels, map) = sizes(layout)?;
    let device = &x.device;
    let spans = spans(channels, films * map);
    let mut means = buffer::<f32>(device, channels * spans)?;
    let mut squares = buffer::<f32>(device, channels * spans)?;
    let mut both = buffer::<f32>(device, 2 * channels)?;
    let grid = Blocks::Of(channels, spans);
    let joined = Blocks::Elements(channels);
    let shape = Shape::from((2, channels));
    let [films, channels, map, spans] = integers([films, channels, map, spans])?;
    by_element!(x, T => {
        let x = elements::<T>(x, layout)?;
        let kernel = SpanMoments {
            x: &x,
            means: &mut means,
            squares: &mut squares,
            films,
            channels,
            map,
        };
        // SAFETY: `x` is all of the maps, and the grid has a block for each element of the others.
        unsafe { kernel.launch(device, grid) }?;
    });
    let kernel = JoinedMoments {
        means: &means.as_view(),
        squares: &squares.as_view(),
        both: &mut both,
        channels,
        spans,
        films,
        map,
    };
    // SAFETY: the buffers were made for these channels and spans.
    unsafe { kernel.launch(device, joined) }?;
    Ok((storage(both, device), shape))
}

/// The normalised and activated maps.
pub fn forward(
    x: &CudaStorage,
    layout: &Layout,
    norm: &Normalisation,
) -> Result<(CudaStorage, Shape)> {
    let (_, channels, map) = sizes(layout)?;
    let device = &x.device;
    let (epsilon, activation) = (norm.epsilon, number(norm.activation));
    let y = norm.with_values(channels, |[gamma, beta, mean, variance]| {
        let [channels, map] = integers([channels, map])?;
        by_element!(x, T => {
            let (x, step) = films::<T>(x, layout)?;
            let count = layout.shape().elem_count();
            let mut y = buffer::<T>(device, count)?;
            let (grid, count) = (Blocks::Elements(count), small(count)?);
            let kernel = Normalise {
                x: &x,
                y: &mut y,
                gamma: &gamma,
                beta: &beta,
                mean: &mean,
                variance: &variance,
                epsilon,
                activation,
                channels,
                map,
                step,
                count,
            };
            // SAFETY: `films` gave `x` and the step, `y` was made for the maps' elements, and
            // `with_values` gives a value for each channel.
            unsafe { kernel.launch(device, grid) }?;
            Ok(storage(y, device))
        })
    })?;
    Ok((y, layout.shape().clone()))
}

/// The gradients of the input, and of gamma and beta (`2 x C`), from that of the output. `over_all`
/// makes the latter those of the whole batch, of which each element of the input has the `share`
/// (0 where the statistics are constants).
pub fn gradients(
    [x, y_gradient]: [&Tensor; 2],
    norm: &Normalisation,
    over_all: impl FnOnce(&Tensor) -> Result<Tensor>,
    share: f32,
) -> Result<[Tensor; 2]> {
    with_storages([x, y_gradient], |[x, y_gradient]| {
        let both = tensor(parameter_gradients(x, y_gradient, norm)?);
        let of_batch = over_all(&both)?;
        let of_input = with_storages([&of_batch], |[of_batch]| {
            input_gradient(x, y_gradient, norm, of_batch, share)
        })?;
        Ok([tensor(of_input), both])
    })
}

/// The gradients of gamma and beta, `2 x C`.
fn parameter_gradients(
    x: Stored,
    y_gradient: Stored,
    norm: &Normalisation,
) -> Result<(CudaStorage, Shape)> {
    let (films, channels, map) = sizes(x.1)?;
    let device = &x.0.device;
    let spans = spans(channels, films * map);
    let mut sums = buffer::<f32>(device, channels * spans)?;
    let mut products = buffer::<f32>(device, channels * spans)?;
    let mut both = buffer::<f32>(device, 2 * channels)?;
    let shape = Shape::from((2, channels));
    let (epsilon, activation) = (norm.epsilon, number(norm.activation));
    norm.with_values(channels, |[gamma, beta, mean, variance]| {
        let grid = Blocks::Of(channels, spans);
        let joined = Blocks::Elements(channels);
        let [films, channels, map, spans] = integers([films, channels, map, spans])?;
        by_element!(x.0, T => {
            let ((x, step), dy) = pair::<T>(x, y_gradient)?;
            let kernel = SpanGradients {
                x: &x,
                dy: &dy,
                sums: &mut sums,
                products: &mut products,
                gamma: &gamma,
                beta: &beta,
                mean: &mean,
                variance: &variance,
                epsilon,
                activation,
                films,
                channels,
                map,
                step,
            };
            // SAFETY: `pair` gave `x`, the step, and a `dy` of as many elements, the grid has a
            // block for each element of the buffers, and `with_values` gives a value for each
            // channel.
            unsafe { kernel.launch(device, grid) }?;
        });
        let kernel = JoinedGradients {
            sums: &sums.as_view(),
            products: &products.as_view(),
            both: &mut both,
            variance: &variance,
            epsilon,
            channels,
            spans,
        };
        // SAFETY: the buffers were made for these channels and spans.
        unsafe { kernel.launch(device, joined) }?;
        Ok(())
    })?;
    Ok((storage(both, device), shape))
}

/// The gradient of the input; `parameters` are the gradients of gamma and beta over the whole
/// batch, of which each element has the `share` (0 where the statistics are constants).
fn input_gradient(
    x: Stored,
    y_gradient: Stored,
    norm: &Normalisation,
    parameters: Stored,
    share: f32,
) -> Result<(CudaStorage, Shape)> {
    let (_, channels, map) = sizes(x.1)?;
    let device = &x.0.device;
    let (epsilon, activation) = (norm.epsilon, number(norm.activation));
    let shape = x.1.shape().clone();
    let gradients = elements::<f32>(parameters.0, parameters.1)?;
    if gradients.len() != 2 * channels {
        bail!("batch norm of {channels} channels was given gradients of other sizes");
    }
    let dx = norm.with_values(channels, |[gamma, beta, mean, variance]| {
        let [channels, map] = integers([channels, map])?;
        by_element!(x.0, T => {
            let ((x, step), dy) = pair::<T>(x, y_gradient)?;
            let mut dx = buffer::<T>(device, dy.len())?;
            let (grid, count) = (Blocks::Elements(dy.len()), small(dy.len())?);
            let kernel = InputGradient {
                x: &x,
                dy: &dy,
                dx: &mut dx,
                gradients: &gradients,
                gamma: &gamma,
                beta: &beta,
                mean: &mean,
                variance: &variance,
                epsilon,
                activation,
                share,
                channels,
                map,
                step,
                count,
            };
            // SAFETY: `pair` gave `x`, the step, and a `dy` of as many elements, for which `dx` was
            // made; `gradients` was checked, and `with_values` gives a value for each channel.
            unsafe { kernel.launch(device, grid) }?;
            Ok(storage(dx, device))
        })
    })?;
    Ok((dx, shape))
}

/// The films of maps, and the elements of a gradient of their shape.
fn pair<'a, T: Element>(
    x: Stored<'a>,
    gradient: Stored<'a>,
) -> Result<(Films<'a, T>, CudaView<'a, T>)> {
    if x.1.shape() != gradient.1.shape() {
        let [x, gradient] = [x, gradient].map(|(_, layout)| layout.shape());
        bail!("a gradient of {gradient:?} for {x:?} was given");
    }
    Ok((films(x.0, x.1)?, elements(gradient.0, gradient.1)?))
}
