//! A network's parameters and running statistics by name.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Result, Tensor, Var};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use sha2::{Digest, Sha256};

use crate::autodiff::Traced;

/// The initial values of a parameter.
#[derive(Clone, Copy)]
pub enum Start {
    /// Normal with mean 0 and variance `2 / fan` (He et al., 2015).
    Kaiming {
        /// Number of connections that are summed into, or fed by, one unit.
        fan: usize,
    },
    /// Uniform between `-bound` and `bound`.
    Uniform {
        /// The largest magnitude.
        bound: f32,
    },
    /// One value everywhere.
    Constant(f32),
}

/// Named parameters (trained) and statistics (updated by batch norm), in the order of their names.
///
/// ```
/// use candle_core::Device;
/// use plumbline_nets::{Network, Parameters};
/// use plumbline_shared::architecture::Architecture;
///
/// # fn main() -> candle_core::Result<()> {
/// let mut parameters = Parameters::new(&Device::Cpu, 7);
/// Network::new(Architecture::Densenet121, &mut parameters)?;
/// assert_eq!(parameters.trainable_count(), 6_954_881);
/// let names: Vec<&str> = parameters.trainable().map(|(name, _)| name).collect();
/// assert_eq!(names[..2], ["classifier.bias", "classifier.weight"]);
/// # Ok(())
/// # }
/// ```
pub struct Parameters {
    trainable: BTreeMap<String, Var>,
    statistics: BTreeMap<String, Var>,
    device: Device,
    /// Seed of the initial parameters; without it, they are zeros.
    seed: Option<u64>,
}

impl Parameters {
    /// An empty set. A network's parameters are then drawn from `seed` and their names, so that
    /// they do not depend on the order in which they are created.
    pub fn new(device: &Device, seed: u64) -> Self {
        Self {
            trainable: BTreeMap::new(),
            statistics: BTreeMap::new(),
            device: device.clone(),
            seed: Some(seed),
        }
    }

    /// An empty set. A network's parameters are then zeros, to be loaded.
    pub fn blank(device: &Device) -> Self {
        Self {
            trainable: BTreeMap::new(),
            statistics: BTreeMap::new(),
            device: device.clone(),
            seed: None,
        }
    }

    /// The device of the tensors.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The trained parameters with their names, in the order of names.
    pub fn trainable(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.trainable
            .iter()
            .map(|(name, var)| (name.as_str(), var))
    }

    /// Number of trained numbers.
    pub fn trainable_count(&self) -> usize {
        self.trainable.values().map(|var| var.elem_count()).sum()
    }

    /// A trained parameter, created if it is not there.
    ///
    /// # Errors
    /// Candle's, if it is there with another shape.
    pub fn parameter(&mut self, name: &str, shape: &[usize], start: Start) -> Result<Traced> {
        let (device, seed) = (&self.device, self.seed);
        let parameter = fetch(&mut self.trainable, name, shape, || {
            start_values(seed, name, shape, start, device)
        })?;
        Ok(Traced::from(&parameter))
    }

    /// A statistic that batch norm keeps, created if it is not there.
    ///
    /// # Errors
    /// Candle's, if it is there with another shape.
    pub fn statistic(&mut self, name: &str, shape: &[usize], value: f32) -> Result<Var> {
        let (device, seed) = (&self.device, self.seed);
        fetch(&mut self.statistics, name, shape, || {
            start_values(seed, name, shape, Start::Constant(value), device)
        })?;
        Ok(self.statistics[name].clone())
    }

    /// All tensors by name, sharing memory with the network.
    pub fn tensors(&self) -> HashMap<String, Tensor> {
        self.trainable
            .iter()
            .chain(&self.statistics)
            .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
            .collect()
    }

    /// Sets every parameter and statistic to the tensor that `take` returns for its name.
    ///
    /// # Errors
    /// If one is not given, or has another shape.
    pub fn restore(&self, take: &mut impl FnMut(&str) -> Option<Tensor>) -> Result<()> {
        for (name, var) in self.trainable.iter().chain(&self.statistics) {
            match take(name) {
                Some(tensor) => var.set(&tensor)?,
                None => candle_core::bail!("{name} is missing"),
            }
        }
        Ok(())
    }

    /// Sets the parameters and statistics that `tensors` names; the others stay as they are.
    ///
    /// # Errors
    /// If one is not there, or has another shape.
    pub fn set(&self, tensors: impl Iterator<Item = (String, Tensor)>) -> Result<()> {
        for (name, tensor) in tensors {
            match self.trainable.get(&name).or(self.statistics.get(&name)) {
                Some(var) => var.set(&tensor.to_device(&self.device)?)?,
                None => candle_core::bail!("the network has no {name}"),
            }
        }
        Ok(())
    }
}

fn fetch(
    tensors: &mut BTreeMap<String, Var>,
    name: &str,
    shape: &[usize],
    make: impl FnOnce() -> Result<Tensor>,
) -> Result<Tensor> {
    if !tensors.contains_key(name) {
        tensors.insert(name.to_owned(), Var::from_tensor(&make()?)?);
    }
    let tensor = tensors[name].as_tensor().clone();
    if tensor.dims() != shape {
        candle_core::bail!(
            "{name} has shape {:?} where {shape:?} is needed",
            tensor.dims()
        );
    }
    Ok(tensor)
}

fn start_values(
    seed: Option<u64>,
    name: &str,
    shape: &[usize],
    start: Start,
    device: &Device,
) -> Result<Tensor> {
    let Some(seed) = seed else {
        return Tensor::zeros(shape, candle_core::DType::F32, device);
    };
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(name.as_bytes());
    let mut rng = ChaCha8Rng::from_seed(hash.finalize().into());
    let count = shape.iter().product();
    let values: Vec<f32> = match start {
        Start::Constant(value) => vec![value; count],
        Start::Uniform { bound } => (0..count)
            .map(|_| rng.random_range(-bound..=bound))
            .collect(),
        Start::Kaiming { fan } => {
            let deviation = (2.0 / fan as f32).sqrt();
            let normal = Normal::new(0.0, deviation).map_err(candle_core::Error::wrap)?;
            normal.sample_iter(&mut rng).take(count).collect()
        }
    };
    Tensor::from_vec(values, shape, device)
}
