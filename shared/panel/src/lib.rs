//! What the panel board does, without the board: no hardware, no clock, no allocator.
//!
//! [`panel::Panel`] is the whole behaviour as a state machine that is fed with what happens and with
//! time. [`linked::LinkedPanel`] joins it to the link to the station. `edge/firmware` feeds it from a
//! board; tests feed it from anything.

#![no_std]

pub mod button;
pub mod buzzer;
pub mod exposure;
pub mod lamps;
pub mod linked;
pub mod panel;
pub mod power;
pub mod settings;
pub mod time;
