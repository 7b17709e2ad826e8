//! The model that a command runs.

use std::path::PathBuf;

use plumbline_shared::architecture::Architecture;

use crate::model::Model;
use crate::train::Run;

/// The model: a run, a bundle, or bare weights.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub struct ModelArgs {
    /// A training run: its best epoch, in floating point
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,
    /// A bundle, as a station runs it
    #[arg(long, value_name = "BUNDLE")]
    bundle: Option<PathBuf>,
}

impl ModelArgs {
    /// Opens the model.
    pub fn open(&self) -> anyhow::Result<Model> {
        match (&self.run, &self.bundle) {
            (Some(run), _) => Ok(Model::from_run(&Run::open(run)?)?),
            (_, Some(bundle)) => Ok(Model::from_bundle(bundle)?),
            (None, None) => anyhow::bail!("give --run or --bundle"),
        }
    }
}

/// The model of `plumbline predict`, which may also be bare weights.
#[derive(clap::Args)]
#[group(required = true, multiple = false, id = "asked")]
pub struct AnyModelArgs {
    /// A training run: its best epoch, in floating point
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,
    /// A bundle, as a station runs it
    #[arg(long, value_name = "BUNDLE")]
    bundle: Option<PathBuf>,
    /// Weights in safetensors: a run's, or those that `weights import` makes
    #[arg(long, value_name = "W.safetensors", requires = "arch")]
    weights: Option<PathBuf>,
}

impl AnyModelArgs {
    /// Opens the model; `arch` is the architecture of bare weights.
    pub fn open(&self, arch: Option<Architecture>) -> anyhow::Result<Model> {
        match (&self.run, &self.bundle, &self.weights, arch) {
            (Some(run), ..) => Ok(Model::from_run(&Run::open(run)?)?),
            (_, Some(bundle), ..) => Ok(Model::from_bundle(bundle)?),
            (_, _, Some(weights), Some(arch)) => Ok(Model::from_weights(weights, arch)?),
            _ => anyhow::bail!("give --run, --bundle, or --weights with --arch"),
        }
    }
}
