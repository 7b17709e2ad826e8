//! A running average of the weights over the steps, which often reads better than the last ones
//! (Polyak and Juditsky, 1992).

use std::collections::BTreeMap;

use candle_core::{Result, Tensor, bail};

use plumbline_nets::Parameters;
use plumbline_nets::ops::{Average, RunningAverage};

/// The average of every parameter and statistic.
pub struct AveragedWeights {
    decay: f64,
    tensors: BTreeMap<String, Tensor>,
}

impl AveragedWeights {
    /// Begins with the weights as they are; at each step they keep the share `decay`.
    ///
    /// # Errors
    /// Candle's, if memory cannot be had.
    pub fn new(decay: f64, parameters: &Parameters) -> Result<Self> {
        let copies = parameters.tensors().into_iter();
        let tensors = copies
            .map(|(name, tensor)| Ok((name, tensor.copy()?)))
            .collect::<Result<_>>()?;
        Ok(Self { decay, tensors })
    }

    /// Takes in the weights after a step.
    ///
    /// # Errors
    /// Candle's.
    pub fn update(&self, parameters: &Parameters) -> Result<()> {
        let average = RunningAverage::of(Average::running(self.decay));
        for (name, tensor) in parameters.tensors() {
            self.tensors[&name].inplace_op2(&tensor, &average)?;
        }
        Ok(())
    }

    /// Runs `work` with the averages in the network's place of its weights, which come back
    /// afterwards.
    ///
    /// # Errors
    /// Candle's, or the work's.
    pub fn in_place<T, E: From<candle_core::Error>>(
        &self,
        parameters: &Parameters,
        work: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let own = parameters.tensors().into_iter();
        let mut own = own
            .map(|(name, tensor)| Ok((name, tensor.copy()?)))
            .collect::<Result<BTreeMap<_, _>>>()?;
        parameters.restore(&mut |name| self.tensors.get(name).cloned())?;
        let done = work();
        parameters.restore(&mut |name| own.remove(name))?;
        done
    }

    /// The averages by name, sharing memory.
    pub fn state(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        let named = self.tensors.iter();
        named.map(|(name, tensor)| (format!("average:{name}"), tensor.clone()))
    }

    /// Goes on from averages that [`AveragedWeights::state`] gave.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn restore(&mut self, take: &mut impl FnMut(&str) -> Option<Tensor>) -> Result<()> {
        for (name, tensor) in &mut self.tensors {
            let saved = take(&format!("average:{name}"));
            *tensor = match saved {
                Some(saved) if saved.shape() == tensor.shape() => saved,
                _ => bail!("the checkpoint lacks the average of {name} in its shape"),
            };
        }
        Ok(())
    }
}
