//! HDF5 files, in which Keras keeps weights: a dataset a tensor, named by its path.

use hdf5_pure::{DType, File, Group};

use plumbline_nets::Shapes;

use super::container::Container;
use super::error::WeightsImportError;

/// Greatest depth of groups in each other.
const DEPTH: usize = 16;

/// Greatest number of datasets.
const MOST_DATASETS: usize = 100_000;

/// A file's datasets of floating-point numbers.
pub struct Hdf5File {
    file: File,
    shapes: Shapes,
}

fn damaged(error: hdf5_pure::Error) -> WeightsImportError {
    WeightsImportError::damaged(error.to_string())
}

impl Hdf5File {
    /// Reads a file.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn open(bytes: Vec<u8>) -> Result<Self, WeightsImportError> {
        let file = File::from_bytes(bytes).map_err(damaged)?;
        let mut shapes = Shapes::new();
        collect(&file.root(), "", 0, &mut shapes)?;
        Ok(Self { file, shapes })
    }
}

fn collect(
    group: &Group,
    prefix: &str,
    depth: usize,
    shapes: &mut Shapes,
) -> Result<(), WeightsImportError> {
    if depth == DEPTH || shapes.len() > MOST_DATASETS {
        let what = "its groups lie too deep in each other, or are too many";
        return Err(WeightsImportError::damaged(what));
    }
    for name in group.datasets().map_err(damaged)? {
        let dataset = group.dataset(&name).map_err(damaged)?;
        if !matches!(dataset.dtype().map_err(damaged)?, DType::F32 | DType::F64) {
            continue;
        }
        let shape = dataset.shape().map_err(damaged)?;
        // A size that no memory can hold is no tensor's.
        let shape = shape
            .into_iter()
            .map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        shapes.insert(format!("{prefix}{name}"), shape.collect());
    }
    for name in group.groups().map_err(damaged)? {
        let inner = group.group(&name).map_err(damaged)?;
        collect(&inner, &format!("{prefix}{name}/"), depth + 1, shapes)?;
    }
    Ok(())
}

impl Container for Hdf5File {
    fn shapes(&self) -> &Shapes {
        &self.shapes
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, WeightsImportError> {
        let dataset = self.file.dataset(name).map_err(damaged)?;
        dataset.read_f32().map_err(damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that h5py wrote as Keras 2 did; see references/weights.py.
    #[test]
    fn datasets_are_named_by_their_paths() {
        let bytes = include_bytes!("../../tests/references/small/keras.h5");
        let file = Hdf5File::open(bytes.to_vec()).unwrap();
        let shapes: Vec<(&str, &[usize])> = file
            .shapes()
            .iter()
            .map(|(name, shape)| (name.as_str(), shape.as_slice()))
            .collect();
        assert_eq!(
            shapes,
            [
                ("bn/bn/beta:0", &[2][..]),
                ("bn/bn/gamma:0", &[2]),
                ("conv1/conv/conv1/conv/kernel:0", &[3, 3, 1, 2]),
            ]
        );
        // The formula of the references gives 0.5 to 1.5 here.
        let gamma = file.read("bn/bn/gamma:0").unwrap();
        assert!(
            gamma.len() == 2 && gamma.iter().all(|v| (0.5..1.5).contains(v)),
            "{gamma:?}"
        );
    }
}
