//! Plumbline's host: trains the study's networks, measures them, and ships them to stations.

pub mod export;
