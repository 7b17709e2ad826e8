//! One device of a training: its network, and its part of a step.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{Device, Result, Tensor, Var};

use super::average::AveragedWeights;
use super::optimiser::Optimiser;
use super::recipe::{Recipe, Round, Trained};
use plumbline_nets::devices::{DeviceThread, Rank};
use plumbline_nets::{Gradients, Network, Parameters, Share, Traced, Variant};

/// A network on one of a training's devices.
pub(super) struct Learner {
    pub(super) network: Network,
    pub(super) parameters: Parameters,
    /// Its rank among the devices, where several train together.
    pub(super) rank: Option<Arc<Rank>>,
    /// The thread of its work beside the first device.
    pub(super) thread: DeviceThread,
}

/// The optimiser of a round with its state, and the average of the weights.
pub(super) struct OptimiserState {
    pub(super) optimiser: Optimiser,
    pub(super) average: Option<AveragedWeights>,
}

impl Learner {
    /// One for each device, with the weights that the recipe's seed draws.
    pub(super) fn all(recipe: &Recipe, variant: Variant, devices: &[Device]) -> Result<Vec<Self>> {
        let ranks = match devices {
            [_] => vec![None],
            several => Rank::together(several)?.into_iter().map(Some).collect(),
        };
        let learners = devices.iter().zip(ranks);
        learners
            .map(|(device, rank)| Self::new(recipe, variant, device, rank))
            .collect()
    }

    fn new(
        recipe: &Recipe,
        variant: Variant,
        device: &Device,
        rank: Option<Arc<Rank>>,
    ) -> Result<Self> {
        let mut parameters = Parameters::new(device, recipe.seed);
        let mut network =
            Network::build(recipe.architecture, variant, recipe.head(), &mut parameters)?;
        if let Some(rate) = recipe.dropout {
            network.set_dropout(rate);
        }
        network.set_precision(recipe.precision);
        if recipe.recompute {
            network.recompute();
        }
        Ok(Self {
            network,
            parameters,
            rank,
            thread: DeviceThread::new(device)?,
        })
    }

    /// The share that this device has in a batch of `films` films; none where it trains alone.
    pub(super) fn share(&self, films: usize) -> Option<Share<'_>> {
        self.rank.as_ref().map(|rank| Share { rank, films })
    }

    /// Moves the weights by one step of `rate`, from the logits for a whole batch, or for this
    /// device's share of one. Returns the whole batch's loss.
    pub(super) fn learn(
        &self,
        state: &mut OptimiserState,
        round: &Round,
        rate: f64,
        logits: &Traced,
        targets: &Tensor,
        share: Option<Share>,
    ) -> Result<Tensor> {
        let mean = round.loss.of(logits, targets)?;
        let mut loss = mean.value().clone();
        let mut weight = mean.value().ones_like()?;
        if let Some(share) = share {
            // A mean over the share becomes its part of the mean over the batch.
            let part = targets.dim(0)? as f64 / share.films as f64;
            (loss, weight) = ((loss * part)?, (weight * part)?);
        }
        let mut gradients = mean.backward_from(weight)?;
        if let Some(Share { rank, .. }) = share {
            loss = sum_over(rank, &mut gradients, state.optimiser.parameters(), &loss)?;
        }
        state.optimiser.step(&gradients, rate)?;
        if let Some(average) = &state.average {
            average.update(&self.parameters)?;
        }
        Ok(loss)
    }

    /// Runs `work`; if it fails, no other device waits for this one any more.
    pub(super) fn leave_on_error<T, E>(
        &self,
        work: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        struct Leaving<'a>(Option<&'a Rank>);
        impl Drop for Leaving<'_> {
            fn drop(&mut self) {
                if let Some(rank) = self.0 {
                    rank.leave();
                }
            }
        }
        // Dropped by a panic, too.
        let mut leaving = Leaving(self.rank.as_deref());
        let done = work();
        if done.is_ok() {
            leaving.0 = None;
        }
        done
    }
}

/// Replaces the gradients of `parameters` by their sums over all ranks; returns that of the loss.
fn sum_over<'a>(
    rank: &Rank,
    gradients: &mut Gradients,
    parameters: impl Iterator<Item = &'a Var>,
    loss: &Tensor,
) -> Result<Tensor> {
    let mut all = vec![loss.reshape(1)?];
    let mut moved = Vec::new();
    for parameter in parameters {
        if let Some(gradient) = gradients.get(parameter) {
            all.push(gradient.flatten_all()?);
            moved.push(parameter);
        }
    }
    let sum = rank.sum(&Tensor::cat(&all, 0)?)?;
    let mut from = 1;
    for parameter in moved {
        let count = parameter.elem_count();
        let gradient = sum.narrow(0, from, count)?.reshape(parameter.shape())?;
        gradients.insert(parameter, gradient);
        from += count;
    }
    sum.get(0)
}

impl OptimiserState {
    /// At the start of a round, from the weights as they are.
    pub(super) fn new(round: &Round, learner: &Learner) -> Result<Self> {
        let moved = match round.train {
            Trained::All => learner.parameters.trainable().collect(),
            Trained::LastLayer => learner.network.last_layer(&learner.parameters),
        };
        let average = round.average;
        Ok(Self {
            optimiser: Optimiser::new(round.rule(), &moved)?,
            average: average
                .map(|decay| AveragedWeights::new(decay, &learner.parameters))
                .transpose()?,
        })
    }

    /// For another device, whose weights become the first one's; what follows the weights stays with
    /// the first.
    pub(super) fn replica_of(
        round: &Round,
        learner: &Learner,
        first: (&Learner, &Self),
    ) -> Result<Self> {
        // Through the computer's memory, which every device can reach.
        let device = learner.parameters.device();
        let there = |(name, tensor): (String, Tensor)| {
            let here = tensor.to_device(&Device::Cpu)?;
            Ok((name, here.to_device(device)?.copy()?))
        };
        let weights = first.0.parameters.tensors().into_iter().map(there);
        let mut weights: HashMap<_, _> = weights.collect::<Result<_>>()?;
        learner
            .parameters
            .restore(&mut |name| weights.remove(name))?;
        let moved: Vec<_> = learner.parameters.trainable().collect();
        let mut optimiser = Optimiser::new(round.rule(), &moved)?;
        let state = first.1.optimiser.state().map(there);
        let mut state: HashMap<_, _> = state.collect::<Result<_>>()?;
        optimiser.restore(first.1.optimiser.steps(), &mut |name| state.remove(name))?;
        Ok(Self {
            optimiser,
            average: None,
        })
    }
}
