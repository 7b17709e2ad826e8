//! A thread that belongs to one device.

use candle_core::{Device, Error, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// The thread that runs a device's work.
///
/// A GPU's libraries keep handles, plans, kernels and memory for each thread that calls them. So a
/// GPU gets a thread of its own, which lives as long as this value: work that always runs through
/// it finds them again. The CPU keeps nothing, and its work runs on the calling thread, whose
/// parallel loops use all cores.
///
/// ```
/// use candle_core::Device;
/// use plumbline_nets::devices::DeviceThread;
///
/// # fn main() -> candle_core::Result<()> {
/// let thread = DeviceThread::new(&Device::Cpu)?;
/// let numbers = [1, 2, 3];
/// assert_eq!(thread.run(|| numbers.iter().sum::<i32>()), 6);
/// # Ok(())
/// # }
/// ```
pub struct DeviceThread {
    /// One thread; none where work runs on the calling one.
    own: Option<ThreadPool>,
}

impl DeviceThread {
    /// A thread of its own for a GPU, the calling thread for the CPU.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn new(device: &Device) -> Result<Self> {
        match device {
            Device::Cpu => Ok(Self { own: None }),
            Device::Cuda(_) | Device::Metal(_) => Self::own(),
        }
    }

    fn own() -> Result<Self> {
        let thread = ThreadPoolBuilder::new()
            .num_threads(1)
            .thread_name(|_| "device".to_owned());
        Ok(Self {
            own: Some(thread.build().map_err(Error::wrap)?),
        })
    }

    /// Runs `work` to its end and returns its result. Work of several callers runs one after
    /// another; a panic of `work` goes on in the caller.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.own {
            Some(thread) => thread.install(work),
            None => work(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::HashSet;
    use std::sync::Mutex;
    use std::thread;

    use super::*;

    thread_local! {
        static KEPT: Cell<usize> = const { Cell::new(0) };
    }

    #[test]
    fn all_work_runs_on_one_thread_of_its_own() {
        let device = DeviceThread::own().unwrap();
        let threads = Mutex::new(HashSet::new());
        // The counts that the thread keeps, seen by borrowing work from several callers.
        let count = || {
            device.run(|| {
                threads.lock().unwrap().insert(thread::current().id());
                KEPT.set(KEPT.get() + 1);
                KEPT.get()
            })
        };
        let mut counts: Vec<usize> = (0..3).map(|_| count()).collect();
        thread::scope(|scope| {
            let callers: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            counts.extend(callers.into_iter().map(|caller| caller.join().unwrap()));
        });
        counts.sort_unstable();
        assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7]);
        let threads = threads.into_inner().unwrap();
        assert_eq!(threads.len(), 1);
        assert!(!threads.contains(&thread::current().id()));
        assert_eq!(KEPT.get(), 0);
    }

    #[test]
    fn the_cpu_works_on_the_calling_thread_with_its_pool() {
        let device = DeviceThread::new(&Device::Cpu).unwrap();
        let caller = thread::current().id();
        let (at, threads) = device.run(|| (thread::current().id(), rayon::current_num_threads()));
        assert_eq!(at, caller);
        assert_eq!(threads, rayon::current_num_threads());
    }
}
