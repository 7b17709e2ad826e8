//! What a training makes small.

use candle_core::{CudaStorage, Layout, Result, Shape};

use super::{Blocks, elements, launch, room, small, storage};

/// The mean loss of logits against labels, a scalar, and its slope at each logit; the labels that
/// are not a number do not count. `focal` and `positive_weight` are [`Loss`](crate::train::Loss)'s.
pub fn loss(
    logit: (&CudaStorage, &Layout),
    label: (&CudaStorage, &Layout),
    (focal, positive_weight): (f32, f32),
) -> Result<[(CudaStorage, Shape); 2]> {
    let device = logit.0.device.clone();
    let shape = logit.1.shape().clone();
    let logits = elements::<f32>(logit.0, logit.1)?;
    let labels = elements::<f32>(label.0, label.1)?;
    let count = small(logits.len())?;
    let mut mean = room::<f32>(&device, 1)?;
    let mut slopes = room::<f32>(&device, logits.len())?;
    launch!(
        &device,
        "loss",
        "",
        Blocks::Of(1, 1),
        logits,
        labels,
        mut mean,
        mut slopes,
        focal,
        positive_weight,
        count
    );
    Ok([
        (storage(mean, &device), Shape::from(())),
        (storage(slopes, &device), shape),
    ])
}
