//! The reader: model bundles, opened, verified and run by tract. Stations read films with it, and
//! the host measures with it, so that what is measured is what stations run.

mod bundle;
mod weights;

pub use bundle::{Bundle, BundleError, FEATURES, LOGITS, MANIFEST, MODEL, MODEL_CARD, Reading};
