//! Updates of the weights.

use std::cell::Cell;

use candle_core::cuda_backend::cudarc::driver::{CudaViewMut, DevicePtr, DevicePtrMut};
use candle_core::{CpuStorage, CudaStorage, InplaceOp1, Layout, Result, Tensor, bail};

use super::super::update::{OptimiserStep, ParameterUpdate};
use super::kernels::{self, RunningAverage};
use super::launch::Blocks;
use super::memory::{elements, small, with_storages};

/// The elements of a contiguous `f32` tensor, to be changed.
fn elements_mut<'a>(storage: &'a mut CudaStorage, layout: &Layout) -> Result<CudaViewMut<'a, f32>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(storage.as_cuda_slice_mut::<f32>()?.slice_mut(start..end)),
        None => bail!("an optimiser changes contiguous f32 tensors only"),
    }
}

/// `average = decay average + share x`.
pub fn average(
    average: (&mut CudaStorage, &Layout),
    x: (&CudaStorage, &Layout),
    (decay, share): (f32, f32),
) -> Result<()> {
    let device = average.0.device.clone();
    let average = elements_mut(average.0, average.1)?;
    let x = elements::<f32>(x.0, x.1)?;
    if average.len() != x.len() {
        bail!(
            "an average of {} elements cannot be updated by {}",
            average.len(),
            x.len()
        );
    }
    let (grid, count) = (Blocks::Elements(x.len()), small(x.len())?);
    let kernel = RunningAverage {
        average,
        x: &x,
        decay,
        share,
        count,
    };
    // SAFETY: both have `count` elements, as just checked.
    unsafe { kernel.launch(&device, grid) }
}

/// Number of blocks that update each parameter.
const BLOCKS: usize = 32;

/// Updates all parameters at once.
pub fn update_parameters(all: &[ParameterUpdate], step: &OptimiserStep) -> Result<()> {
    let Some(ParameterUpdate { parameter, .. }) = all.first() else {
        return Ok(());
    };
    // A row for each parameter, as the kernel's `ParameterUpdate`.
    let mut rows = Vec::with_capacity(5 * all.len());
    for update in all {
        let count = update.parameter.elem_count();
        let others = [Some(&update.gradient), update.mean, update.square];
        if others
            .iter()
            .flatten()
            .any(|other| other.elem_count() != count)
        {
            bail!("a parameter of {count} elements has a gradient or state of another size");
        }
        rows.push(address_mut(update.parameter)?);
        rows.push(address(&update.gradient)?);
        rows.push(update.mean.map_or(Ok(0), address_mut)?);
        rows.push(update.square.map_or(Ok(0), address_mut)?);
        rows.push(i64::from(small(count)?));
    }
    let rows = Tensor::new(rows, parameter.device())?;
    let grid = Blocks::Of(BLOCKS, all.len());
    let [keep, weight_decay] = [step.keep, step.weight_decay].map(|n| n as f32);
    let [mean_decay, mean_share] = [step.mean.decay, step.mean.share].map(|n| n as f32);
    let [square_decay, square_share] = [step.square.decay, step.square.share].map(|n| n as f32);
    let [rate, root_scale, epsilon] =
        [step.rate, step.square_scale.sqrt(), step.epsilon].map(|n| n as f32);
    with_storages([&rows], |[(rows, layout)]| {
        let kernel = kernels::OptimiserStep {
            all: &elements::<i64>(rows, layout)?,
            keep,
            weight_decay,
            mean_decay,
            mean_share,
            square_decay,
            square_share,
            rate,
            root_scale,
            epsilon,
        };
        // SAFETY: the rows hold the addresses of tensors that `all` keeps alive, of one size each,
        // as checked above. Those that are written were locked for it when their address was taken;
        // all later uses of them on this device are behind the kernel in its one stream.
        unsafe { kernel.launch(&rows.device, grid) }
    })
}

/// The address of a contiguous `f32` tensor in the GPU's memory, to be read.
fn address(tensor: &Tensor) -> Result<i64> {
    with_storages([tensor], |[(storage, layout)]| {
        let stream = storage.device.cuda_stream();
        let (address, _) = elements::<f32>(storage, layout)?.device_ptr(&stream);
        Ok(address as i64)
    })
}

/// The address of a contiguous `f32` tensor in the GPU's memory, to be written. Takes the lock of
/// its storage for writing, so that no other thread is just reading it.
fn address_mut(tensor: &Tensor) -> Result<i64> {
    let address = AddressMut(Cell::new(0));
    tensor.inplace_op1(&address)?;
    Ok(address.0.get())
}

/// Finds an address under the write lock.
struct AddressMut(Cell<i64>);

impl InplaceOp1 for AddressMut {
    fn name(&self) -> &'static str {
        "address to write"
    }

    fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout) -> Result<()> {
        bail!("an operation on a GPU was given a tensor of another device")
    }

    fn cuda_fwd(&self, storage: &mut CudaStorage, layout: &Layout) -> Result<()> {
        let stream = storage.device.cuda_stream();
        let mut elements = elements_mut(storage, layout)?;
        let (address, _) = elements.device_ptr_mut(&stream);
        self.0.set(address as i64);
        Ok(())
    }
}
