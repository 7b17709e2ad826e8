//! The CMSDK watchdog: its first time-out is the NMI, its second resets the board.

use super::{CLOCK, write};

const LOAD: usize = 0x4000_8000;
/// Bit 0 counting and the NMI, bit 1 the reset.
const CONTROL: usize = LOAD + 0x08;
/// Any write clears the NMI and counts from the beginning.
const CLEAR: usize = LOAD + 0x0c;
const LOCK: usize = LOAD + 0xc00;
const KEY: u32 = 0x1acc_e551;

/// How long each of its two stages lasts, in milliseconds.
const PATIENCE_MS: u32 = 250;

/// The watchdog.
pub struct Watchdog(());

impl Watchdog {
    /// Starts it.
    pub(super) fn start() -> Self {
        write(LOCK, KEY);
        write(LOAD, CLOCK / 1000 * PATIENCE_MS);
        write(CONTROL, 0b11);
        write(LOCK, 0);
        Self(())
    }

    /// Says that the program lives.
    pub fn feed(&mut self) {
        write(LOCK, KEY);
        write(CLEAR, 1);
        write(LOCK, 0);
    }
}
