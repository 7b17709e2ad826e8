//! What moves the weights.

use candle_core::cuda_backend::cudarc::driver::{CudaViewMut, DevicePtr};
use candle_core::{CudaStorage, Layout, Result, Tensor, bail};

use super::super::optimiser::{Moved, Step};
use super::{Blocks, elements, launch, small, with_storages};

/// The elements of a contiguous `f32` tensor, to be changed.
fn elements_mut<'a>(storage: &'a mut CudaStorage, layout: &Layout) -> Result<CudaViewMut<'a, f32>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(storage.as_cuda_slice_mut::<f32>()?.slice_mut(start..end)),
        None => bail!("an optimiser moves contiguous f32 parameters only"),
    }
}

/// `average = decay average + share x`.
pub fn average(
    average: (&mut CudaStorage, &Layout),
    x: (&CudaStorage, &Layout),
    (decay, share): (f32, f32),
) -> Result<()> {
    let device = average.0.device.clone();
    let mut average = elements_mut(average.0, average.1)?;
    let x = elements::<f32>(x.0, x.1)?;
    let (grid, count) = (Blocks::Elements(x.len()), small(x.len())?);
    launch!(
        &device,
        "running_average",
        "",
        grid,
        mut average,
        x,
        decay,
        share,
        count
    );
    Ok(())
}

/// Blocks that each parameter is moved by.
const BLOCKS: usize = 32;

/// Moves all parameters at once.
pub fn step(all: &[Moved], step: &Step) -> Result<()> {
    let Some(Moved { parameter, .. }) = all.first() else {
        return Ok(());
    };
    // A row for each parameter, as the kernel's `Moved`.
    let mut rows = Vec::with_capacity(5 * all.len());
    for moved in all {
        let tensors = [
            Some(moved.parameter),
            Some(&moved.gradient),
            moved.mean,
            moved.square,
        ];
        for tensor in tensors {
            rows.push(tensor.map_or(Ok(0), address)?);
        }
        rows.push(moved.parameter.elem_count() as i64);
    }
    let rows = Tensor::new(rows, parameter.device())?;
    let grid = Blocks::Of(BLOCKS, all.len());
    let [keep, weight_decay] = [step.keep, step.weight_decay].map(|n| n as f32);
    let [mean_decay, mean_share] = [step.mean.decay, step.mean.share].map(|n| n as f32);
    let [square_decay, square_share] = [step.square.decay, step.square.share].map(|n| n as f32);
    let [rate, root_scale, epsilon] =
        [step.rate, step.square_scale.sqrt(), step.epsilon].map(|n| n as f32);
    with_storages([&rows], |[(rows, layout)]| {
        let (device, rows) = (&rows.device, elements::<i64>(rows, layout)?);
        launch!(
            device,
            "optimiser_step",
            "",
            grid,
            rows,
            keep,
            weight_decay,
            mean_decay,
            mean_share,
            square_decay,
            square_share,
            rate,
            root_scale,
            epsilon,
        );
        Ok(())
    })
}

/// Where a contiguous `f32` tensor is in the GPU's memory.
fn address(tensor: &Tensor) -> Result<i64> {
    with_storages([tensor], |[(storage, layout)]| {
        let stream = storage.device.cuda_stream();
        let (address, _) = elements::<f32>(storage, layout)?.device_ptr(&stream);
        Ok(address as i64)
    })
}
