//! The loss of both networks.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// The mean binary cross entropy of `logit` (`N`) against `label` (`N`, 0 or 1), computed without
/// overflow; a scalar.
///
/// For the two-output head the logit is the positive output minus the negative one, and this is
/// exactly the cross entropy of the two outputs' softmax.
///
/// # Errors
/// If the shapes differ.
pub fn binary_cross_entropy(logit: &Tensor, label: &Tensor) -> Result<Tensor> {
    logit
        .contiguous()?
        .apply_op2(&label.contiguous()?, BinaryCrossEntropy)
}

struct BinaryCrossEntropy;

impl CustomOp2 for BinaryCrossEntropy {
    fn name(&self) -> &'static str {
        "binary cross entropy"
    }

    fn cpu_fwd(
        &self,
        logit: &CpuStorage,
        logit_layout: &Layout,
        label: &CpuStorage,
        label_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        if logit_layout.dims() != label_layout.dims() || logit_layout.dims().len() != 1 {
            bail!("a loss needs one logit and one label a film");
        }
        let (logits, labels) = (logit.as_slice::<f32>()?, label.as_slice::<f32>()?);
        let logits = &logits[logit_layout.start_offset()..];
        let labels = &labels[label_layout.start_offset()..];
        let count = logit_layout.dims()[0];
        let sum: f64 = logits[..count]
            .iter()
            .zip(labels)
            .map(|(z, y)| f64::from(z.max(0.0) - z * y + (-z.abs()).exp().ln_1p()))
            .sum();
        let mean = (sum / count as f64) as f32;
        Ok((CpuStorage::F32(vec![mean]), Shape::from(())))
    }

    fn bwd(
        &self,
        logit: &Tensor,
        label: &Tensor,
        _loss: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let probability = (logit.detach().neg()?.exp()? + 1.0)?.recip()?;
        let difference = (probability.sub(label)? / logit.dim(0)? as f64)?;
        Ok((Some(difference.broadcast_mul(gradient)?), None))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn agrees_with_pytorch() {
        // torch.nn.functional.binary_cross_entropy_with_logits and its gradient.
        let logit = Var::new(&[-3.0f32, 0.5, 90.0, -90.0], &Device::Cpu).unwrap();
        let label = Tensor::new(&[0.0f32, 1.0, 1.0, 1.0], &Device::Cpu).unwrap();
        let loss = binary_cross_entropy(&logit, &label).unwrap();
        let value: f32 = loss.to_scalar().unwrap();
        assert!((value - 22.630_666).abs() < 1e-4, "{value}");
        let gradients = loss.backward().unwrap();
        let gradient: Vec<f32> = gradients.get(&logit).unwrap().to_vec1().unwrap();
        for (got, expected) in gradient
            .iter()
            .zip([0.011_856_47, -0.094_385_17, 0.0, -0.25])
        {
            assert!((got - expected).abs() < 1e-6, "{gradient:?}");
        }
    }
}
