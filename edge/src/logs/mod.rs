//! The station's log on standard error: lines for people, or JSON. It names films by their number,
//! never a patient.

mod kept;

use std::io;
use std::sync::Arc;

use tracing::Level;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

pub use kept::{KeptLog, Line, PanelFrames, Said};

/// Starts the log of this process. `kept` keeps its lines as well, if there is one.
pub fn start(log: Log, kept: Option<Arc<KeptLog>>) {
    let level = match log.verbose {
        true => Level::DEBUG,
        false => Level::INFO,
    };
    // What libraries log may quote what peers sent.
    let ours = tracing_subscriber::filter::Targets::new().with_target("plumbline_edge", level);
    let registry = tracing_subscriber::registry().with(ours);
    let kept = kept.map(|kept| {
        let lines = fmt::layer().with_writer(kept).with_ansi(false);
        // Each is kept with its time.
        lines.with_target(false).without_time()
    });
    let registry = registry.with(kept);
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
