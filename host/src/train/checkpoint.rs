//! What a run leaves on disk, whole or not at all.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;

use candle_core::{Device, Result, Tensor};

use super::learner::Moving;
use super::recipe::Round;
use crate::nets::Parameters;

/// Writes a file so that `path` holds either its old content or the whole new one: `write` fills a
/// temporary name beside it, which is synced and renamed.
///
/// # Errors
/// The system's, or `write`'s.
pub fn replace_file<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&Path) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.tmp"));
    write(&temporary)?;
    File::open(&temporary)?.sync_all()?;
    std::fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// How far a run has come.
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
    /// Whether the round's patience is at an end.
    pub fn exhausted(&self, round: &Round) -> bool {
        round.patience.is_some_and(|most| self.since_best >= most)
    }
}

/// Saves everything that the next epoch depends on.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn save(
    path: &Path,
    parameters: &Parameters,
    moving: &Moving,
    progress: Progress,
) -> Result<()> {
    let mut tensors = HashMap::new();
    for (name, tensor) in parameters.tensors() {
        tensors.insert(format!("weight:{name}"), tensor);
    }
    tensors.extend(moving.optimiser.state());
    tensors.extend(moving.average.iter().flat_map(|average| average.state()));
    let counts = [
        progress.round,
        progress.epoch,
        progress.since_best,
        moving.optimiser.steps(),
    ]
    .map(|count| count as i64);
    tensors.insert("progress".into(), Tensor::new(&counts, &Device::Cpu)?);
    let best = [progress.best.unwrap_or(f64::NAN)];
    tensors.insert("best".into(), Tensor::new(&best, &Device::Cpu)?);
    replace_file(path, |temporary| {
        let bytes = safetensors::serialize(&tensors, None)?;
        Ok(std::fs::write(temporary, bytes)?)
    })
}

/// A saved state, read but not yet applied.
pub struct Checkpoint {
    tensors: HashMap<String, Tensor>,
    steps: usize,
    /// How far the run had come.
    pub progress: Progress,
}

impl Checkpoint {
    /// Reads what [`save`] wrote, to go on with it on `device`.
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
    pub(super) fn apply(mut self, parameters: &Parameters, moving: &mut Moving) -> Result<()> {
        let mut take = |name: &str| self.tensors.remove(name);
        parameters.restore(&mut |name| take(&format!("weight:{name}")))?;
        if let Some(average) = &mut moving.average {
            average.restore(&mut take)?;
        }
        moving.optimiser.restore(self.steps, &mut take)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_in_the_current_folder() {
        let name = format!("replaced-{}.txt", std::process::id());
        let path = Path::new(&name);
        let written = replace_file(path, |temporary| std::fs::write(temporary, "whole"));
        let read = std::fs::read_to_string(path);
        std::fs::remove_file(path).unwrap();
        assert!(written.is_ok(), "{written:?}");
        assert_eq!(read.unwrap(), "whole");
    }
}
