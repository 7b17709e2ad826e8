//! The elements of tensors on the CPU.

use candle_core::{CpuStorage, Layout, Result, Tensor, bail};

/// The elements of a contiguous `f32` tensor on the CPU.
pub fn elements<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let all = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&all[start..end]),
        None => bail!("a custom operation was given a tensor that is not contiguous"),
    }
}

/// The elements of a contiguous `f32` tensor on the CPU, to be changed.
pub fn elements_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((start, end))) => Ok(&mut all[start..end]),
        _ => bail!("an optimiser changes contiguous f32 tensors only"),
    }
}

/// Runs `f` on the elements of a contiguous `f32` CPU tensor.
pub fn with_elements<T>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> Result<T>) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        candle_core::Storage::Cpu(cpu) => f(elements(cpu, layout)?),
        _ => bail!("this operation runs on the CPU only"),
    }
}
