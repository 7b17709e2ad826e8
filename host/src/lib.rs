//! Plumbline's host: cohorts, networks, pretrained weights, training, evaluation, export,
//! and the link to stations.

pub mod cli;
pub mod cohort;
pub mod device;
pub mod evaluate;
pub mod export;
pub mod memory;
pub mod model;
pub mod train;
pub mod weights;
