//! The state of a run after an epoch, from which it can go on.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Result, Tensor};

use super::learner::OptimiserState;
use super::recipe::Round;
use plumbline_nets::Parameters;

/// The progress of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// The round of the next epoch, from 0.
    pub round: usize,
    /// The next epoch of that round, from 0.
    pub epoch: usize,
    /// The best validation ROC-AUC of that round so far.
    pub best: Option<f64>,
    /// Epochs since.
    pub since_best: usize,
}

impl Progress {
    /// Takes in an epoch's validation ROC-AUC; returns whether it is the best so far.
    pub fn record(&mut self, auc: f64) -> bool {
        let best = self.best.is_none_or(|best| auc > best);
        self.epoch += 1;
        self.since_best += 1;
        if best {
            self.best = Some(auc);
            self.since_best = 0;
        }
        best
    }

    /// Returns true if the round's patience is at an end.
    pub fn exhausted(&self, round: &Round) -> bool {
        round.patience.is_some_and(|most| self.since_best >= most)
    }
}

/// Everything that the next epoch depends on, as a safetensors file.
///
/// # Errors
/// Candle's.
pub(super) fn to_bytes(
    parameters: &Parameters,
    state: &OptimiserState,
    progress: Progress,
) -> Result<Vec<u8>> {
    let mut tensors = HashMap::new();
    for (name, tensor) in parameters.tensors() {
        tensors.insert(format!("weight:{name}"), tensor);
    }
    tensors.extend(state.optimiser.state());
    tensors.extend(state.average.iter().flat_map(|average| average.state()));
    let counts = [
        progress.round,
        progress.epoch,
        progress.since_best,
        state.optimiser.steps(),
    ]
    .map(|count| count as i64);
    tensors.insert("progress".into(), Tensor::new(&counts, &Device::Cpu)?);
    let best = [progress.best.unwrap_or(f64::NAN)];
    tensors.insert("best".into(), Tensor::new(&best, &Device::Cpu)?);
    Ok(safetensors::serialize(&tensors, None)?)
}

/// A saved state, read but not yet applied.
pub struct Checkpoint {
    tensors: HashMap<String, Tensor>,
    steps: usize,
    /// The run's progress.
    pub progress: Progress,
}

impl Checkpoint {
    /// Reads what [`to_bytes`] made, to go on with it on `device`.
    ///
    /// # Errors
    /// If the file cannot be read or is not a checkpoint.
    pub fn read(path: &Path, device: &Device) -> Result<Self> {
        let tensors = candle_core::safetensors::load(path, device)?;
        let get = |name: &str| match tensors.get(name) {
            Some(tensor) => Ok(tensor),
            None => candle_core::bail!("{} is not a checkpoint: no {name}", path.display()),
        };
        let counts: Vec<i64> = get("progress")?.to_vec1()?;
        let best: Vec<f64> = get("best")?.to_vec1()?;
        let (&[round, epoch, since_best, steps], &[best]) = (&counts[..], &best[..]) else {
            candle_core::bail!("{} is not a checkpoint", path.display());
        };
        Ok(Self {
            steps: steps as usize,
            progress: Progress {
                round: round as usize,
                epoch: epoch as usize,
                best: (!best.is_nan()).then_some(best),
                since_best: since_best as usize,
            },
            tensors,
        })
    }

    /// Sets the parameters, the optimiser and the average.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub(super) fn apply(
        mut self,
        parameters: &Parameters,
        state: &mut OptimiserState,
    ) -> Result<()> {
        let mut take = |name: &str| self.tensors.remove(name);
        parameters.restore(&mut |name| take(&format!("weight:{name}")))?;
        if let Some(average) = &mut state.average {
            average.restore(&mut take)?;
        }
        state.optimiser.restore(self.steps, &mut take)
    }
}
