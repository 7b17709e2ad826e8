//! Loading and launching the kernels of `kernels.cu`.

use std::cell::RefCell;
use std::collections::HashMap;

use candle_core::Result;
use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaSlice, CudaView, CudaViewMut, LaunchArgs, LaunchConfig, PushKernelArg,
};
use candle_core::cuda_backend::{CudaDevice, DeviceId};

use super::memory::small;

/// The kernels in the assembly that the driver compiles for its GPU.
const KERNELS: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels.ptx"));

/// Threads of a block, as in `kernels.cu`.
const THREADS: u32 = 256;

/// An argument of a kernel.
pub trait Argument {
    /// Adds the argument to those of a launch.
    fn push<'b>(&'b mut self, launch: &mut LaunchArgs<'b>);
}

impl<T> Argument for &CudaView<'_, T> {
    fn push<'b>(&'b mut self, launch: &mut LaunchArgs<'b>) {
        launch.arg(&**self);
    }
}

impl<T> Argument for &mut CudaSlice<T> {
    fn push<'b>(&'b mut self, launch: &mut LaunchArgs<'b>) {
        launch.arg(&mut **self);
    }
}

impl<T> Argument for CudaViewMut<'_, T> {
    fn push<'b>(&'b mut self, launch: &mut LaunchArgs<'b>) {
        launch.arg(self);
    }
}

macro_rules! number_arguments {
    ($($number:ty)+) => {$(
        impl Argument for $number {
            fn push<'b>(&'b mut self, launch: &mut LaunchArgs<'b>) {
                launch.arg(&*self);
            }
        }
    )+};
}

number_arguments!(f32 i32 u32);

/// Kernels by device, name and suffix.
type Functions = HashMap<(DeviceId, &'static str, &'static str), CudaFunction>;

thread_local! {
    static FUNCTIONS: RefCell<Functions> = RefCell::default();
}

/// A kernel, loaded once a thread.
pub fn function(
    device: &CudaDevice,
    name: &'static str,
    suffix: &'static str,
) -> Result<CudaFunction> {
    FUNCTIONS.with_borrow_mut(|functions| {
        let key = (device.id(), name, suffix);
        if let Some(function) = functions.get(&key) {
            return Ok(function.clone());
        }
        let whole = format!("{name}{suffix}");
        let function = device
            .get_or_load_custom_func(&whole, "plumbline", KERNELS)?
            .into_cuda_function();
        functions.insert(key, function.clone());
        Ok(function)
    })
}

/// The blocks that a kernel runs on.
pub enum Blocks {
    /// As many as give each of so many elements a thread.
    Elements(usize),
    /// A number of columns and of rows of blocks.
    Of(usize, usize),
}

/// The configuration of a launch on these blocks.
pub fn grid(blocks: Blocks) -> Result<LaunchConfig> {
    let (across, down) = match blocks {
        Blocks::Elements(count) => (count.div_ceil(THREADS as usize), 1),
        Blocks::Of(across, down) => (across, down),
    };
    Ok(LaunchConfig {
        grid_dim: (small(across)?, small(down)?, 1),
        block_dim: (THREADS, 1, 1),
        shared_mem_bytes: 0,
    })
}

/// Number of parts into which the sum over `count` elements of each of `channels` is divided, so
/// that the GPU is busy.
pub fn spans(channels: usize, count: usize) -> usize {
    count
        .div_ceil(8192)
        .min(2048usize.div_ceil(channels))
        .max(1)
}
