//! The size of the largest file that is read.

/// Most bytes of a file that is read: 64 million pixels of 16 bits in DICOM with room for the rest.
pub const MAX_BYTES: usize = 256 << 20;
