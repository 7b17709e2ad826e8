//! What the host and the station must do alike: films, preprocessing, Grad-CAM, decisions and
//! model bundles.
//!
//! The crate needs no operating system (`no_std` and an allocator) unless one of its features is
//! on: `decode` reads film files, `bundle` opens and runs model bundles, `text` writes on pictures.

#![no_std]

extern crate alloc;
#[cfg(any(feature = "decode", feature = "bundle", feature = "text"))]
extern crate std;

#[cfg(feature = "bundle")]
pub mod bundle;
pub mod decision;
#[cfg(feature = "decode")]
pub mod decode;
pub mod film;
pub mod gradcam;
pub mod grey;
pub mod manifest;
pub mod preprocess;
#[cfg(feature = "text")]
pub mod text;
