//! Plumbline's host: cohorts, networks, training, evaluation, export.

pub mod export;
pub mod memory;
pub mod nets;
