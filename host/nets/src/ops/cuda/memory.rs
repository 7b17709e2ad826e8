//! Tensors in a GPU's memory.

use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView};
use candle_core::cuda_backend::{CudaDType, CudaDevice};
use candle_core::{CudaStorage, Layout, Result, Shape, Storage, Tensor, bail};

use super::element::Element;

/// A count as the kernels' `unsigned`.
pub fn small(count: usize) -> Result<u32> {
    match u32::try_from(count) {
        Ok(count) => Ok(count),
        Err(_) => bail!("a batch of {count} elements is too large for a GPU; make it smaller"),
    }
}

/// Counts as the kernels' `int`.
pub fn integers<const N: usize>(counts: [usize; N]) -> Result<[i32; N]> {
    let mut integers = [0; N];
    for (integer, count) in integers.iter_mut().zip(counts) {
        match i32::try_from(count) {
            Ok(count) => *integer = count,
            Err(_) => bail!("a size of {count} is too large for a GPU"),
        }
    }
    Ok(integers)
}

/// The elements of a contiguous tensor.
pub fn elements<'a, T: CudaDType>(
    storage: &'a CudaStorage,
    layout: &Layout,
) -> Result<CudaView<'a, T>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(storage.as_cuda_slice::<T>()?.slice(start..end)),
        None => bail!("a custom operation was given a tensor that is not contiguous"),
    }
}

/// The distance between the first elements of consecutive films of `N x C x H x W`; none if the
/// elements of a film do not lie in order.
pub fn film_step(layout: &Layout) -> Option<usize> {
    let &[films, channels, height, width] = layout.dims() else {
        return None;
    };
    let film = channels * height * width;
    if layout.is_contiguous() {
        return Some(film);
    }
    let (step, inside) = layout.stride().split_first()?;
    let in_order = inside == [height * width, width, 1] && (films == 1 || *step >= film);
    in_order.then_some(*step)
}

/// The elements from the first film's first to the last one's last, and the distance between films.
pub type Films<'a, T> = (CudaView<'a, T>, u32);

/// The films of maps.
pub fn films<'a, T: Element>(storage: &'a CudaStorage, layout: &Layout) -> Result<Films<'a, T>> {
    let Some(step) = film_step(layout) else {
        bail!("a custom operation was given films whose elements are not in order");
    };
    let (films, channels, height, width) = layout.shape().dims4()?;
    let length = films.saturating_sub(1) * step + channels * height * width;
    small(length)?;
    let start = layout.start_offset();
    let all = storage.as_cuda_slice::<T>()?;
    Ok((all.slice(start..start + length), small(step)?))
}

/// The storage and layout of a tensor on a GPU.
pub type Stored<'a> = (&'a CudaStorage, &'a Layout);

/// Runs `f` on the storages and layouts of tensors of the GPU.
pub fn with_storages<const N: usize, R>(
    tensors: [&Tensor; N],
    f: impl FnOnce([Stored; N]) -> Result<R>,
) -> Result<R> {
    let held = tensors.map(Tensor::storage_and_layout);
    let stored = held
        .iter()
        .filter_map(|(storage, layout)| match &**storage {
            Storage::Cuda(storage) => Some((storage, *layout)),
            _ => None,
        });
    match <[Stored; N]>::try_from(stored.collect::<Vec<_>>()) {
        Ok(stored) => f(stored),
        Err(_) => bail!("an operation on a GPU was given a tensor of another device"),
    }
}

/// Memory for `count` elements, for a kernel to fill.
pub fn buffer<T: Element>(device: &CudaDevice, count: usize) -> Result<CudaSlice<T>> {
    small(count)?;
    // SAFETY: any bits are an element, and the kernels and cuDNN write all elements of the buffers
    // they are given before any is read.
    unsafe { device.alloc::<T>(count) }
}

/// The tensor of an operation's output.
pub fn tensor((storage, shape): (CudaStorage, Shape)) -> Tensor {
    Tensor::from((Storage::Cuda(storage), shape))
}

/// The storage of elements.
pub fn storage<T: Element>(slice: CudaSlice<T>, device: &CudaDevice) -> CudaStorage {
    CudaStorage::wrap_cuda_slice(slice, device.clone())
}
