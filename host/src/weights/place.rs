//! Places of the network's tensors in files of other libraries.

/// The place of one of the network's tensors in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name there.
    pub name: String,
    /// The order of its dimensions there.
    pub layout: Layout,
}

/// An order of dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As here: outputs, inputs, rows, columns.
    OutputsFirst,
    /// As in Keras: rows, columns, inputs, outputs.
    OutputsLast,
}

impl Layout {
    /// Returns the shape there of a tensor that has `shape` here.
    pub fn shape(self, shape: &[usize]) -> Vec<usize> {
        match (self, shape) {
            (Self::OutputsLast, &[outputs, inputs, rows, columns]) => {
                vec![rows, columns, inputs, outputs]
            }
            (Self::OutputsLast, &[outputs, inputs]) => vec![inputs, outputs],
            _ => shape.to_vec(),
        }
    }
}
