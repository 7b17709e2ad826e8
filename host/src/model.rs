//! A model that reads films: a run's network in Candle, or a bundle in tract.

use std::path::Path;

use candle_core::{Device, Tensor};
use plumbline_reader::{Bundle, BundleError, Reading};
use plumbline_shared::architecture::Architecture;
use plumbline_shared::decision::{Decision, DecisionError};
use plumbline_shared::gradcam::{Head, grad_cam};
use plumbline_shared::preprocess::SIDE;

use crate::train::{Run, RunError};
use plumbline_nets::{
    self as nets, Description, Mode, Network, Parameters, WeightsError, WeightsFile,
};

/// The probability from which a run's network calls a film positive. Its batches are half
/// positive, so its own boundary is one half; an exported bundle carries a calibrated one.
const RUN_THRESHOLD: f64 = 0.5;

/// An error of opening or running a model.
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
    /// The outputs.
    #[error(transparent)]
    Decision(#[from] DecisionError),
    /// Weights that still have their source's classifier.
    #[error(
        "these weights answer for other classes than scoliosis; train with them as --init first"
    )]
    OtherClasses,
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
    Classes(Box<Network>, Vec<String>),
    Tract(Box<Bundle>),
}

/// A model's answer to a film.
pub enum Answer {
    /// The reading of a network that answers for scoliosis.
    Reading(Reading),
    /// The outputs of a network that answers for other classes.
    Classes(Vec<Class>),
}

/// One output of a classifier of several classes.
pub struct Class {
    /// The class's name, where it is known.
    pub name: Option<String>,
    /// The output.
    pub logit: f32,
}

impl Model {
    /// The best epoch of a run.
    ///
    /// # Errors
    /// If the run has no weights yet.
    pub fn from_run(run: &Run) -> Result<Self, ModelError> {
        let (network, parameters) = run.network()?;
        let description = run.recipe.description(run.record.variant);
        Self::from_network(run.recipe.architecture, network, &parameters, description)
    }

    /// A safetensors file of one of the architectures. What it answers for is what the file says,
    /// whatever its head's shape.
    ///
    /// # Errors
    /// If the file's names or shapes are not the network's.
    pub fn from_weights(file: &Path, architecture: Architecture) -> Result<Self, ModelError> {
        let weights = WeightsFile::read(file)?;
        weights.expect(architecture)?;
        let description = weights.description.clone();
        let (variant, head) = (description.variant, description.head);
        let mut parameters = Parameters::blank(&Device::Cpu);
        let network = Network::build(architecture, variant, head, &mut parameters)?;
        weights.give_all(&parameters)?;
        Self::from_network(architecture, network, &parameters, description)
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
        description: Description,
    ) -> Result<Self, ModelError> {
        let engine = if description.reads_scoliosis() {
            let head = description.head.grad_cam(architecture, parameters)?;
            Engine::Candle(Box::new((network, head)))
        } else {
            Engine::Classes(Box::new(network), description.classes)
        };
        Ok(Self {
            name: architecture.to_string(),
            version: "unreleased".into(),
            threshold: RUN_THRESHOLD,
            engine,
        })
    }

    /// The model's answer to one normalised film, 3 x 256 x 256.
    ///
    /// # Errors
    /// If the tensor has another length.
    pub fn ask(&self, tensor: &[f32]) -> Result<Answer, ModelError> {
        let Engine::Classes(network, names) = &self.engine else {
            return self.read(tensor).map(Answer::Reading);
        };
        let logits = run_network(network, tensor)?.logits.value().flatten_all()?;
        let logits: Vec<f32> = logits.to_vec1()?;
        if !logits.iter().all(|logit| logit.is_finite()) {
            return Err(DecisionError::NotFinite.into());
        }
        let mut names = names.iter().cloned();
        let classes = logits.into_iter().map(|logit| Class {
            name: names.next().filter(|name| !name.is_empty()),
            logit,
        });
        Ok(Answer::Classes(classes.collect()))
    }

    /// Reads one normalised film, 3 x 256 x 256.
    ///
    /// # Errors
    /// If the tensor has another length, or the model's classes are not the study's.
    pub fn read(&self, tensor: &[f32]) -> Result<Reading, ModelError> {
        match &self.engine {
            Engine::Tract(bundle) => Ok(bundle.read(tensor)?),
            Engine::Classes(..) => Err(ModelError::OtherClasses),
            Engine::Candle(candle) => {
                let (network, head) = &**candle;
                let output = run_network(network, tensor)?;
                let logits: Vec<f32> = output.logits.value().flatten_all()?.to_vec1()?;
                let (_, _, rows, columns) = output.features.dims4()?;
                let features: Vec<f32> = output.features.value().flatten_all()?.to_vec1()?;
                Ok(Reading {
                    decision: Decision::from_logits(&logits, self.threshold)?,
                    cam: grad_cam(head, &features, rows, columns),
                    unlikeness: None,
                    logits,
                })
            }
        }
    }
}

/// Runs a network on one normalised film.
fn run_network(network: &Network, tensor: &[f32]) -> candle_core::Result<nets::Output> {
    let x = Tensor::from_slice(tensor, (1, 3, SIDE, SIDE), &Device::Cpu)?;
    network.forward(&x, &mut Mode::Evaluation)
}
