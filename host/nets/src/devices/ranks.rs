//! Devices that train one network together, each on its share of every batch.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use candle_core::{Device, Result, Tensor};

#[cfg(feature = "nccl")]
use super::nccl::Communicators;

/// One of several devices that train one network together.
pub struct Rank {
    index: usize,
    group: Arc<Group>,
}

/// How devices reach each other.
enum Group {
    /// Through the computer's memory, whatever they are.
    Memory(Meeting),
    /// GPUs directly.
    #[cfg(feature = "nccl")]
    Nccl(Communicators),
}

impl Rank {
    /// One for each device: of GPUs by NCCL where the program was built with it, else through the
    /// computer's memory.
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

    /// Which one, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The sum of an `f32` tensor over all ranks, on this rank's device; every rank calls it in the
    /// same order with a tensor of the same shape, and gets the same bits.
    ///
    /// # Errors
    /// If a rank has left.
    pub fn sum(&self, tensor: &Tensor) -> Result<Tensor> {
        match &*self.group {
            Group::Memory(meeting) => {
                let values = tensor.flatten_all()?.to_vec1()?;
                let sum = meeting.sum(self.index, values)?;
                Tensor::from_vec(sum, tensor.shape(), tensor.device())
            }
            #[cfg(feature = "nccl")]
            Group::Nccl(communicators) => communicators.sum(self.index, tensor),
        }
    }

    /// Gives up: the other ranks' sums fail from now on, instead of waiting for this one.
    pub fn leave(&self) {
        match &*self.group {
            Group::Memory(meeting) => meeting.leave(self.index),
            #[cfg(feature = "nccl")]
            Group::Nccl(communicators) => communicators.leave(self.index),
        }
    }

    /// The rank that left first, whose reason is the others' too.
    pub fn first_to_leave(&self) -> Option<usize> {
        match &*self.group {
            Group::Memory(meeting) => meeting.state().left,
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
        Ok(Self::Memory(Meeting::new(devices.len())))
    }
}

/// What a rank says whose group is no longer whole.
pub(super) fn left() -> candle_core::Error {
    candle_core::Error::msg("the training on another of the devices has stopped")
}

/// Where ranks leave their vectors and wait for the sum.
struct Meeting {
    state: Mutex<State>,
    turned: Condvar,
}

#[derive(Default)]
struct State {
    /// By rank; emptied when the last has come.
    brought: Vec<Option<Vec<f32>>>,
    sum: Arc<[f32]>,
    /// Sums made so far.
    sums: usize,
    left: Option<usize>,
}

impl Meeting {
    fn new(ranks: usize) -> Self {
        let state = State {
            brought: vec![None; ranks],
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            turned: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sum(&self, rank: usize, values: Vec<f32>) -> Result<Vec<f32>> {
        let mut state = self.state();
        let sums = state.sums;
        state.brought[rank] = Some(values);
        if state.brought.iter().all(Option::is_some) {
            // In the order of ranks, so that the bits do not depend on who came when.
            let mut all = state.brought.iter_mut().filter_map(Option::take);
            let mut sum = all.next().unwrap_or_default();
            for other in all {
                if other.len() != sum.len() {
                    candle_core::bail!("devices disagree about what is to be summed");
                }
                sum.iter_mut().zip(other).for_each(|(sum, x)| *sum += x);
            }
            state.sum = sum.into();
            state.sums += 1;
            self.turned.notify_all();
        }
        let waiting = |state: &mut State| state.sums == sums && state.left.is_none();
        let state = self
            .turned
            .wait_while(state, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        if state.sums == sums {
            return Err(left());
        }
        Ok(state.sum.to_vec())
    }

    fn leave(&self, rank: usize) {
        self.state().left.get_or_insert(rank);
        self.turned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Vec<Arc<Rank>> {
        Rank::together(&[Device::Cpu, Device::Cpu, Device::Cpu]).unwrap()
    }

    /// What each rank makes of `work` on a thread of its own.
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
    fn nobody_waits_for_one_that_left() {
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
