//! The station's log on standard error: lines for people, or JSON. It names films by their number,
//! never a patient.

use std::io;

use tracing::Level;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

/// Starts the log of this process.
pub fn start(log: Log) {
    let level = match log.verbose {
        true => Level::DEBUG,
        false => Level::INFO,
    };
    // What libraries log may quote what peers sent.
    let ours = tracing_subscriber::filter::Targets::new().with_target("plumbline_edge", level);
    let registry = tracing_subscriber::registry().with(ours);
    match log.format {
        LogFormat::Text => {
            let lines = fmt::layer().with_writer(io::stderr).with_ansi(false);
            registry.with(lines.with_target(false)).init();
        }
        LogFormat::Json => {
            let lines = fmt::layer().json().with_writer(io::stderr);
            registry.with(lines.with_target(false)).init();
        }
    }
}
