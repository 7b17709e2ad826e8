//! Devices that train one network together, each on its share of every batch.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};

use super::host_all_reduce::HostAllReduce;
#[cfg(feature = "nccl")]
use super::nccl::Communicators;

/// One of several devices that train one network together.
pub struct Rank {
    index: usize,
    group: Arc<Group>,
}

/// The means of communication between devices.
enum Group {
    /// The host's memory, for devices of any kind.
    Host(HostAllReduce),
    /// NCCL, from GPU to GPU.
    #[cfg(feature = "nccl")]
    Nccl(Communicators),
}

impl Rank {
    /// A rank for each device. GPUs communicate by NCCL where the program was built with it, all
    /// others through the host's memory.
    ///
    /// # Errors
    /// NCCL's.
    pub fn together(devices: &[Device]) -> Result<Vec<Arc<Self>>> {
        let group = Arc::new(Group::of(devices)?);
        let rank = |index| {
            Arc::new(Self {
                index,
                group: Arc::clone(&group),
            })
        };
        Ok((0..devices.len()).map(rank).collect())
    }

    /// The rank's number, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The sum of an `f32` tensor over all ranks, on this rank's device; every rank calls it in the
    /// same order with a tensor of the same shape, and gets the same bits.
    ///
    /// # Errors
    /// If a rank has left the group.
    pub fn sum(&self, tensor: &Tensor) -> Result<Tensor> {
        match &*self.group {
            Group::Host(all_reduce) => {
                let values = tensor.flatten_all()?.to_vec1()?;
                let sum = all_reduce.sum(self.index, values)?;
                Tensor::from_vec(sum, tensor.shape(), tensor.device())
            }
            #[cfg(feature = "nccl")]
            Group::Nccl(communicators) => communicators.sum(self.index, tensor),
        }
    }

    /// Leaves the group: the other ranks' sums fail from now on, instead of waiting for this one.
    pub fn leave(&self) {
        match &*self.group {
            Group::Host(all_reduce) => all_reduce.leave(self.index),
            #[cfg(feature = "nccl")]
            Group::Nccl(communicators) => communicators.leave(self.index),
        }
    }

    /// The rank that left first. Its error is the cause of the others'.
    pub fn first_to_leave(&self) -> Option<usize> {
        match &*self.group {
            Group::Host(all_reduce) => all_reduce.first_to_leave(),
            #[cfg(feature = "nccl")]
            Group::Nccl(communicators) => communicators.first_to_leave(),
        }
    }
}

impl Group {
    fn of(devices: &[Device]) -> Result<Self> {
        #[cfg(feature = "nccl")]
        if devices.iter().all(Device::is_cuda) {
            return Ok(Self::Nccl(Communicators::new(devices)?));
        }
        Ok(Self::Host(HostAllReduce::new(devices.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Vec<Arc<Rank>> {
        Rank::together(&[Device::Cpu, Device::Cpu, Device::Cpu]).unwrap()
    }

    /// The results of `work` for each rank, on a thread each.
    fn each<T: Send>(ranks: &[Arc<Rank>], work: impl Fn(&Rank) -> T + Sync) -> Vec<T> {
        let work = &work;
        std::thread::scope(|scope| {
            let threads: Vec<_> = ranks
                .iter()
                .map(|rank| scope.spawn(move || work(rank)))
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        })
    }

    #[test]
    fn every_rank_gets_every_sum() {
        let sums = each(&three(), |rank| -> Vec<Vec<f32>> {
            let sum = |turn: usize| {
                let values = [turn as f32, (rank.index() * turn) as f32];
                let sum = rank.sum(&Tensor::new(&values, &Device::Cpu).unwrap());
                sum.unwrap().to_vec1().unwrap()
            };
            (0..200).map(sum).collect()
        });
        let expected: Vec<_> = (0..200)
            .map(|turn| vec![3.0 * turn as f32, 3.0 * turn as f32])
            .collect();
        assert!(sums.iter().all(|of_rank| *of_rank == expected));
    }

    #[test]
    fn no_rank_waits_for_one_that_left() {
        let ranks = three();
        let one = Tensor::new(&[1f32], &Device::Cpu).unwrap();
        let results = each(&ranks, |rank| {
            rank.sum(&one)?;
            if rank.index() == 1 {
                rank.leave();
                return Ok(one.clone());
            }
            rank.sum(&one)
        });
        let failed: Vec<bool> = results.iter().map(Result::is_err).collect();
        assert_eq!(failed, [true, false, true]);
        assert_eq!(ranks[0].first_to_leave(), Some(1));
    }
}
