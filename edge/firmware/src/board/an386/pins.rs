//! Input pins: a word in PSRAM, and an interrupt after each change of it. What was seen of it is
//! written beside it: who changes it faster than an emulator runs would see changes lost that no
//! real pin's hardware loses.

use core::cell::Cell;
use core::future::poll_fn;
use core::task::Poll;

use critical_section::Mutex;
use embassy_sync::waitqueue::AtomicWaker;
use embedded_hal::digital::ErrorType;
use embedded_hal_async::digital::Wait;

use super::{Irq, Never, enable, read, write};

/// One bit for each pin.
const LEVELS: usize = 0x2100_0000;
const SEEN_LEVELS: usize = LEVELS + 8;
const PINS: usize = 2;

/// The levels at the last interrupt, and the edges since someone began to wait for them.
#[derive(Clone, Copy)]
struct Seen {
    levels: u32,
    rising: u32,
    falling: u32,
}

static SEEN: Mutex<Cell<Seen>> = Mutex::new(Cell::new(Seen {
    levels: 0,
    rising: 0,
    falling: 0,
}));
static WAITING: [AtomicWaker; PINS] = [const { AtomicWaker::new() }; PINS];

/// An input pin.
pub struct Pin(usize);

/// The pins, from bit 0 on.
pub(super) fn start() -> [Pin; PINS] {
    let levels = read(LEVELS);
    update(|seen| seen.levels = levels);
    write(SEEN_LEVELS, levels);
    enable(Irq::Pins);
    core::array::from_fn(Pin)
}

fn update<R>(change: impl FnOnce(&mut Seen) -> R) -> R {
    critical_section::with(|cs| {
        let mut seen = SEEN.borrow(cs).get();
        let result = change(&mut seen);
        SEEN.borrow(cs).set(seen);
        result
    })
}

/// The interrupt's handler.
pub(super) extern "C" fn changed() {
    let levels = read(LEVELS);
    let changed = update(|seen| {
        let changed = levels ^ seen.levels;
        seen.levels = levels;
        seen.rising |= changed & levels;
        seen.falling |= changed & !levels;
        changed
    });
    write(SEEN_LEVELS, levels);
    for (index, waiting) in WAITING.iter().enumerate() {
        if changed >> index & 1 == 1 {
            waiting.wake();
        }
    }
}

impl Pin {
    /// Waits until `is_there` says so of the pin's level and its edges since the call.
    async fn wait(&mut self, is_there: impl Fn(Edges) -> bool) {
        let mask = 1 << self.0;
        update(|seen| {
            seen.rising &= !mask;
            seen.falling &= !mask;
        });
        poll_fn(|context| {
            WAITING[self.0].register(context.waker());
            let edges = update(|seen| Edges {
                high: read(LEVELS) & mask != 0,
                rising: seen.rising & mask != 0,
                falling: seen.falling & mask != 0,
            });
            match is_there(edges) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await
    }
}

struct Edges {
    high: bool,
    rising: bool,
    falling: bool,
}

impl ErrorType for Pin {
    type Error = Never;
}

impl Wait for Pin {
    async fn wait_for_high(&mut self) -> Result<(), Never> {
        self.wait(|edges| edges.high).await;
        Ok(())
    }

    async fn wait_for_low(&mut self) -> Result<(), Never> {
        self.wait(|edges| !edges.high).await;
        Ok(())
    }

    async fn wait_for_rising_edge(&mut self) -> Result<(), Never> {
        self.wait(|edges| edges.rising).await;
        Ok(())
    }

    async fn wait_for_falling_edge(&mut self) -> Result<(), Never> {
        self.wait(|edges| edges.falling).await;
        Ok(())
    }

    async fn wait_for_any_edge(&mut self) -> Result<(), Never> {
        self.wait(|edges| edges.rising || edges.falling).await;
        Ok(())
    }
}
