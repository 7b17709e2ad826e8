//! AdaGrad (Duchi et al., 2011) and Adam (Kingma and Ba, 2015), with PyTorch's formulas and
//! constants.

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, Tensor, Var, bail};
use serde::{Deserialize, Serialize};

use crate::nets::ops::elements;

/// An update rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// `w -= rate g / (sqrt(sum of g^2) + 1e-10)`.
    Adagrad,
    /// `w -= rate m / (sqrt(v) + 1e-8)` with the running means of `g` and `g^2`, decays 0.9 and
    /// 0.999, both corrected for their start at zero.
    Adam,
}

/// An update rule with its state for a set of parameters.
pub struct Optimiser {
    algorithm: Algorithm,
    steps: usize,
    slots: Vec<Slot>,
}

struct Slot {
    name: String,
    parameter: Var,
    /// Adam's mean of gradients; unused by AdaGrad.
    mean: Option<Tensor>,
    /// AdaGrad's sum, or Adam's mean, of squared gradients.
    square: Tensor,
}

const DECAYS: (f64, f64) = (0.9, 0.999);

impl Optimiser {
    /// At the start, for the named parameters.
    ///
    /// # Errors
    /// Candle's, if memory cannot be had.
    pub fn new(algorithm: Algorithm, parameters: &[(&str, &Var)]) -> Result<Self> {
        let slots = parameters
            .iter()
            .map(|(name, parameter)| {
                let mean = match algorithm {
                    Algorithm::Adagrad => None,
                    Algorithm::Adam => Some(parameter.zeros_like()?),
                };
                Ok(Slot {
                    name: (*name).to_owned(),
                    parameter: (*parameter).clone(),
                    mean,
                    square: parameter.zeros_like()?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            algorithm,
            steps: 0,
            slots,
        })
    }

    /// Moves the parameters that have a gradient by one step.
    ///
    /// # Errors
    /// Candle's, if a gradient has another shape.
    pub fn step(&mut self, gradients: &GradStore, rate: f64) -> Result<()> {
        self.steps += 1;
        for slot in &self.slots {
            let Some(gradient) = gradients.get(&slot.parameter) else {
                continue;
            };
            let gradient = gradient.contiguous()?;
            let parameter = slot.parameter.as_tensor();
            match (&slot.mean, self.algorithm) {
                (Some(mean), Algorithm::Adam) => {
                    mean.inplace_op2(
                        &gradient,
                        &Average {
                            decay: DECAYS.0,
                            squared: false,
                        },
                    )?;
                    slot.square.inplace_op2(
                        &gradient,
                        &Average {
                            decay: DECAYS.1,
                            squared: true,
                        },
                    )?;
                    let step = Move {
                        rate: rate / (1.0 - DECAYS.0.powi(self.steps as i32)),
                        square_scale: 1.0 / (1.0 - DECAYS.1.powi(self.steps as i32)),
                        epsilon: 1e-8,
                    };
                    parameter.inplace_op3(mean, &slot.square, &step)?;
                }
                _ => {
                    slot.square.inplace_op2(&gradient, &AddSquare)?;
                    let step = Move {
                        rate,
                        square_scale: 1.0,
                        epsilon: 1e-10,
                    };
                    parameter.inplace_op3(&gradient, &slot.square, &step)?;
                }
            }
        }
        Ok(())
    }

    /// Steps made so far.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The state by name, sharing memory.
    pub fn state(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        self.slots.iter().flat_map(|slot| {
            let mean = slot.mean.iter().map(|mean| ("mean", mean));
            mean.chain([("square", &slot.square)])
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
            slot.square = restored("square", &slot.name, &slot.square)?;
        }
        self.steps = steps;
        Ok(())
    }
}

fn contiguous_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((start, end))) => Ok(&mut all[start..end]),
        _ => bail!("an optimiser moves contiguous f32 parameters only"),
    }
}

/// `average = decay average + (1 - decay) g`, or `g^2`.
struct Average {
    decay: f64,
    squared: bool,
}

impl InplaceOp2 for Average {
    fn name(&self) -> &'static str {
        "running average"
    }

    fn cpu_fwd(
        &self,
        average: &mut CpuStorage,
        layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<()> {
        let (decay, share) = (self.decay as f32, (1.0 - self.decay) as f32);
        let gradient = elements(gradient, gradient_layout)?;
        for (average, g) in contiguous_mut(average, layout)?.iter_mut().zip(gradient) {
            let term = if self.squared { g * g } else { *g };
            *average = *average * decay + term * share;
        }
        Ok(())
    }
}

/// `sum += g^2`.
struct AddSquare;

impl InplaceOp2 for AddSquare {
    fn name(&self) -> &'static str {
        "sum of squares"
    }

    fn cpu_fwd(
        &self,
        sum: &mut CpuStorage,
        layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<()> {
        let gradient = elements(gradient, gradient_layout)?;
        for (sum, g) in contiguous_mut(sum, layout)?.iter_mut().zip(gradient) {
            *sum += g * g;
        }
        Ok(())
    }
}

/// `w -= rate direction / (sqrt(square_scale square) + epsilon)`.
struct Move {
    rate: f64,
    square_scale: f64,
    epsilon: f64,
}

impl InplaceOp3 for Move {
    fn name(&self) -> &'static str {
        "optimiser step"
    }

    fn cpu_fwd(
        &self,
        parameter: &mut CpuStorage,
        layout: &Layout,
        direction: &CpuStorage,
        direction_layout: &Layout,
        square: &CpuStorage,
        square_layout: &Layout,
    ) -> Result<()> {
        let direction = elements(direction, direction_layout)?;
        let square = elements(square, square_layout)?;
        let (rate, epsilon) = (self.rate as f32, self.epsilon as f32);
        let root_scale = self.square_scale.sqrt() as f32;
        for ((w, d), s) in contiguous_mut(parameter, layout)?
            .iter_mut()
            .zip(direction)
            .zip(square)
        {
            *w -= rate * d / (s.sqrt() * root_scale + epsilon);
        }
        Ok(())
    }
}
