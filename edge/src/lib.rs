//! Plumbline's station: reads films where they are taken.

pub mod check;
pub mod clock;
pub mod config;
pub mod deidentify;
pub mod export;
#[cfg(test)]
mod failing;
pub mod films;
pub mod health;
pub mod http;
pub mod intake;
pub mod link;
mod listen;
pub mod logs;
pub mod metrics;
pub mod models;
pub mod outbox;
pub mod overlay;
pub mod page;
pub mod panel;
mod paper;
mod pipe;
pub mod pipeline;
pub mod proof;
pub mod pulse;
pub mod quality;
pub mod reading;
pub mod report;
pub mod screen;
mod secret;
pub mod self_test;
pub mod serve;
pub mod stick;
pub mod store;
pub mod worklist;
