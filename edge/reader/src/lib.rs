//! The reader: model bundles, opened, verified and run by tract. Stations read films with it, and
//! the host measures with it, so that what is measured is what stations run.

mod bundle;
mod contents;
mod error;
mod gate;
mod plan;
mod weights;

pub use bundle::{Bundle, Reading};
pub use contents::{MANIFEST, MODEL, MODEL_CARD};
pub use error::BundleError;
pub use gate::{Gate, Judgement, Score};
pub use plan::{FEATURES, LOGITS};
