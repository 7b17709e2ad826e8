//! Floating-point numbers as files store them.

use half::{bf16, f16};

/// A format of floating-point numbers, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    F16,
    Bf16,
    F32,
    F64,
}

impl Number {
    /// Returns the bytes of one number.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Returns the number that the first bytes hold; zero if they are too few.
    pub(super) fn value(self, bytes: &[u8]) -> f32 {
        fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
            bytes.first_chunk().copied().unwrap_or([0; N])
        }
        match self {
            Self::F16 => f16::from_le_bytes(first(bytes)).to_f32(),
            Self::Bf16 => bf16::from_le_bytes(first(bytes)).to_f32(),
            Self::F32 => f32::from_le_bytes(first(bytes)),
            Self::F64 => f64::from_le_bytes(first(bytes)) as f32,
        }
    }
}
