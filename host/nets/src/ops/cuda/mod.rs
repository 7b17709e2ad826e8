//! The operations on NVIDIA GPUs: dense convolutions by cuDNN, the rest by the kernels of
//! `kernels.cu`. Maps are `N x C x H x W`, `f32` or `bf16`; sums are always `f32`.
//!
//! Everything runs on the device's one stream, in order, and nothing waits for it.

pub mod batch_norm;
pub mod channels;
pub mod conv;
pub mod depthwise;
pub mod loss;
pub mod optimiser;
pub mod pool;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::cuda_backend::cudarc::cudnn::CudnnDataType;
use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaSlice, CudaView, DeviceRepr, LaunchConfig, ValidAsZeroBits,
};
use candle_core::cuda_backend::{CudaDType, CudaDevice, DeviceId};
use candle_core::{CudaStorage, Layout, Result, Shape, Storage, Tensor, bail};

/// The kernels in the assembly that the driver compiles for its GPU.
const KERNELS: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels.ptx"));

/// Threads of a block, as in `kernels.cu`.
const THREADS: u32 = 256;

/// The types of elements that maps may have.
trait Element: CudaDType + CudnnDataType + DeviceRepr + ValidAsZeroBits + 'static {
    /// What the names of its kernels end in.
    const SUFFIX: &'static str;
    const ONE: Self;
    const ZERO: Self;
}

impl Element for f32 {
    const SUFFIX: &'static str = "_f32";
    const ONE: Self = 1.0;
    const ZERO: Self = 0.0;
}

impl Element for half::bf16 {
    const SUFFIX: &'static str = "_bf16";
    const ONE: Self = Self::ONE;
    const ZERO: Self = Self::ZERO;
}

/// Evaluates an expression with `$element` standing for the type of a storage's elements.
macro_rules! by_element {
    ($storage:expr, $element:ident => $body:expr) => {
        match candle_core::backend::BackendStorage::dtype($storage) {
            candle_core::DType::F32 => {
                type $element = f32;
                $body
            }
            candle_core::DType::BF16 => {
                type $element = half::bf16;
                $body
            }
            other => candle_core::bail!("maps of {other:?} cannot be computed on a GPU"),
        }
    };
}
use by_element;

/// Launches a kernel by its name with a grid of blocks; `mut` stands before what it writes.
macro_rules! launch {
    (@argument $builder:ident, mut $argument:ident) => {
        $builder.arg(&mut $argument)
    };
    (@argument $builder:ident, $argument:ident) => {
        $builder.arg(&$argument)
    };
    ($device:expr, $name:expr, $suffix:expr, $grid:expr, $($($argument:ident)+),+ $(,)?) => {{
        use candle_core::cuda_backend::cudarc::driver::PushKernelArg as _;
        let function = $crate::ops::cuda::function($device, $name, $suffix)?;
        let stream = $device.cuda_stream();
        let mut builder = stream.launch_builder(&function);
        $($crate::ops::cuda::launch!(@argument builder, $($argument)+);)+
        let grid = $crate::ops::cuda::grid($grid)?;
        // SAFETY: the arguments are those of the kernel of this name in `kernels.cu`, in its order
        // and of its types, and the slices hold what it reads and writes.
        unsafe { builder.launch(grid) }.map_err(candle_core::Error::wrap)?;
    }};
}
use launch;

type Functions = HashMap<(DeviceId, &'static str, &'static str), CudaFunction>;

thread_local! {
    static FUNCTIONS: RefCell<Functions> = RefCell::default();
}

/// A kernel, loaded once.
fn function(device: &CudaDevice, name: &'static str, suffix: &'static str) -> Result<CudaFunction> {
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

/// Blocks that a kernel runs on.
enum Blocks {
    /// A thread for each of so many elements.
    Elements(usize),
    /// So many blocks, by two counts.
    Of(usize, usize),
}

fn grid(blocks: Blocks) -> Result<LaunchConfig> {
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

/// A count as the kernels take it.
fn small(count: usize) -> Result<u32> {
    match u32::try_from(count) {
        Ok(count) => Ok(count),
        Err(_) => bail!("a batch of {count} elements is too large for a GPU; make it smaller"),
    }
}

/// Counts as the kernels take signed ones.
fn integers<const N: usize>(counts: [usize; N]) -> Result<[i32; N]> {
    let mut integers = [0; N];
    for (integer, count) in integers.iter_mut().zip(counts) {
        match i32::try_from(count) {
            Ok(count) => *integer = count,
            Err(_) => bail!("a size of {count} is too large for a GPU"),
        }
    }
    Ok(integers)
}

/// Parts that the sum over `count` elements of each of `channels` is cut into, so that the GPU is
/// busy.
fn spans(channels: usize, count: usize) -> usize {
    count
        .div_ceil(8192)
        .min(2048usize.div_ceil(channels))
        .max(1)
}

/// The elements of a contiguous tensor.
fn elements<'a, T: CudaDType>(
    storage: &'a CudaStorage,
    layout: &Layout,
) -> Result<CudaView<'a, T>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(storage.as_cuda_slice::<T>()?.slice(start..end)),
        None => bail!("a custom operation was given a tensor that is not contiguous"),
    }
}

/// How many elements apart the films of `N x C x H x W` begin, where each film's lie in order.
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

/// The elements from the first film's first to the last one's last, and how many apart films begin.
type Films<'a, T> = (CudaView<'a, T>, u32);

fn films<'a, T: Element>(storage: &'a CudaStorage, layout: &Layout) -> Result<Films<'a, T>> {
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

/// A tensor of the GPU as kernels take it.
type Stored<'a> = (&'a CudaStorage, &'a Layout);

/// Runs `f` on the storages and layouts of tensors of the GPU.
fn with_storages<const N: usize, R>(
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

/// Memory for `count` elements that a kernel is to fill.
fn room<T: Element>(device: &CudaDevice, count: usize) -> Result<CudaSlice<T>> {
    small(count)?;
    // SAFETY: every kernel writes all elements of what it is given to fill before any is read.
    unsafe { device.alloc::<T>(count) }
}

/// The tensor of what an operation gave.
fn tensor((storage, shape): (CudaStorage, Shape)) -> Tensor {
    Tensor::from((Storage::Cuda(storage), shape))
}

fn storage<T: Element>(slice: CudaSlice<T>, device: &CudaDevice) -> CudaStorage {
    CudaStorage::wrap_cuda_slice(slice, device.clone())
}

static TF32: AtomicBool = AtomicBool::new(false);

/// Whether products of `f32` may round their factors to TF32's ten bits, in the whole process.
pub fn allow_tf32(allowed: bool) {
    TF32.store(allowed, Ordering::Relaxed);
    candle_core::cuda_backend::set_gemm_reduced_precision_f32(allowed);
}
