//! The types of elements on a GPU.

use candle_core::cuda_backend::CudaDType;
use candle_core::cuda_backend::cudarc::cudnn::CudnnDataType;
use candle_core::cuda_backend::cudarc::driver::{DeviceRepr, ValidAsZeroBits};

/// An element of maps.
pub trait Element: CudaDType + CudnnDataType + DeviceRepr + ValidAsZeroBits + 'static {
    /// The suffix of its kernels' names.
    const SUFFIX: &'static str;
    /// One.
    const ONE: Self;
    /// Zero.
    const ZERO: Self;
}

impl Element for f32 {
    const SUFFIX: &'static str = "_f32";
    const ONE: Self = 1.0;
    const ZERO: Self = 0.0;
}

impl Element for half::bf16 {
    const SUFFIX: &'static str = "_bf16";
    const ONE: Self = Self::ONE;
    const ZERO: Self = Self::ZERO;
}

/// Evaluates an expression with `$element` standing for the type of a storage's elements.
macro_rules! by_element {
    ($storage:expr, $element:ident => $body:expr) => {
        match candle_core::backend::BackendStorage::dtype($storage) {
            candle_core::DType::F32 => {
                type $element = f32;
                $body
            }
            candle_core::DType::BF16 => {
                type $element = half::bf16;
                $body
            }
            other => candle_core::bail!("maps of {other:?} cannot be computed on a GPU"),
        }
    };
}
pub(super) use by_element;
