//! Files of weights, whatever their format.

use plumbline_nets::Shapes;

use super::error::WeightsImportError;

/// A file of tensors of floating-point numbers, of which only names and shapes have been read.
pub(super) trait Container {
    /// Returns the names and shapes of all tensors.
    fn shapes(&self) -> &Shapes;

    /// Reads the values of one of its tensors, row-major.
    ///
    /// # Errors
    /// If the file is damaged there.
    fn read(&self, name: &str) -> Result<Vec<f32>, WeightsImportError>;
}
