//! The exposure line: a pin that an optocoupler drives while the X-ray unit exposes.

use core::{
    cell::Cell,
    future::Future,
    pin::pin,
    task::{Context, Poll, RawWaker, RawWakerVTable, Waker},
};

use critical_section::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::waitqueue::GenericAtomicWaker;
use embedded_hal_async::digital::Wait;

/// Where an interrupt handler leaves the time at which it woke a waiting task.
///
/// A pin's driver wakes the task that waits for an edge from its interrupt handler, whichever
/// driver it is. The task may run much later; so the waker that it gives the driver reads the clock.
pub struct Stamp {
    clock: fn() -> u64,
    at: Mutex<Cell<Option<u64>>>,
    task: GenericAtomicWaker<CriticalSectionRawMutex>,
}

impl Stamp {
    /// A stamp that reads this clock.
    pub const fn new(clock: fn() -> u64) -> Self {
        Self {
            clock,
            at: Mutex::new(Cell::new(None)),
            task: GenericAtomicWaker::new(CriticalSectionRawMutex::new()),
        }
    }

    /// Takes the time, if it was not taken yet, and wakes the task.
    fn wake(&self) {
        critical_section::with(|cs| {
            let at = self.at.borrow(cs);
            at.set(at.get().or_else(|| Some((self.clock)())));
        });
        self.task.wake();
    }

    /// Waits for `event` and says when its waker was called; the present if the event had happened
    /// before the waiting began.
    async fn wait<T>(&'static self, event: impl Future<Output = T>) -> (u64, T) {
        // A driver may have kept the waker of the last event and called it since.
        critical_section::with(|cs| self.at.borrow(cs).set(None));
        let mut event = pin!(event);
        core::future::poll_fn(|context| {
            self.task.register(context.waker());
            let taken = critical_section::with(|cs| self.at.borrow(cs).take());
            match event.as_mut().poll(&mut Context::from_waker(&self.waker())) {
                Poll::Ready(value) => Poll::Ready((taken.unwrap_or_else(self.clock), value)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    fn waker(&'static self) -> Waker {
        const TABLE: RawWakerVTable = RawWakerVTable::new(
            |data| RawWaker::new(data, &TABLE),
            // SAFETY: `data` is the `&'static Stamp` below.
            |data| unsafe { &*data.cast::<Stamp>() }.wake(),
            // SAFETY: as above.
            |data| unsafe { &*data.cast::<Stamp>() }.wake(),
            |_| {},
        );
        // SAFETY: the stamp lives for ever and may be shared between threads and handlers.
        unsafe { Waker::from_raw(RawWaker::new((&raw const *self).cast(), &TABLE)) }
    }
}

/// The exposure line.
pub struct ExposureLine<P> {
    pin: P,
    stamp: &'static Stamp,
}

impl<P: Wait> ExposureLine<P> {
    /// The line on this pin, its times taken by `stamp`, which no other line may use.
    pub fn new(pin: P, stamp: &'static Stamp) -> Self {
        Self { pin, stamp }
    }

    /// Waits for the line to become active, low or high, and gives the time at which the interrupt
    /// handler saw it. To give up waiting loses nothing.
    ///
    /// # Errors
    /// The pin's.
    pub async fn edge(&mut self, active_low: bool) -> Result<u64, P::Error> {
        let (at, edge) = match active_low {
            true => self.stamp.wait(self.pin.wait_for_falling_edge()).await,
            false => self.stamp.wait(self.pin.wait_for_rising_edge()).await,
        };
        edge.map(|()| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU64, Ordering};
    use embassy_futures::block_on;
    use embedded_hal_mock::eh1::digital::{Edge, Mock, Transaction};
    use std::{sync::Arc, sync::Mutex as StdMutex, task::Wake};

    static CLOCK: AtomicU64 = AtomicU64::new(0);
    static STAMP: Stamp = Stamp::new(|| CLOCK.load(Ordering::Relaxed));
    static HANDLER: StdMutex<(Option<Waker>, bool)> = StdMutex::new((None, false));

    /// A pin as drivers make them: it leaves its waker to the interrupt handler.
    struct Pin;
    impl embedded_hal::digital::ErrorType for Pin {
        type Error = core::convert::Infallible;
    }
    impl Wait for Pin {
        async fn wait_for_high(&mut self) -> Result<(), Self::Error> {
            unreachable!()
        }
        async fn wait_for_low(&mut self) -> Result<(), Self::Error> {
            unreachable!()
        }
        async fn wait_for_rising_edge(&mut self) -> Result<(), Self::Error> {
            unreachable!()
        }
        async fn wait_for_any_edge(&mut self) -> Result<(), Self::Error> {
            unreachable!()
        }
        async fn wait_for_falling_edge(&mut self) -> Result<(), Self::Error> {
            core::future::poll_fn(|context| {
                let mut handler = HANDLER.lock().unwrap();
                handler.0 = Some(context.waker().clone());
                match core::mem::take(&mut handler.1) {
                    true => Poll::Ready(Ok(())),
                    false => Poll::Pending,
                }
            })
            .await
        }
    }

    struct Woken(AtomicU64);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_time_is_the_handlers_however_late_the_task_runs() {
        let mut line = ExposureLine::new(Pin, &STAMP);
        let woken = Arc::new(Woken(AtomicU64::new(0)));
        let waker = Waker::from(woken.clone());
        let mut context = Context::from_waker(&waker);
        for edge in [70, 9000] {
            let mut waiting = pin!(line.edge(true));
            assert!(waiting.as_mut().poll(&mut context).is_pending());
            let before = woken.0.load(Ordering::Relaxed);
            // The handler.
            CLOCK.store(edge, Ordering::Relaxed);
            let handler = {
                let mut handler = HANDLER.lock().unwrap();
                handler.1 = true;
                handler.0.take().unwrap()
            };
            handler.wake_by_ref();
            assert_eq!(
                woken.0.load(Ordering::Relaxed),
                before + 1,
                "the task is woken"
            );
            // It chatters, and the task runs late.
            CLOCK.store(edge + 5, Ordering::Relaxed);
            handler.wake();
            CLOCK.store(edge + 500, Ordering::Relaxed);
            assert_eq!(waiting.as_mut().poll(&mut context), Poll::Ready(Ok(edge)));
        }
    }

    #[test]
    fn the_line_is_active_low_or_high() {
        static STAMP: Stamp = Stamp::new(|| 7);
        let edges = [Edge::Falling, Edge::Rising].map(Transaction::wait_for_edge);
        let mut line = ExposureLine::new(Mock::new(&edges), &STAMP);
        assert_eq!(block_on(line.edge(true)), Ok(7));
        assert_eq!(block_on(line.edge(false)), Ok(7));
        line.pin.done();
    }
}
