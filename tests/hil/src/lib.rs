//! Hardware in the loop: what a panel board does, seen from outside.
//!
//! A [`scenario`](scenarios) is played on any [`Board`](board::Board): one that is
//! [simulated](simulated) in this process; one that is [emulated](emulated) by QEMU and runs the
//! firmware; a [real](real) one at a serial port. A scenario names what it needs, and one that needs
//! what a board cannot do is skipped and said to be.
//!
//! At the other end of the line is a [station with a script](station), or [the program](real_station)
//! of a station. [`power_cuts`] take the power from a whole [computer] that runs it.

pub mod bench;
pub mod board;
pub mod cable;
pub mod computer;
pub mod disguise;
pub mod elf;
pub mod emulated;
pub mod films;
pub mod masked;
pub mod noise;
pub mod power_cuts;
pub mod qemu;
pub mod real;
pub mod real_station;
pub mod scenarios;
pub mod simulated;
pub mod station;
pub mod terminal;
