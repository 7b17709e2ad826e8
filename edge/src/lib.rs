//! Plumbline's station: reads films where they are taken.

pub mod intake;
