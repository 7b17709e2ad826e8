//! Sums over several GPUs by NVIDIA's NCCL.

use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use candle_core::cuda_backend::CudaStorage;
use candle_core::cuda_backend::cudarc::driver::result::{free_sync, malloc_sync};
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaStream, CudaViewMut};
use candle_core::cuda_backend::cudarc::nccl::{Comm, ReduceOp, result::NcclError};
use candle_core::{Device, Error, Result, Storage, Tensor, bail};

use super::aborted::aborted;

/// The communicators of a group of GPUs.
pub struct Communicators {
    /// By rank; taken once a rank has left.
    by_rank: Vec<Mutex<Option<Communicator>>>,
    aborted: OnceLock<usize>,
}

struct Communicator {
    comm: Comm,
    buffer: Option<Buffer>,
}

// SAFETY: NCCL lets any thread use a communicator, one at a time; each stands in its own lock.
unsafe impl Send for Communicator {}

impl Communicators {
    /// A communicator for each device.
    pub fn new(devices: &[Device]) -> Result<Self> {
        let stream = |device: &Device| Ok(device.as_cuda_device()?.cuda_stream());
        let streams = devices.iter().map(stream).collect::<Result<_>>()?;
        let comms = Comm::from_devices(streams).map_err(failed)?;
        let communicator = |comm| {
            let buffer = None;
            Mutex::new(Some(Communicator { comm, buffer }))
        };
        Ok(Self {
            by_rank: comms.into_iter().map(communicator).collect(),
            aborted: OnceLock::new(),
        })
    }

    fn of(&self, rank: usize) -> MutexGuard<'_, Option<Communicator>> {
        let lock = self.by_rank[rank].lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    /// The sum over all ranks, put on the rank's stream.
    pub fn sum(&self, rank: usize, tensor: &Tensor) -> Result<Tensor> {
        let tensor = tensor.contiguous()?;
        let (storage, layout) = tensor.storage_and_layout();
        let (Storage::Cuda(cuda), Some((start, end))) = (&*storage, layout.contiguous_offsets())
        else {
            bail!("NCCL was given a tensor of another device");
        };
        let values = cuda.as_cuda_slice::<f32>()?.slice(start..end);
        // SAFETY: all of it is overwritten before anything on the stream reads it.
        let mut sum = unsafe { cuda.device.alloc::<f32>(end - start) }?;
        let mut communicator = self.of(rank);
        let Some(Communicator { comm, buffer }) = communicator.as_mut() else {
            return Err(aborted());
        };
        let mut shared = Buffer::of_size(buffer, &comm.stream(), end - start)?;
        cuda.device.memcpy_dtod(&values, &mut shared)?;
        comm.all_reduce_in_place(&mut shared, &ReduceOp::Sum)
            .map_err(failed)?;
        cuda.device.memcpy_dtod(&shared, &mut sum)?;
        let sum = CudaStorage::wrap_cuda_slice(sum, cuda.device.clone());
        Ok(Tensor::from((Storage::Cuda(sum), layout.shape())))
    }

    /// Ends all communicators, which frees GPUs that wait for this rank's.
    pub fn leave(&self, rank: usize) {
        self.aborted.get_or_init(|| rank);
        for rank in 0..self.by_rank.len() {
            self.of(rank).take();
        }
    }

    /// The rank that left first.
    pub fn first_to_leave(&self) -> Option<usize> {
        self.aborted.get().copied()
    }
}

/// Memory of a GPU that the others may read: NCCL reads its callers' memory from GPU to GPU, which
/// that of CUDA's pool, where tensors live, does not allow.
struct Buffer(ManuallyDrop<CudaSlice<f32>>);

impl Buffer {
    /// The first `count` numbers of a buffer, which is replaced by a larger one if it is too small.
    fn of_size<'a>(
        held: &'a mut Option<Self>,
        stream: &Arc<CudaStream>,
        count: usize,
    ) -> Result<CudaViewMut<'a, f32>> {
        if held.as_ref().is_none_or(|buffer| buffer.0.len() < count) {
            // A step sums many small tensors before the large one.
            *held = None;
            *held = Some(Self::new(stream, count.max(1 << 16))?);
        }
        match held {
            Some(buffer) => Ok(buffer.0.slice_mut(..count)),
            None => bail!("no memory for NCCL to sum in"),
        }
    }

    fn new(stream: &Arc<CudaStream>, count: usize) -> Result<Self> {
        stream.context().bind_to_thread().map_err(Error::wrap)?;
        // SAFETY: the memory is of the GPU that is bound, holds `count` numbers, and is copied to
        // before it is read.
        let slice = unsafe {
            let pointer = malloc_sync(count * size_of::<f32>()).map_err(Error::wrap)?;
            stream.upgrade_device_ptr(pointer, count)
        };
        Ok(Self(ManuallyDrop::new(slice)))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: nothing uses the slice after this; its memory did not come from the pool, to
        // which its own drop would give it back. CUDA waits for what still uses it.
        unsafe {
            let slice = ManuallyDrop::take(&mut self.0);
            // A failure here only wastes memory of this process.
            let _ = slice.context().bind_to_thread();
            let _ = free_sync(slice.leak());
        }
    }
}

fn failed(error: NcclError) -> Error {
    Error::msg(format!("NCCL failed ({error:?})"))
}
