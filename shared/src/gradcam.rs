//! Grad-CAM in closed form (Selvaraju et al., "Grad-CAM", ICCV 2017, equations 1 and 2).
//!
//! Both networks end in global average pooling and a small fully connected head, so the gradient
//! of the logit by one value of feature map k is the head's gradient by the pooled value k,
//! divided by the map's area. No automatic differentiation is needed where films are read.

use alloc::vec;
use alloc::vec::Vec;

/// An error of building a head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// A layer's weight or bias has a length that does not fit its inputs and outputs.
    #[error(
        "a layer of {inputs} inputs and {outputs} outputs cannot hold {weights} weights and {biases} biases: use another copy of the model, or report it to whoever made the model"
    )]
    Layer {
        /// Number of inputs of the layer.
        inputs: usize,
        /// Number of outputs of the layer.
        outputs: usize,
        /// Number of weights given.
        weights: usize,
        /// Number of biases given.
        biases: usize,
    },
    /// Layers that do not follow one another, or an end that is not one or two logits.
    #[error(
        "the head's layers do not lead from one to the next and end in one or two logits: use another copy of the model, or report it to whoever made the model"
    )]
    Chain,
}

/// A fully connected layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    inputs: usize,
    outputs: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Linear {
    /// Makes a layer of `outputs` x `inputs` weights, row-major, and `outputs` biases.
    ///
    /// # Errors
    ///
    /// [`HeadError::Layer`] if a length does not fit or a side is zero.
    pub fn new(
        inputs: usize,
        outputs: usize,
        weight: Vec<f32>,
        bias: Vec<f32>,
    ) -> Result<Self, HeadError> {
        let fits = inputs.checked_mul(outputs) == Some(weight.len()) && bias.len() == outputs;
        if !fits || weight.is_empty() {
            return Err(HeadError::Layer {
                inputs,
                outputs,
                weights: weight.len(),
                biases: bias.len(),
            });
        }
        Ok(Self {
            inputs,
            outputs,
            weight,
            bias,
        })
    }

    fn forward(&self, x: &[f32]) -> Vec<f32> {
        self.weight
            .chunks_exact(self.inputs)
            .zip(&self.bias)
            .map(|(row, bias)| bias + row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>())
            .collect()
    }

    /// Returns the gradient by the layer's inputs, given the gradient by its outputs.
    fn backward(&self, gradient: &[f32]) -> Vec<f32> {
        let mut by_input = vec![0.0; self.inputs];
        for (row, g) in self.weight.chunks_exact(self.inputs).zip(gradient) {
            for (sum, w) in by_input.iter_mut().zip(row) {
                *sum += g * w;
            }
        }
        by_input
    }
}

/// The layers after global average pooling: fully connected layers with ReLU between them, ending in
/// one logit, or in two of which index 1 is positive.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    layers: Vec<Linear>,
}

impl Head {
    /// Makes a head of one layer or more, in the order they are applied.
    ///
    /// # Errors
    ///
    /// [`HeadError::Chain`] if a layer's inputs are not the outputs of the one before, or the
    /// last does not have one or two outputs.
    pub fn new(layers: Vec<Linear>) -> Result<Self, HeadError> {
        let follow = layers
            .windows(2)
            .all(|pair| pair[0].outputs == pair[1].inputs);
        match layers.last() {
            Some(last) if follow && last.outputs <= 2 => Ok(Self { layers }),
            _ => Err(HeadError::Chain),
        }
    }

    /// Number of pooled features the head takes.
    pub fn inputs(&self) -> usize {
        self.layers[0].inputs
    }

    /// Number of logits: one, or two of which index 1 is positive.
    pub fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1].outputs
    }

    /// Returns the logits for `pooled` features.
    pub fn forward(&self, pooled: &[f32]) -> Vec<f32> {
        let (first, rest) = (&self.layers[0], &self.layers[1..]);
        rest.iter().fold(first.forward(pooled), |mut x, layer| {
            x.iter_mut().for_each(|x| *x = x.max(0.0));
            layer.forward(&x)
        })
    }

    /// Returns the gradient of the logit (of two: positive minus negative) by each of the `pooled`
    /// features. At zero ReLU's derivative is taken as zero, as PyTorch does.
    pub fn gradient(&self, pooled: &[f32]) -> Vec<f32> {
        let last = self.layers.len() - 1;
        let mut before_relu = Vec::with_capacity(last);
        let mut x = pooled.to_vec();
        for layer in &self.layers[..last] {
            let y = layer.forward(&x);
            x = y.iter().map(|y| y.max(0.0)).collect();
            before_relu.push(y);
        }
        let of_logits: &[f32] = if self.outputs() == 1 {
            &[1.0]
        } else {
            &[-1.0, 1.0]
        };
        let mut gradient = self.layers[last].backward(of_logits);
        for (layer, before) in self.layers[..last].iter().zip(&before_relu).rev() {
            for (g, y) in gradient.iter_mut().zip(before) {
                if *y <= 0.0 {
                    *g = 0.0;
                }
            }
            gradient = layer.backward(&gradient);
        }
        gradient
    }
}

/// A class activation map: the evidence for the positive logit in each cell, 0 (none) to 1 (the
/// peak).
#[derive(Debug, Clone, PartialEq)]
pub struct Cam {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// `rows` x `columns` values, row-major.
    pub values: Vec<f32>,
}

/// Computes Grad-CAM of the positive logit over the last feature map.
///
/// `features` is C x `rows` x `columns` after the last activation: for DenseNet121 after `norm5`
/// and ReLU, for EfficientNet-B0 after the last SiLU. The map is divided by its peak; a map
/// without any evidence stays all zeros.
///
/// ```
/// use plumbline_shared::gradcam::{Head, Linear, grad_cam};
///
/// // One logit: the mean of map 0 minus that of map 1.
/// let head = Head::new(vec![Linear::new(2, 1, vec![1.0, -1.0], vec![0.0])?])?;
/// let features = [
///     0.0, 4.0, 2.0, 0.0, // map 0
///     0.0, 0.0, 0.0, 3.0, // map 1
/// ];
/// let cam = grad_cam(&head, &features, 2, 2);
/// assert_eq!(cam.values, [0.0, 1.0, 0.5, 0.0]);
/// # Ok::<(), plumbline_shared::gradcam::HeadError>(())
/// ```
///
/// # Panics
///
/// If `features` does not hold `head.inputs()` maps of `rows` x `columns`.
pub fn grad_cam(head: &Head, features: &[f32], rows: usize, columns: usize) -> Cam {
    let area = rows * columns;
    assert_eq!(
        features.len(),
        head.inputs() * area,
        "features of another shape"
    );
    let pooled: Vec<f32> = features
        .chunks_exact(area)
        .map(|map| map.iter().sum::<f32>() / area as f32)
        .collect();
    let mut values = vec![0.0; area];
    for (map, weight) in features.chunks_exact(area).zip(head.gradient(&pooled)) {
        for (sum, x) in values.iter_mut().zip(map) {
            *sum += weight * x;
        }
    }
    // The weights' common factor 1 / area is left out: the peak divides it away.
    let peak = values.iter().copied().fold(0.0, f32::max);
    for value in &mut values {
        *value = if peak > 0.0 {
            value.max(0.0) / peak
        } else {
            0.0
        };
    }
    Cam {
        rows,
        columns,
        values,
    }
}
