//! Plumbline's station: reads films where they are taken.

pub mod intake;
pub mod models;
pub mod overlay;
pub mod pipeline;
pub mod quality;
pub mod screen;
