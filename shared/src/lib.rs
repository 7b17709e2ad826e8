//! What the host and the station must do alike: films, preprocessing, Grad-CAM, decisions and
//! model bundles.
//!
//! The crate needs no operating system (`no_std` and an allocator) unless one of its features is
//! on: `decode` reads film files, `bundle` opens and runs model bundles.

#![no_std]

extern crate alloc;
#[cfg(any(feature = "decode", feature = "bundle"))]
extern crate std;

#[cfg(feature = "bundle")]
pub mod bundle;
pub mod decision;
pub mod gradcam;
pub mod manifest;

/// Until the preprocessing is merged.
pub mod preprocess {
    /// Side.
    pub const SIDE: usize = 256;
    /// Fingerprint.
    pub const FINGERPRINT: &str = "0000";
    /// Mean.
    pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
    /// Deviation.
    pub const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];
}
