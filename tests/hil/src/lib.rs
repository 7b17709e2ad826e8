//! Hardware in the loop: what a panel board does, seen from outside.
//!
//! A [`scenario`](scenarios) is played on any [`Board`](board::Board): one that is
//! [simulated](simulated) in this process, with simulated time; one that is
//! [emulated](emulated) by QEMU and runs the firmware; later a real one. A scenario names what it
//! needs, and one that needs what a board cannot do is skipped and said to be.

pub mod bench;
pub mod board;
pub mod elf;
pub mod emulated;
pub mod masked;
pub mod noise;
pub mod qemu;
pub mod scenarios;
pub mod simulated;
pub mod station;
