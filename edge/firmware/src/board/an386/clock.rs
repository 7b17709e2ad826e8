//! The clock of embassy-time: FPGAIO's counter at 1 MHz, and CMSDK timer 0 as its alarm.

use core::cell::{Cell, RefCell};
use core::task::Waker;

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

use super::{CLOCK, Irq, enable, read, write};

const COUNTER: usize = 0x4002_8018;
const PRESCALE: usize = 0x4002_801c;
/// Bit 0 counting, bit 3 the interrupt.
const CONTROL: usize = 0x4000_0000;
const VALUE: usize = CONTROL + 0x04;
const RELOAD: usize = CONTROL + 0x08;
const CLEAR: usize = CONTROL + 0x0c;

const PER_TICK: u64 = CLOCK as u64 / embassy_time_driver::TICK_HZ;

struct Clock {
    queue: Mutex<RefCell<Queue>>,
    /// The counter when it was read last, and how often it had begun again: it has 32 bits, which
    /// are 71 minutes, and is read far more often than that.
    read: Mutex<Cell<(u32, u32)>>,
}

embassy_time_driver::time_driver_impl!(static THE_CLOCK: Clock = Clock {
    queue: Mutex::new(RefCell::new(Queue::new())),
    read: Mutex::new(Cell::new((0, 0))),
});

impl Clock {
    /// Sets the alarm; false if `at` has passed already.
    fn arm(&self, at: u64) -> bool {
        write(CONTROL, 0);
        if at == u64::MAX {
            return true;
        }
        let now = self.now();
        if at <= now {
            return false;
        }
        // An alarm beyond what the timer can hold rings early, finds nothing due, and is set again.
        let cycles = ((at - now).saturating_mul(PER_TICK)).min(u64::from(u32::MAX)) as u32;
        write(RELOAD, cycles);
        write(VALUE, cycles);
        write(CLEAR, 1);
        write(CONTROL, 0b1001);
        true
    }

    fn rearm(&self, cs: CriticalSection<'_>) {
        let mut queue = self.queue.borrow(cs).borrow_mut();
        while {
            let next = queue.next_expiration(self.now());
            !self.arm(next)
        } {}
    }
}

impl Driver for Clock {
    fn now(&self) -> u64 {
        critical_section::with(|cs| {
            let (last, begun) = self.read.borrow(cs).get();
            let count = read(COUNTER);
            let begun = begun + u32::from(count < last);
            self.read.borrow(cs).set((count, begun));
            u64::from(begun) << 32 | u64::from(count)
        })
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            if self.queue.borrow(cs).borrow_mut().schedule_wake(at, waker) {
                self.rearm(cs);
            }
        })
    }
}

/// Starts the clock at 0.
pub(super) fn start() {
    write(PRESCALE, PER_TICK as u32 - 1);
    write(COUNTER, 0);
    enable(Irq::Timer0);
}

/// The alarm's interrupt.
pub(super) extern "C" fn rang() {
    write(CLEAR, 1);
    critical_section::with(|cs| THE_CLOCK.rearm(cs));
}
