//! The loss.

use candle_core::{CudaStorage, Layout, Result, Shape, bail};

use super::kernels::Loss;
use super::launch::Blocks;
use super::memory::{buffer, elements, small, storage};

/// The mean loss of logits against labels, a scalar, and its slope at each logit; labels that are
/// not-a-number do not count. `focal` and `positive_weight` are those of
/// [`Loss`](crate::ops::Loss).
pub fn loss(
    logit: (&CudaStorage, &Layout),
    label: (&CudaStorage, &Layout),
    (focal, positive_weight): (f32, f32),
) -> Result<[(CudaStorage, Shape); 2]> {
    let device = logit.0.device.clone();
    let shape = logit.1.shape().clone();
    let logits = elements::<f32>(logit.0, logit.1)?;
    let labels = elements::<f32>(label.0, label.1)?;
    if labels.len() != logits.len() {
        bail!("a loss needs a label for each logit");
    }
    let mut mean = buffer::<f32>(&device, 1)?;
    let mut slopes = buffer::<f32>(&device, logits.len())?;
    let kernel = Loss {
        logits: &logits,
        labels: &labels,
        mean: &mut mean,
        slopes: &mut slopes,
        focal,
        positive_weight,
        count: small(logits.len())?,
    };
    // SAFETY: there are as many labels and slopes as logits, and the grid is one block.
    unsafe { kernel.launch(&device, Blocks::Of(1, 1)) }?;
    Ok([
        (storage(mean, &device), Shape::from(())),
        (storage(slopes, &device), shape),
    ])
}
