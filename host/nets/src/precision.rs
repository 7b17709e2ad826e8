//! The number formats of a network's computation.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number format of maps and products. Parameters, statistics, the head and the
/// optimiser are `f32` always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// `f32` throughout; the only format on a CPU.
    #[default]
    F32,
    /// `f32` maps; a GPU's convolutions may round their factors to TF32's ten bits.
    Tf32,
    /// `bf16` maps and products, with sums in `f32`.
    Bf16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        })
    }
}
