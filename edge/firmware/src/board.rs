//! The board for which the program is built, by its feature.
//!
//! A board's module gives types of its parts, [`start`], and what must work whatever else does:
//! [`fault_lamps`], and a [`leave`] and [`left`] that outlast a reset.

#[cfg(all(feature = "an386", feature = "pico2"))]
compile_error!("a program is for one board: an386 or pico2");
#[cfg(not(any(feature = "an386", feature = "pico2")))]
compile_error!("say which board: --features an386 or --features pico2");

#[cfg(feature = "an386")]
mod an386;
#[cfg(feature = "pico2")]
mod pico2;

#[cfg(feature = "an386")]
pub use an386::*;
#[cfg(feature = "pico2")]
pub use pico2::*;

/// The board's parts.
pub struct Board {
    /// The lamps, from left to right.
    pub lamps: [LampOutput; 6],
    /// The buzzer.
    pub buzzer: BuzzerOutput,
    /// The acknowledge button, to ground.
    pub button: ButtonPin,
    /// The exposure line.
    pub exposure: ExposurePin,
    /// The thermometer's bus.
    pub bus: Bus,
    /// The battery.
    pub battery: Battery,
    /// The flash memory.
    pub flash: Flash,
    /// The line from the station.
    pub receiver: Receiver,
    /// The line to the station.
    pub transmitter: Transmitter,
    /// The watchdog, running.
    pub watchdog: Watchdog,
}
