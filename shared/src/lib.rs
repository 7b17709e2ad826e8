//! The parts that the host and the station share: films, preprocessing, Grad-CAM, decisions, and
//! the manifests of model bundles.
//!
//! The crate needs no operating system (`no_std` and an allocator) unless one of its features is
//! on: `std` writes files that survive a power cut, `decode` reads film files, `text` writes on
//! pictures, `tls` knows the other side by its certificate, `firmware` decodes the panel's logs.

#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod architecture;
#[cfg(feature = "std")]
pub mod bounded;
pub mod clinical;
pub mod decision;
#[cfg(feature = "decode")]
pub mod decode;
#[cfg(feature = "std")]
pub mod durable;
pub mod features;
pub mod film;
#[cfg(feature = "firmware")]
pub mod firmware;
pub mod gradcam;
pub mod grey;
pub mod json;
pub mod manifest;
pub mod outcome;
pub mod preprocess;
pub mod printable;
#[cfg(feature = "text")]
pub mod text;
#[cfg(feature = "tls")]
pub mod tls;
