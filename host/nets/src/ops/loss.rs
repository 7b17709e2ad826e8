//! The loss that trainings minimise.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use serde::{Deserialize, Serialize};

#[cfg(feature = "cuda")]
use super::cuda;
use super::storage::elements;
use crate::autodiff::Traced;

/// The loss that a training minimises.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Loss {
    /// Exponent of the focal loss (Lin et al., 2017), in which films that are classified well count
    /// less; 0 is the cross entropy.
    pub focal: f64,
    /// Weight of a positive film against a negative one.
    pub positive_weight: f64,
}

impl Default for Loss {
    fn default() -> Self {
        Self {
            focal: 0.0,
            positive_weight: 1.0,
        }
    }
}

impl Loss {
    /// The first setting that is out of range, if any.
    pub fn fault(&self) -> Option<String> {
        if !(0.0..=10.0).contains(&self.focal) {
            Some(format!("a focal exponent of {}: give 0 to 10", self.focal))
        } else if !(self.positive_weight > 0.0 && self.positive_weight <= 1e4) {
            Some(format!(
                "a weight of positives of {}: give more than 0, at most 10000",
                self.positive_weight
            ))
        } else {
            None
        }
    }

    /// Returns true if a mean loss is no longer a number, or so large (a thousand; guessing gives
    /// 0.7) that the training has diverged.
    pub fn exploded(&self, loss: f32) -> bool {
        let most = 1e3 * self.positive_weight.max(1.0);
        loss.is_nan() || f64::from(loss) > most
    }

    /// The mean loss of `logit` against `label` (of one shape; 0 or 1, or not-a-number where it is
    /// unknown, which does not count), computed on the logit's device without overflow; a scalar.
    ///
    /// For the two-output head the logit is the positive output minus the negative one, and this
    /// is exactly the cross entropy of the two outputs' softmax.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn of(&self, logit: &Traced, label: &Tensor) -> Result<Traced> {
        if logit.dims() != label.dims() {
            bail!("a loss needs a label for each logit");
        }
        let label = label.to_device(logit.device())?.contiguous()?;
        let (logits, loss) = (logit.value().contiguous()?, *self);
        let mean = logits.apply_op2_no_bwd(&label, &loss)?;
        Ok(Traced::node(&[logit], mean, move |gradient, _| {
            let slopes = logits.apply_op2_no_bwd(&label, &Slopes(loss))?;
            Ok(vec![Some(slopes.broadcast_mul(gradient)?)])
        }))
    }

    /// Each logit's share of the mean loss, and its derivative; zeros where the label is unknown.
    fn shares(
        &self,
        (logit, logit_layout): (&CpuStorage, &Layout),
        (label, label_layout): (&CpuStorage, &Layout),
    ) -> Result<Vec<(f64, f64)>> {
        let labels = elements(label, label_layout)?;
        let known = labels.iter().filter(|y| !y.is_nan()).count().max(1) as f64;
        let share = |(z, y): (&f32, &f32)| match y.is_nan() {
            true => (0.0, 0.0),
            false => {
                let (loss, slope) = self.term(*z, *y);
                (loss / known, slope / known)
            }
        };
        let logits = elements(logit, logit_layout)?.iter();
        Ok(logits.zip(labels).map(share).collect())
    }

    /// Focal exponent and weight of positives as a GPU takes them.
    #[cfg(feature = "cuda")]
    fn numbers(&self) -> (f32, f32) {
        (self.focal as f32, self.positive_weight as f32)
    }

    /// The loss of one logit, and its derivative.
    fn term(&self, logit: f32, label: f32) -> (f64, f64) {
        let positive = label > 0.5;
        let weight = if positive { self.positive_weight } else { 1.0 };
        // The logit of the truth, its probability and its cross entropy.
        let sign = if positive { 1.0 } else { -1.0 };
        let z = sign * f64::from(logit);
        let entropy = (-z).max(0.0) + (-z.abs()).exp().ln_1p();
        let wrong = (-entropy).exp_m1().abs();
        let right = 1.0 - wrong;
        let focus = if self.focal == 0.0 {
            1.0
        } else {
            wrong.powf(self.focal)
        };
        // d entropy / dz = -wrong, and d wrong / dz = -wrong right.
        let slope = -focus * (wrong + self.focal * right * entropy);
        (weight * focus * entropy, weight * sign * slope)
    }
}

impl CustomOp2 for Loss {
    fn name(&self) -> &'static str {
        "loss"
    }

    fn cpu_fwd(
        &self,
        logit: &CpuStorage,
        logit_layout: &Layout,
        label: &CpuStorage,
        label_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shares = self.shares((logit, logit_layout), (label, label_layout))?;
        let mean = shares.iter().map(|(loss, _)| loss).sum::<f64>() as f32;
        Ok((CpuStorage::F32(vec![mean]), Shape::from(())))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        logit: &CudaStorage,
        logit_layout: &Layout,
        label: &CudaStorage,
        label_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let [mean, _] =
            cuda::loss::loss((logit, logit_layout), (label, label_layout), self.numbers())?;
        Ok(mean)
    }
}

/// The derivative of a mean loss by each logit.
struct Slopes(Loss);

impl CustomOp2 for Slopes {
    fn name(&self) -> &'static str {
        "loss gradient"
    }

    fn cpu_fwd(
        &self,
        logit: &CpuStorage,
        logit_layout: &Layout,
        label: &CpuStorage,
        label_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shares = self
            .0
            .shares((logit, logit_layout), (label, label_layout))?;
        let slopes = shares.iter().map(|(_, slope)| *slope as f32).collect();
        Ok((CpuStorage::F32(slopes), logit_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        logit: &CudaStorage,
        logit_layout: &Layout,
        label: &CudaStorage,
        label_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let [_, slopes] = cuda::loss::loss(
            (logit, logit_layout),
            (label, label_layout),
            self.0.numbers(),
        )?;
        Ok(slopes)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn unknown_labels_do_not_count() {
        let label = |values: &[f32]| Tensor::new(values, &Device::Cpu).unwrap();
        let logit = Var::new(&[0.3f32, -1.0, 2.0], &Device::Cpu).unwrap();
        let two = Traced::from(&logit.narrow(0, 0, 2).unwrap());
        let loss = Loss::default();
        let known = loss.of(&two, &label(&[1.0, 0.0])).unwrap();
        let all = loss
            .of(&Traced::from(&logit), &label(&[1.0, 0.0, f32::NAN]))
            .unwrap();
        assert_eq!(
            known.value().to_scalar::<f32>().unwrap(),
            all.value().to_scalar::<f32>().unwrap()
        );
        let gradients = all.backward().unwrap();
        let gradient: Vec<f32> = gradients.get(&logit).unwrap().to_vec1().unwrap();
        assert!(gradient[0] < 0.0 && gradient[1] > 0.0 && gradient[2] == 0.0);
    }

    #[test]
    fn the_derivative_is_the_difference_quotient() {
        for focal in [0.0, 0.5, 2.0] {
            let loss = Loss {
                focal,
                positive_weight: 3.0,
            };
            for (logit, label) in [(0.4f32, 1.0), (-2.0, 1.0), (0.7, 0.0), (-6.0, 0.0)] {
                let h = 1e-2f32;
                let up = loss.term(logit + h, label).0;
                let down = loss.term(logit - h, label).0;
                let quotient = (up - down) / (f64::from(logit + h) - f64::from(logit - h));
                assert!((quotient - loss.term(logit, label).1).abs() < 1e-4);
            }
        }
    }
}
