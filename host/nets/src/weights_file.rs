//! Weights on disk: safetensors whose metadata describe their network.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use plumbline_shared::architecture::Architecture;
use plumbline_shared::bounded::{self, BoundedError};
use plumbline_shared::manifest::sha256;
use safetensors::SafeTensors;

use crate::description::Description;
use crate::head::is_of_head;
use crate::parameters::Parameters;
use crate::shape_mismatch::{ShapeMismatch, Shapes};

/// An error of reading weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file could not be read as safetensors.
    #[error(
        "cannot read the weights {path}: {source}; give a safetensors file, which `plumbline \
         weights import` makes of others"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Candle's error.
        source: candle_core::Error,
    },
    /// A tensor of another type.
    #[error(
        "the weights {path} hold {name} as {}, not as 32-bit floats; convert them, or import the \
         original by `plumbline weights import`",
        found.as_str(), path = path.display()
    )]
    Type {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type.
        found: DType,
    },
    /// The metadata have a value that this program does not know.
    #[error(
        "the weights {path} give {key} as {value:?}, which this program does not know; import them \
         again with this version"
    )]
    Metadata {
        /// The file.
        path: PathBuf,
        /// The metadata's key.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// The file is of the other architecture.
    #[error("the weights {path} are of {found}; give weights of {expected}")]
    Architecture {
        /// The file.
        path: PathBuf,
        /// The file's architecture.
        found: Architecture,
        /// The architecture that was asked for.
        expected: Architecture,
    },
    /// Names or shapes are not the network's.
    #[error(
        "the weights {path} are not this network's: {mismatch}; give this architecture's weights, \
         imported by `plumbline weights import` if they come from elsewhere"
    )]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The tensors that do not fit.
        mismatch: Box<ShapeMismatch>,
    },
}

/// A weights file, read.
///
/// ```
/// use candle_core::Device;
/// use plumbline_nets::{
///     Description, Network, Parameters, Variant, WeightsFile, weights_to_bytes,
/// };
/// use plumbline_shared::architecture::Architecture;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let architecture = Architecture::Densenet121;
/// let mut trained = Parameters::new(&Device::Cpu, 7);
/// Network::new(architecture, &mut trained)?;
/// let description = Description::of_study(architecture, Variant::default());
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("w.safetensors");
/// std::fs::write(&path, weights_to_bytes(&trained.tensors(), &description)?)?;
///
/// let file = WeightsFile::read(&path)?;
/// file.expect(architecture)?;
/// assert!(file.description.reads_scoliosis());
/// let mut parameters = Parameters::blank(&Device::Cpu);
/// Network::new(architecture, &mut parameters)?;
/// file.give_all(&parameters)?;
/// # Ok(())
/// # }
/// ```
pub struct WeightsFile {
    path: PathBuf,
    /// SHA-256 of the file in hexadecimal.
    pub sha256: String,
    /// The description of its network.
    pub description: Description,
    tensors: HashMap<String, Tensor>,
}

impl WeightsFile {
    /// Reads a file.
    ///
    /// # Errors
    /// If it is no safetensors file of `f32` tensors, or its metadata are not understood.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let unreadable = |source: candle_core::Error| WeightsError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let bytes = bounded::read(path, MOST_BYTES).map_err(|error| {
            unreadable(match error {
                BoundedError::Unreadable(error) => error.into(),
                other => candle_core::Error::msg(other),
            })
        })?;
        let (_, header) =
            SafeTensors::read_metadata(&bytes).map_err(|error| unreadable(error.into()))?;
        let tensors =
            candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).map_err(unreadable)?;
        if let Some((name, tensor)) = tensors.iter().find(|(_, t)| t.dtype() != DType::F32) {
            return Err(WeightsError::Type {
                path: path.to_owned(),
                name: name.clone(),
                found: tensor.dtype(),
            });
        }
        let classifier = tensors.get("classifier.weight");
        let outputs = classifier.and_then(|weight| weight.dims().first().copied());
        let metadata = header.metadata().clone().unwrap_or_default();
        let description = Description::parse(&metadata, outputs).map_err(|(key, value)| {
            WeightsError::Metadata {
                path: path.to_owned(),
                key,
                value,
            }
        })?;
        Ok(Self {
            path: path.to_owned(),
            sha256: sha256(&bytes),
            description,
            tensors,
        })
    }

    /// Refuses a file whose metadata name another architecture.
    ///
    /// # Errors
    /// If they do.
    pub fn expect(&self, expected: Architecture) -> Result<(), WeightsError> {
        match self.description.architecture {
            Some(found) if found != expected => Err(WeightsError::Architecture {
                path: self.path.clone(),
                found,
                expected,
            }),
            _ => Ok(()),
        }
    }

    /// Returns true if its head is of the wanted shape, for the wanted classes.
    pub fn has_head(&self, wanted: &Description, architecture: Architecture) -> bool {
        let layers = wanted.head.layers(architecture);
        let fits = |name: String, shape: &[usize]| {
            let tensor = self.tensors.get(&name);
            tensor.is_some_and(|tensor| tensor.dims() == shape)
        };
        let of_shape = layers.iter().all(|&(name, inputs, outputs)| {
            fits(format!("{name}.weight"), &[outputs, inputs])
                && fits(format!("{name}.bias"), &[outputs])
        });
        of_shape && self.description.classes == wanted.classes
    }

    /// Sets every parameter and statistic.
    ///
    /// # Errors
    /// If names or shapes are not exactly the network's; then nothing is changed.
    pub fn give_all(self, parameters: &Parameters) -> Result<(), WeightsError> {
        self.give(parameters, |_| true)
    }

    /// Sets every parameter and statistic of the features, and those of the head if it is the one
    /// wanted; else the head stays as it is.
    ///
    /// # Errors
    /// If names or shapes of the features are not exactly the network's; then nothing is changed.
    pub fn give_features(
        self,
        wanted: &Description,
        architecture: Architecture,
        parameters: &Parameters,
    ) -> Result<(), WeightsError> {
        let head = self.has_head(wanted, architecture);
        self.give(parameters, |name| head || !is_of_head(name))
    }

    fn give(
        mut self,
        parameters: &Parameters,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(), WeightsError> {
        let own = parameters.tensors();
        let shapes = |tensors: &HashMap<String, Tensor>| -> Shapes {
            let tensors = tensors.iter().filter(|(name, _)| wanted(name));
            tensors
                .map(|(name, tensor)| (name.clone(), tensor.dims().to_vec()))
                .collect()
        };
        if let Some(mismatch) = ShapeMismatch::between(&shapes(&self.tensors), &shapes(&own)) {
            return Err(WeightsError::Mismatch {
                path: self.path,
                mismatch: Box::new(mismatch),
            });
        }
        let names = own.keys().filter(|name| wanted(name));
        parameters
            .set(names.filter_map(|name| self.tensors.remove_entry(name)))
            .map_err(|source| WeightsError::Unreadable {
                path: self.path,
                source,
            })
    }
}

/// Tensors and their description as the bytes of a safetensors file.
///
/// # Errors
/// Candle's.
pub fn weights_to_bytes(
    tensors: &HashMap<String, Tensor>,
    description: &Description,
) -> candle_core::Result<Vec<u8>> {
    Ok(safetensors::serialize(
        tensors,
        Some(description.metadata()),
    )?)
}

/// Bytes of a weights file at most, several times those of either network.
const MOST_BYTES: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::tests::odd;
    use crate::head::Head;
    use crate::network::Network;

    #[test]
    fn features_are_taken_without_the_head() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let architecture = Architecture::Densenet121;
        let head = Head::Linear { outputs: 3 };
        let variant = odd().variant;
        let network = |head, seed| {
            let mut parameters = Parameters::new(&Device::Cpu, seed);
            Network::build(architecture, variant, head, &mut parameters).unwrap();
            parameters
        };
        let values = |parameters: &Parameters, name: &str| -> Vec<f32> {
            let tensor = &parameters.tensors()[name];
            tensor.flatten_all().unwrap().to_vec1().unwrap()
        };
        let source = network(head, 1);
        let bytes = weights_to_bytes(&source.tensors(), &odd()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let file = WeightsFile::read(&path).unwrap();
        assert_eq!(file.description, odd());
        let study = Description::of_study(architecture, variant);
        assert!(!file.has_head(&study, architecture));
        assert!(file.has_head(&odd(), architecture));
        let others = Description {
            classes: ["a", "b", "d"].map(String::from).into(),
            ..odd()
        };
        assert!(!file.has_head(&others, architecture));

        let begun = network(Head::Study, 2);
        let drawn = values(&begun, "classifier.weight");
        file.give_features(&study, architecture, &begun).unwrap();
        let conv = "features.conv0.weight";
        assert_eq!(values(&begun, conv), values(&source, conv));
        assert_eq!(values(&begun, "classifier.weight"), drawn);

        let whole = WeightsFile::read(&path).unwrap();
        let refused = whole.give_all(&begun).unwrap_err().to_string();
        let expected = "of another shape: classifier.bias is [3] instead of [1], classifier.weight";
        assert!(refused.contains(expected), "{refused}");
    }

    #[test]
    fn files_that_hold_something_else_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let refused = |tensor: Tensor| {
            let tensors = HashMap::from([("classifier.weight".to_owned(), tensor)]);
            let description = Description::of_study(Architecture::Densenet121, odd().variant);
            let bytes = weights_to_bytes(&tensors, &description).unwrap();
            std::fs::write(&path, bytes).unwrap();
            let mut parameters = Parameters::blank(&Device::Cpu);
            Network::new(Architecture::Densenet121, &mut parameters).unwrap();
            let read = WeightsFile::read(&path);
            let given = read.and_then(|file| file.give_all(&parameters));
            given.unwrap_err().to_string()
        };
        let scalar = refused(Tensor::new(1f32, &Device::Cpu).unwrap());
        assert!(
            scalar.contains("classifier.weight is [] instead of"),
            "{scalar}"
        );
        let half = Tensor::new(&[1f32], &Device::Cpu).unwrap();
        let half = refused(half.to_dtype(DType::BF16).unwrap());
        assert!(half.contains("classifier.weight as bf16"), "{half}");
        std::fs::write(&path, b"no tensors").unwrap();
        assert!(WeightsFile::read(&path).is_err());
        let device = WeightsFile::read(Path::new("/dev/zero")).err().unwrap();
        assert!(device.to_string().contains("no plain file"), "{device}");
    }
}
