//! The pool from which CUDA allocates a GPU's memory.

use candle_core::cuda_backend::cudarc::driver::result::{DriverError, device, mem_pool};
use candle_core::cuda_backend::cudarc::driver::sys::{
    CUmemPool_attribute as Attribute, CUmemoryPool,
};

/// The pool of a GPU.
fn of(number: usize) -> Result<CUmemoryPool, DriverError> {
    let ordinal = i32::try_from(number).unwrap_or(i32::MAX);
    // SAFETY: the device is one that CUDA has just returned.
    unsafe { device::get_default_mem_pool(device::get(ordinal)?) }
}

/// Keeps the memory that a step frees for the next one; without this, CUDA gives it back to the
/// system whenever the program waits for the GPU.
pub fn keep(number: usize) -> Result<(), DriverError> {
    let mut bytes = u64::MAX;
    let threshold = Attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: this attribute is a 64-bit number of bytes.
    unsafe { mem_pool::set_attribute(of(number)?, threshold, (&raw mut bytes).cast()) }
}

/// The largest number of bytes in use so far.
pub fn peak(number: usize) -> Result<u64, DriverError> {
    let mut bytes = 0u64;
    let highest = Attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH;
    // SAFETY: this attribute is a 64-bit number of bytes.
    unsafe { mem_pool::get_attribute(of(number)?, highest, (&raw mut bytes).cast()) }?;
    Ok(bytes)
}
