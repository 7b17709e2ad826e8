//! Safetensors files of other libraries (timm's, for one).

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use plumbline_nets::Shapes;

use super::container::Container;
use super::error::WeightsImportError;
use super::number::Number;

/// A file's tensors of floating-point numbers.
pub struct SafetensorsFile<'a> {
    shapes: Shapes,
    tensors: BTreeMap<String, (Number, TensorView<'a>)>,
}

impl<'a> SafetensorsFile<'a> {
    /// Reads a file.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn open(bytes: &'a [u8]) -> Result<Self, WeightsImportError> {
        let file = SafeTensors::deserialize(bytes)
            .map_err(|error| WeightsImportError::damaged(error.to_string()))?;
        let tensors = file.tensors().into_iter().filter_map(|(name, view)| {
            let number = match view.dtype() {
                Dtype::F16 => Number::F16,
                Dtype::BF16 => Number::Bf16,
                Dtype::F32 => Number::F32,
                Dtype::F64 => Number::F64,
                _ => return None,
            };
            Some((name, (number, view)))
        });
        let tensors: BTreeMap<_, _> = tensors.collect();
        let shapes = tensors.iter();
        Ok(Self {
            shapes: shapes
                .map(|(name, (_, view))| (name.clone(), view.shape().to_vec()))
                .collect(),
            tensors,
        })
    }
}

impl Container for SafetensorsFile<'_> {
    fn shapes(&self) -> &Shapes {
        &self.shapes
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, WeightsImportError> {
        let Some((number, view)) = self.tensors.get(name) else {
            return Ok(Vec::new());
        };
        let numbers = view.data().chunks_exact(number.size());
        Ok(numbers.map(|bytes| number.value(bytes)).collect())
    }
}
