//! Dense layers and the activations between them, on tensors so small that Candle's own operations
//! are fast enough.

use candle_core::{Result, Tensor};

use crate::autodiff::Traced;

/// `x` (`N x I`) times the transpose of `weight` (`O x I`, or `O x I x 1 x 1`) plus `bias` (`O`).
///
/// # Errors
/// Candle's, if the shapes do not fit.
pub fn linear(x: &Traced, weight: &Traced, bias: &Traced) -> Result<Traced> {
    let (inputs, matrix) = (x.value().clone(), weight.value().flatten_from(1)?);
    let shape = weight.shape().clone();
    let y = inputs.matmul(&matrix.t()?)?.broadcast_add(bias.value())?;
    Ok(Traced::node(
        &[x, weight, bias],
        y,
        move |gradient, wanted| {
            let of_inputs = || gradient.matmul(&matrix);
            let of_weight = || gradient.t()?.matmul(&inputs)?.reshape(&shape);
            Ok(vec![
                wanted[0].then(of_inputs).transpose()?,
                wanted[1].then(of_weight).transpose()?,
                wanted[2].then(|| gradient.sum(0)).transpose()?,
            ])
        },
    ))
}

/// `max(x, 0)`; not-a-number stays what it is, where Candle's gives 0.
///
/// # Errors
/// Candle's.
pub fn relu(x: &Traced) -> Result<Traced> {
    let inputs = x.value().clone();
    let y = (inputs.neg()?.relu()? + &inputs)?;
    Ok(Traced::node(&[x], y, move |gradient, _| {
        let passes = inputs.gt(0f32)?.to_dtype(inputs.dtype())?;
        Ok(vec![Some((gradient * passes)?)])
    }))
}

/// `x / (1 + exp(-x))`.
///
/// # Errors
/// Candle's.
pub fn silu(x: &Traced) -> Result<Traced> {
    let inputs = x.value().clone();
    let y = inputs.silu()?;
    let outputs = y.clone();
    Ok(Traced::node(&[x], y, move |gradient, _| {
        let gate = logistic(&inputs)?;
        let slope = (&gate + (outputs * gate.affine(-1.0, 1.0)?)?)?;
        Ok(vec![Some((gradient * slope)?)])
    }))
}

/// `1 / (1 + exp(-x))`.
///
/// # Errors
/// Candle's.
pub fn sigmoid(x: &Traced) -> Result<Traced> {
    let y = logistic(x.value())?;
    let outputs = y.clone();
    Ok(Traced::node(&[x], y, move |gradient, _| {
        let slope = (&outputs * outputs.affine(-1.0, 1.0)?)?;
        Ok(vec![Some((gradient * slope)?)])
    }))
}

fn logistic(x: &Tensor) -> Result<Tensor> {
    (x.neg()?.exp()? + 1.0)?.recip()
}

/// `x` times a constant of its shape.
///
/// # Errors
/// Candle's, if the shapes differ.
pub fn mask(x: &Traced, factors: Tensor) -> Result<Traced> {
    let y = (x.value() * &factors)?;
    Ok(Traced::node(&[x], y, move |gradient, _| {
        Ok(vec![Some((gradient * factors)?)])
    }))
}
