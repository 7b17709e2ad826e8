//! The panel's parts, for any board that gives the pins and buses of embedded-hal.
//!
//! A driver knows the part and nothing of what it is for; that is `plumbline-panel-logic`.

#![no_std]

#[cfg(test)]
extern crate std;

pub mod battery;
pub mod button;
pub mod buzzer;
pub mod exposure;
pub mod lamps;
pub mod thermometer;
