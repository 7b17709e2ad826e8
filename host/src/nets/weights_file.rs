//! Weights on disk: safetensors whose metadata say what network they are of.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use plumbline_shared::manifest::Architecture;
use safetensors::SafeTensors;

use super::head::is_of_head;
use super::{Description, Misfits, Parameters, Shapes};

/// Why weights could not be read.
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
        /// What Candle said.
        source: candle_core::Error,
    },
    /// The file says something of its network that this program does not know.
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
        /// What the file says.
        found: Architecture,
        /// What was asked for.
        expected: Architecture,
    },
    /// Names or shapes are not the network's.
    #[error(
        "the weights {path} are not this network's: {misfits}; give this architecture's weights, \
         imported by `plumbline weights import` if they come from elsewhere"
    )]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The tensors that do not fit.
        misfits: Box<Misfits>,
    },
}

/// A weights file, read.
pub struct WeightsFile {
    path: PathBuf,
    /// What it says of its network.
    pub description: Description,
    tensors: HashMap<String, Tensor>,
}

impl WeightsFile {
    /// Reads a file.
    ///
    /// # Errors
    /// If it is no safetensors file, or says something that is not understood.
    pub fn read(path: &Path, device: &Device) -> Result<Self, WeightsError> {
        let unreadable = |source: candle_core::Error| WeightsError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let bytes = std::fs::read(path).map_err(|error| unreadable(error.into()))?;
        let (_, header) =
            SafeTensors::read_metadata(&bytes).map_err(|error| unreadable(error.into()))?;
        let tensors = candle_core::safetensors::load_buffer(&bytes, device).map_err(unreadable)?;
        let outputs = tensors.get("classifier.weight").map(|w| w.dims()[0]);
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
            description,
            tensors,
        })
    }

    /// Refuses a file that says it is of another architecture.
    ///
    /// # Errors
    /// If it is.
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

    /// Whether its head is of the wanted shape, for the wanted classes.
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
        if let Some(misfits) = Misfits::between(&shapes(&self.tensors), &shapes(&own)) {
            return Err(WeightsError::Mismatch {
                path: self.path,
                misfits: Box::new(misfits),
            });
        }
        let mut take = |name: &str| match wanted(name) {
            true => self.tensors.remove(name),
            false => own.get(name)?.copy().ok(),
        };
        parameters
            .restore(&mut take)
            .map_err(|source| WeightsError::Unreadable {
                path: self.path,
                source,
            })
    }
}

/// Writes tensors with what describes them to a safetensors file.
///
/// # Errors
/// Candle's, if the file cannot be written.
pub fn write_weights(
    path: &Path,
    tensors: &HashMap<String, Tensor>,
    description: &Description,
) -> candle_core::Result<()> {
    let metadata = Some(description.metadata());
    // The library's own writing to a file makes it readable to nobody else.
    let bytes = safetensors::serialize(tensors, metadata)?;
    Ok(std::fs::write(path, bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nets::description::tests::odd;
    use crate::nets::{Head, Network};

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
        source.save(&path, &odd()).unwrap();
        let file = WeightsFile::read(&path, &Device::Cpu).unwrap();
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

        let whole = WeightsFile::read(&path, &Device::Cpu).unwrap();
        let refused = whole.give_all(&begun).unwrap_err().to_string();
        let expected = "of another shape: classifier.bias is [3] instead of [1], classifier.weight";
        assert!(refused.contains(expected), "{refused}");
    }
}
