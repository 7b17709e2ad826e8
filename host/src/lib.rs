//! Plumbline's host: cohorts, networks, training, evaluation, export.

pub mod cohort;
