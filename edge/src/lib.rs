//! Plumbline's station: reads films where they are taken.

pub mod intake;
pub mod models;
pub mod reader;
pub mod screen;
