//! Sums over several GPUs by NVIDIA's NCCL.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use candle_core::cuda_backend::CudaStorage;
use candle_core::cuda_backend::cudarc::nccl::{Comm, ReduceOp, result::NcclError};
use candle_core::{Device, Error, Result, Storage, Tensor, bail};

use super::ranks::left;

/// The communicators of a group of GPUs.
pub struct Communicators {
    /// By rank; none are left when one has given up.
    by_rank: Vec<Mutex<Option<Communicator>>>,
    left: OnceLock<usize>,
}

struct Communicator(Comm);

// SAFETY: NCCL lets any thread use a communicator, one at a time; each stands in its own lock.
unsafe impl Send for Communicator {}

impl Communicators {
    /// One for each device.
    pub fn new(devices: &[Device]) -> Result<Self> {
        let stream = |device: &Device| Ok(device.as_cuda_device()?.cuda_stream());
        let streams = devices.iter().map(stream).collect::<Result<_>>()?;
        let comms = Comm::from_devices(streams).map_err(failed)?;
        Ok(Self {
            by_rank: comms
                .into_iter()
                .map(|comm| Mutex::new(Some(Communicator(comm))))
                .collect(),
            left: OnceLock::new(),
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
        // SAFETY: the sum writes all of it before anything on the stream reads it.
        let mut sum = unsafe { cuda.device.alloc::<f32>(end - start) }?;
        match &*self.of(rank) {
            Some(Communicator(comm)) => comm
                .all_reduce(&values, &mut sum, &ReduceOp::Sum)
                .map_err(failed)?,
            None => return Err(left()),
        };
        let sum = CudaStorage::wrap_cuda_slice(sum, cuda.device.clone());
        Ok(Tensor::from((Storage::Cuda(sum), layout.shape())))
    }

    /// Ends all communicators, which lets GPUs go that wait for this rank's.
    pub fn leave(&self, rank: usize) {
        self.left.get_or_init(|| rank);
        for rank in 0..self.by_rank.len() {
            self.of(rank).take();
        }
    }

    pub fn first_to_leave(&self) -> Option<usize> {
        self.left.get().copied()
    }
}

fn failed(error: NcclError) -> Error {
    Error::msg(format!("NCCL failed ({error:?})"))
}
