//! Samples of a compressed picture.

use alloc::vec::Vec;

/// The one component of a compressed stream.
pub(super) struct Samples {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bits of a sample, 1 to 16, as the stream says: its precision.
    pub bits: u8,
    /// True if the stream says that its samples are signed.
    pub signed: bool,
    /// The samples, row-major, in the low bits of each word; signed ones in two's complement.
    pub values: Vec<u16>,
}
