//! Zeros around maps that are convolved.

use serde::{Deserialize, Serialize};

/// The place of the zeros around a map that is convolved at a stride. At stride 1, and for odd
/// sizes at stride 2, both are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// Half the kernel on every side (PyTorch's usual).
    #[default]
    Symmetric,
    /// As few as the last output needs, the odd one right and below (TensorFlow's `SAME`).
    Same,
}

impl Padding {
    /// Number of zeros before the first of `size` elements (at least one), for an odd kernel.
    pub fn before(self, size: usize, kernel: usize, stride: usize) -> usize {
        match self {
            Self::Symmetric => kernel / 2,
            Self::Same => ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size) / 2,
        }
    }
}
