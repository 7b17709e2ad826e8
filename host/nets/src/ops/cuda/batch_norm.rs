//! Batch norm with its activation.

use candle_core::cuda_backend::cudarc::driver::CudaView;
use candle_core::{CudaStorage, Layout, Result, Shape, Tensor, bail};

use super::super::batch_norm::{Activation, sizes};
use super::{
    Blocks, Element, Films, Stored, by_element, elements, films, integers, launch, room, small,
    spans, storage, tensor, with_storages,
};

/// What a normalisation needs beside its input.
pub struct Normalisation<'a> {
    pub gamma: &'a Tensor,
    pub beta: &'a Tensor,
    pub mean: &'a Tensor,
    pub variance: &'a Tensor,
    pub epsilon: f32,
    pub activation: Activation,
}

fn number(activation: Activation) -> i32 {
    match activation {
        Activation::Identity => 0,
        Activation::Relu => 1,
        Activation::Silu => 2,
    }
}

impl Normalisation<'_> {
    /// Calls `f` with the values of gamma, beta, mean and variance.
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
    let mut means = room::<f32>(device, channels * spans)?;
    let mut squares = room::<f32>(device, channels * spans)?;
    let mut both = room::<f32>(device, 2 * channels)?;
    let grid = Blocks::Of(channels, spans);
    let joined = Blocks::Elements(channels);
    let shape = Shape::from((2, channels));
    let [films, channels, map, spans] = integers([films, channels, map, spans])?;
    by_element!(x, T => {
        let x = elements::<T>(x, layout)?;
        launch!(device, "span_moments", T::SUFFIX, grid, x, mut means, mut squares, films, channels, map);
    });
    launch!(
        device,
        "joined_moments",
        "",
        joined,
        means,
        squares,
        mut both,
        channels,
        spans,
        films,
        map
    );
    Ok((storage(both, device), shape))
}

/// The normalised and activated maps.
pub fn forward(
    x: &CudaStorage,
    layout: &Layout,
    by: &Normalisation,
) -> Result<(CudaStorage, Shape)> {
    let (_, channels, map) = sizes(layout)?;
    let device = &x.device;
    let (epsilon, activation) = (by.epsilon, number(by.activation));
    let y = by.with_values(channels, |[gamma, beta, mean, variance]| {
        let [channels, map] = integers([channels, map])?;
        by_element!(x, T => {
            let (x, step) = films::<T>(x, layout)?;
            let count = layout.shape().elem_count();
            let mut y = room::<T>(device, count)?;
            let (grid, count) = (Blocks::Elements(count), small(count)?);
            launch!(
                device, "normalise", T::SUFFIX, grid, x, mut y, gamma, beta, mean, variance, epsilon,
                activation, channels, map, step, count,
            );
            Ok(storage(y, device))
        })
    })?;
    Ok((y, layout.shape().clone()))
}

/// The gradients of the input, and of gamma and beta (`2 x C`), from that of the output. `over_all`
/// makes the latter those of the whole batch, of which each element of the input has the `share`
/// (none where the statistics are constants).
pub fn gradients(
    [x, y_gradient]: [&Tensor; 2],
    by: &Normalisation,
    over_all: impl FnOnce(&Tensor) -> Result<Tensor>,
    share: f32,
) -> Result<[Tensor; 2]> {
    with_storages([x, y_gradient], |[x, y_gradient]| {
        let both = tensor(parameter_gradients(x, y_gradient, by)?);
        let of_batch = over_all(&both)?;
        let of_input = with_storages([&of_batch], |[of_batch]| {
            input_gradient(x, y_gradient, by, of_batch, share)
        })?;
        Ok([tensor(of_input), both])
    })
}

/// The gradients of gamma and beta, `2 x C`.
fn parameter_gradients(
    x: Stored,
    y_gradient: Stored,
    by: &Normalisation,
) -> Result<(CudaStorage, Shape)> {
    let (films, channels, map) = sizes(x.1)?;
    let device = &x.0.device;
    let spans = spans(channels, films * map);
    let mut sums = room::<f32>(device, channels * spans)?;
    let mut products = room::<f32>(device, channels * spans)?;
    let mut both = room::<f32>(device, 2 * channels)?;
    let shape = Shape::from((2, channels));
    let (epsilon, activation) = (by.epsilon, number(by.activation));
    by.with_values(channels, |[gamma, beta, mean, variance]| {
        let grid = Blocks::Of(channels, spans);
        let joined = Blocks::Elements(channels);
        let [films, channels, map, spans] = integers([films, channels, map, spans])?;
        by_element!(x.0, T => {
            let ((x, step), dy) = pair::<T>(x, y_gradient)?;
            launch!(
                device, "span_gradients", T::SUFFIX, grid, x, dy, mut sums, mut products, gamma, beta,
                mean, variance, epsilon, activation, films, channels, map, step,
            );
        });
        launch!(
            device, "joined_gradients", "", joined, sums, products, mut both, variance, epsilon,
            channels, spans,
        );
        Ok(())
    })?;
    Ok((storage(both, device), shape))
}

/// The gradient of the input; `parameters` is what [`parameter_gradients`] gave, of which each element
/// has the `share` (none where the statistics are constants).
fn input_gradient(
    x: Stored,
    y_gradient: Stored,
    by: &Normalisation,
    parameters: Stored,
    share: f32,
) -> Result<(CudaStorage, Shape)> {
    let (_, channels, map) = sizes(x.1)?;
    let device = &x.0.device;
    let (epsilon, activation) = (by.epsilon, number(by.activation));
    let shape = x.1.shape().clone();
    let gradients = elements::<f32>(parameters.0, parameters.1)?;
    let dx = by.with_values(channels, |[gamma, beta, mean, variance]| {
        let [channels, map] = integers([channels, map])?;
        by_element!(x.0, T => {
            let ((x, step), dy) = pair::<T>(x, y_gradient)?;
            let mut dx = room::<T>(device, dy.len())?;
            let (grid, count) = (Blocks::Elements(dy.len()), small(dy.len())?);
            launch!(
                device, "input_gradient", T::SUFFIX, grid, x, dy, mut dx, gradients, gamma, beta,
                mean, variance, epsilon, activation, share, channels, map, step, count,
            );
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
