//! A model to be measured or asked: a run's network in Candle, or a bundle in tract.

use std::path::Path;

use candle_core::{Device, Tensor};
use plumbline_shared::bundle::{Bundle, BundleError, Reading};
use plumbline_shared::decision::{Decision, DecisionError};
use plumbline_shared::gradcam::{Head, HeadError, Linear, grad_cam};
use plumbline_shared::manifest::Architecture;
use plumbline_shared::preprocess::{SIDE, tensor};
use rayon::prelude::*;

use crate::cohort::{Cache, Entry, FilmsError};
use crate::nets::{Mode, Network, Parameters, WeightsError};
use crate::train::{Run, RunError};

/// The probability from which a run's network calls a film positive. Its batches are half
/// positive, so its own boundary is one half; an exported bundle carries a calibrated one.
const RUN_THRESHOLD: f64 = 0.5;

/// Why a model cannot be opened or asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The head.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The outputs.
    #[error(transparent)]
    Decision(#[from] DecisionError),
    /// Candle's.
    #[error(transparent)]
    Network(#[from] candle_core::Error),
}

/// A model.
pub struct Model {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The probability from which a film is positive.
    pub threshold: f64,
    engine: Engine,
}

enum Engine {
    Candle(Box<(Network, Head)>),
    Tract(Box<Bundle>),
}

impl Model {
    /// The best epoch of a run.
    ///
    /// # Errors
    /// If the folder is not a run with weights.
    pub fn from_run(folder: &Path) -> Result<Self, ModelError> {
        let run = Run::open(folder)?;
        let (network, parameters) = run.network()?;
        Self::from_network(run.recipe.architecture, network, &parameters)
    }

    /// A safetensors file of one of the architectures.
    ///
    /// # Errors
    /// If the file's names or shapes are not the network's.
    pub fn from_weights(file: &Path, architecture: Architecture) -> Result<Self, ModelError> {
        let mut parameters = Parameters::new(&Device::Cpu, 0);
        let network = Network::new(architecture, &mut parameters)?;
        parameters.load(file)?;
        Self::from_network(architecture, network, &parameters)
    }

    /// A bundle, as a station runs it.
    ///
    /// # Errors
    /// If the bundle is not whole.
    pub fn from_bundle(folder: &Path) -> Result<Self, ModelError> {
        let bundle = Bundle::open(folder)?;
        let manifest = bundle.manifest();
        Ok(Self {
            name: manifest.model.clone(),
            version: manifest.model_version.clone(),
            threshold: manifest.threshold,
            engine: Engine::Tract(Box::new(bundle)),
        })
    }

    fn from_network(
        architecture: Architecture,
        network: Network,
        parameters: &Parameters,
    ) -> Result<Self, ModelError> {
        let head = head_of(architecture, parameters)?;
        Ok(Self {
            name: architecture.to_string(),
            version: "unreleased".into(),
            threshold: RUN_THRESHOLD,
            engine: Engine::Candle(Box::new((network, head))),
        })
    }

    /// Reads one normalised film, 3 x 256 x 256.
    ///
    /// # Errors
    /// If the tensor has another length.
    pub fn read(&self, tensor: &[f32]) -> Result<Reading, ModelError> {
        match &self.engine {
            Engine::Tract(bundle) => Ok(bundle.read(tensor)?),
            Engine::Candle(candle) => {
                let (network, head) = &**candle;
                let x = Tensor::from_slice(tensor, (1, 3, SIDE, SIDE), &Device::Cpu)?;
                let output = network.forward(&x, &mut Mode::Evaluation)?;
                let logits: Vec<f32> = output.logits.flatten_all()?.to_vec1()?;
                let (_, _, rows, columns) = output.features.dims4()?;
                let features: Vec<f32> = output.features.flatten_all()?.to_vec1()?;
                Ok(Reading {
                    decision: Decision::from_logits(&logits, self.threshold)?,
                    cam: grad_cam(head, &features, rows, columns),
                    logits,
                })
            }
        }
    }
}

/// The head's layers as Grad-CAM needs them.
///
/// # Errors
/// If the parameters lack them.
pub fn head_of(architecture: Architecture, parameters: &Parameters) -> Result<Head, ModelError> {
    let tensors = parameters.tensors();
    let layers = architecture
        .head()
        .iter()
        .map(|name| {
            let weight = &tensors[&format!("{name}.weight")];
            let (outputs, inputs) = weight.dims2()?;
            let bias = tensors[&format!("{name}.bias")].to_vec1()?;
            Ok(Linear::new(
                inputs,
                outputs,
                weight.flatten_all()?.to_vec1()?,
                bias,
            )?)
        })
        .collect::<Result<_, ModelError>>()?;
    Ok(Head::new(layers)?)
}

/// Why a cohort could not be scored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// A film.
    #[error(transparent)]
    Films(#[from] FilmsError),
    /// The model.
    #[error(transparent)]
    Model(#[from] Box<ModelError>),
}

/// The model's decision on each film of `cache`, in order, on all cores; tells `done` after each.
///
/// # Errors
/// The first film that cannot be read, or the model's.
pub fn score(
    model: &Model,
    cache: &Cache,
    entries: &[&Entry],
    done: impl Fn() + Sync,
) -> Result<Vec<Decision>, ScoreError> {
    entries
        .par_iter()
        .map(|entry| {
            let tensor = tensor(cache.grey(cache.place(&entry.film)?));
            let decision = model.read(&tensor).map_err(Box::new)?.decision;
            done();
            Ok(decision)
        })
        .collect()
}
