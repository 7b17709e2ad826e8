//! JPEG streams as DICOM holds them: one component, in one scan, coded by sequential DCT with 8 or
//! 12 bits (ITU-T T.81, processes 1, 2 and 4), losslessly (T.81, process 14), or as JPEG-LS (T.87).
//!
//! No library is used, as these decoders check every size before they ask for memory, and as they
//! are fast: JPEG lossless takes 0.28 of pylibjpeg's time (`BENCHMARKS.md`).

mod bits;
mod colours;
mod dct;
mod error;
mod header;
mod lossless;
mod ls;
mod ls_parameters;
mod markers;
mod scans;
mod stream;

pub(super) use colours::{size_by_dct, with_named_components};
pub(super) use markers::is_whole;
pub(super) use scans::read_apart;
pub(super) use stream::decode;
