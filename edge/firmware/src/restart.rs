//! Why the panel started.

use plumbline_wire::panel::Reset;

use crate::board;

/// A word that survives a reset.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mark(pub u32);

impl Mark {
    /// The program runs. Found at a start: it was reset from outside.
    pub const RUNNING: Self = Self(0x5255_4e21);
    /// The watchdog's first stage found the program stuck.
    pub const STUCK: Self = Self(0x5354_554b);
    /// The program gave up.
    pub const FAILED: Self = Self(0x4641_494c);
}

/// Why the panel started. To be asked once, before anything can go wrong.
pub fn reason() -> Reset {
    let reason = match board::left() {
        Mark::STUCK => Reset::Watchdog,
        Mark::FAILED => Reset::Program,
        Mark::RUNNING => Reset::Pin,
        _ => Reset::Power,
    };
    board::leave(Mark::RUNNING);
    reason
}

/// Lights the fault lamp and waits for the watchdog to reset the board.
fn give_up() -> ! {
    board::fault_lamps();
    loop {
        cortex_m::asm::wfi();
    }
}

/// The watchdog's first stage.
#[cortex_m_rt::exception]
unsafe fn NonMaskableInt() -> ! {
    if board::left() == Mark::RUNNING {
        board::leave(Mark::STUCK);
    }
    give_up()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    cortex_m::interrupt::disable();
    board::leave(Mark::FAILED);
    give_up()
}
