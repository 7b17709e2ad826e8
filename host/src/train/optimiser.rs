//! AdaGrad (Duchi et al., 2011), Adam (Kingma and Ba, 2015), AdamW (Loshchilov and Hutter, 2019)
//! and stochastic gradient descent with momentum, with PyTorch's formulas and constants.

use candle_core::{Result, Tensor, Var, bail};
use serde::{Deserialize, Serialize};

use plumbline_nets::Gradients;
use plumbline_nets::ops::{Average, OptimiserStep, ParameterUpdate, update_parameters};

/// An update rule. `g` is the gradient, to which all but AdamW add the weight decay times `w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// `w -= rate g / (sqrt(sum of g^2) + 1e-10)`.
    Adagrad,
    /// `w -= rate m / (sqrt(v) + 1e-8)` with the running means of `g` and `g^2`, decays 0.9 and
    /// 0.999, both corrected for their start at zero.
    Adam,
    /// Adam after `w -= rate decay w`.
    Adamw,
    /// `w -= rate m`, with `m = momentum m + g`.
    Sgd,
}

/// An update rule with its constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// The formula.
    pub algorithm: Algorithm,
    /// Weight decay: 0 for none.
    pub weight_decay: f64,
    /// Momentum of [`Algorithm::Sgd`]: 0 for none.
    pub momentum: f64,
}

/// An update rule with its state for a set of parameters.
pub struct Optimiser {
    rule: Rule,
    steps: usize,
    slots: Vec<Slot>,
}

struct Slot {
    name: String,
    parameter: Var,
    /// Adam's mean of gradients, or the momentum's sum.
    mean: Option<Tensor>,
    /// AdaGrad's sum, or Adam's mean, of squared gradients.
    square: Option<Tensor>,
}

const DECAYS: (f64, f64) = (0.9, 0.999);

impl Optimiser {
    /// At the start, for the named parameters.
    ///
    /// # Errors
    /// Candle's, if memory cannot be had.
    pub fn new(rule: Rule, parameters: &[(&str, &Var)]) -> Result<Self> {
        let adaptive = rule.algorithm != Algorithm::Sgd;
        let averaged = match rule.algorithm {
            Algorithm::Adagrad => false,
            Algorithm::Adam | Algorithm::Adamw => true,
            Algorithm::Sgd => rule.momentum != 0.0,
        };
        let slots = parameters
            .iter()
            .map(|(name, parameter)| {
                let zeros = |wanted: bool| wanted.then(|| parameter.zeros_like()).transpose();
                Ok(Slot {
                    name: (*name).to_owned(),
                    parameter: (*parameter).clone(),
                    mean: zeros(averaged)?,
                    square: zeros(adaptive)?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            rule,
            steps: 0,
            slots,
        })
    }

    /// Moves the parameters that have a gradient by one step.
    ///
    /// # Errors
    /// Candle's, if a gradient has another shape.
    pub fn step(&mut self, gradients: &Gradients, rate: f64) -> Result<()> {
        self.steps += 1;
        let step = self.rule.step(rate, self.steps);
        let with_gradient = self.slots.iter().filter_map(|slot| {
            let gradient = gradients.get(&slot.parameter)?;
            Some(gradient.contiguous().map(|gradient| ParameterUpdate {
                parameter: &slot.parameter,
                gradient,
                mean: slot.mean.as_ref(),
                square: slot.square.as_ref(),
            }))
        });
        update_parameters(&with_gradient.collect::<Result<Vec<_>>>()?, &step)
    }

    /// The parameters that it updates.
    pub fn parameters(&self) -> impl Iterator<Item = &Var> {
        self.slots.iter().map(|slot| &slot.parameter)
    }

    /// Steps made so far.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The state by name, sharing memory.
    pub fn state(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        self.slots.iter().flat_map(|slot| {
            let mean = slot.mean.iter().map(|mean| ("mean", mean));
            mean.chain(slot.square.iter().map(|square| ("square", square)))
                .map(|(kind, tensor)| (format!("{kind}:{}", slot.name), tensor.clone()))
        })
    }

    /// Goes on from a state that [`Optimiser::state`] gave after `steps` steps.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn restore(
        &mut self,
        steps: usize,
        take: &mut impl FnMut(&str) -> Option<Tensor>,
    ) -> Result<()> {
        let mut restored = |kind: &str, slot_name: &str, now: &Tensor| {
            let name = format!("{kind}:{slot_name}");
            match take(&name) {
                Some(tensor) if tensor.shape() == now.shape() => Ok(tensor),
                _ => bail!("the checkpoint lacks {name} in the shape of its parameter"),
            }
        };
        for slot in &mut self.slots {
            if let Some(mean) = &mut slot.mean {
                *mean = restored("mean", &slot.name, mean)?;
            }
            if let Some(square) = &mut slot.square {
                *square = restored("square", &slot.name, square)?;
            }
        }
        self.steps = steps;
        Ok(())
    }
}

impl Rule {
    /// The numbers of the step that is the `steps`th.
    fn step(&self, rate: f64, steps: usize) -> OptimiserStep {
        let plain = OptimiserStep {
            keep: 1.0,
            weight_decay: self.weight_decay,
            mean: Average {
                decay: self.momentum,
                share: 1.0,
            },
            square: Average {
                decay: 1.0,
                share: 1.0,
            },
            square_scale: 1.0,
            rate,
            epsilon: 1e-10,
        };
        let adam = || OptimiserStep {
            mean: Average::running(DECAYS.0),
            square: Average::running(DECAYS.1),
            square_scale: 1.0 / (1.0 - DECAYS.1.powi(steps as i32)),
            rate: rate / (1.0 - DECAYS.0.powi(steps as i32)),
            epsilon: 1e-8,
            ..plain
        };
        match self.algorithm {
            Algorithm::Adagrad | Algorithm::Sgd => plain,
            Algorithm::Adam => adam(),
            Algorithm::Adamw => OptimiserStep {
                keep: 1.0 - rate * self.weight_decay,
                weight_decay: 0.0,
                ..adam()
            },
        }
    }
}
