//! Arm's MPS2 board with the AN386 image (Cortex-M4), as QEMU emulates it: `mps2-an386`.
//!
//! What QEMU 7.2 models: UARTs, timers, the watchdog (first time-out NMI, second reset), the 8 LEDs
//! of SCC, two-wire buses. What it does not: GPIO and FPGAIO's buttons (read as zero), analogue
//! inputs, flash memory. Those lie in PSRAM, which QEMU can keep in a file that tests read and write.
//!
//! | where | what |
//! |---|---|
//! | LED 0 to 5 | the lamps, from left to right |
//! | LED 6 | the buzzer: lit while it sounds |
//! | PSRAM + 0, bit 0 | the button's pin: 0 while it is pressed |
//! | PSRAM + 0, bit 1 | the exposure line's pin |
//! | PSRAM + 4 | what the battery's converter reads, 12 bits; 0 without a battery |
//! | PSRAM + 8 | the pins as the program has seen them last |
//! | PSRAM + 8 MiB | the flash memory |
//! | interrupt 16 | to be pulsed after a pin has changed |
//! | bus at 0x4002a000 | the thermometer |

mod clock;
mod flash;
mod i2c;
mod leds;
mod pins;
mod uart;
mod watchdog;

use core::convert::Infallible;
use core::ops::Range;

pub use flash::Flash;
pub use i2c::Bus;
pub use leds::Led as LampOutput;
pub use leds::Led as BuzzerOutput;
pub use pins::Pin as ButtonPin;
pub use pins::Pin as ExposurePin;
use plumbline_panel_drivers::battery::Divider;
use plumbline_wire::panel;
pub use uart::{Receiver, Transmitter, lost_bytes};
pub use watchdog::Watchdog;

use super::Board;
use crate::restart::Mark;

/// The kind of board.
pub const KIND: panel::Board = panel::Board::An386;
/// The part of the flash memory that keeps settings.
pub const SETTINGS: Range<u32> = 0..Flash::SIZE;

/// Clock of processor and peripherals, Hz.
const CLOCK: u32 = 25_000_000;
/// Twice the lamps' and buzzer's resistors, as on the Pico 2.
const DIVIDER: Divider = Divider {
    reference_mv: 3300,
    bits: 12,
    upper: 100_000,
    lower: 100_000,
};
const BATTERY: usize = 0x2100_0004;

/// Starts the board. To be called once.
pub fn start() -> Board {
    let watchdog = Watchdog::start();
    clock::start();
    let [button, exposure] = pins::start();
    let (receiver, transmitter) = uart::start();
    Board {
        lamps: core::array::from_fn(|index| leds::Led(index as u8)),
        buzzer: leds::Led(6),
        button,
        exposure,
        bus: Bus,
        battery: Battery,
        flash: Flash,
        receiver,
        transmitter,
        watchdog,
    }
}

/// The battery's voltage.
pub struct Battery;

impl Battery {
    /// The voltage in millivolts; none without a battery.
    pub async fn millivolts(&mut self) -> Option<u16> {
        match read(BATTERY) & 0xfff {
            0 => None,
            raw => Some(DIVIDER.millivolts(raw as u16)),
        }
    }
}

/// A number of this board that no other has. QEMU's boards are all the same one.
pub fn serial_number() -> u32 {
    0x386
}

/// Lights the fault lamp alone and silences the buzzer, at once and whatever else runs.
pub fn fault_lamps() {
    leds::set(1 << 5);
}

/// RAM that a reset leaves as it is, and loss of power does not.
#[unsafe(link_section = ".uninit.MARK")]
static mut MARK: u32 = 0;

/// Leaves a mark for the next start.
pub fn leave(mark: Mark) {
    // SAFETY: an aligned word, read only at start; a store cannot tear.
    unsafe { core::ptr::write_volatile(&raw mut MARK, mark.0) }
}

/// The mark that was left before the reset; after loss of power anything.
pub fn left() -> Mark {
    // SAFETY: as in `leave`.
    Mark(unsafe { core::ptr::read_volatile(&raw const MARK) })
}

fn read(address: usize) -> u32 {
    // SAFETY: callers name registers of devices, or words of PSRAM in which no Rust object lives.
    unsafe { (address as *const u32).read_volatile() }
}

fn write(address: usize, value: u32) {
    // SAFETY: as for `read`.
    unsafe { (address as *mut u32).write_volatile(value) }
}

/// What cannot fail here may fail on other boards.
type Never = Infallible;

/// An interrupt line of this board.
#[derive(Clone, Copy)]
#[repr(u16)]
enum Irq {
    Uart0Rx = 0,
    Uart0Tx = 1,
    Timer0 = 8,
    Pins = 16,
}

// SAFETY: the numbers are those of the board's interrupt lines.
unsafe impl cortex_m::interrupt::InterruptNumber for Irq {
    fn number(self) -> u16 {
        self as u16
    }
}

fn enable(irq: Irq) {
    // SAFETY: handlers share data with the rest through critical sections only.
    unsafe { cortex_m::peripheral::NVIC::unmask(irq) }
}

extern "C" fn unused() {
    cortex_m::asm::udf()
}

/// The vector table past the core's own exceptions (cortex-m-rt's `device` feature).
#[used]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".vector_table.interrupts")]
static __INTERRUPTS: [extern "C" fn(); 32] = {
    let mut table: [extern "C" fn(); 32] = [unused; 32];
    table[Irq::Uart0Rx as usize] = uart::received;
    table[Irq::Uart0Tx as usize] = uart::transmitted;
    table[Irq::Timer0 as usize] = clock::rang;
    table[Irq::Pins as usize] = pins::changed;
    table
};
