//! A dense block as a differentiable operation.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use super::super::storage::{elements, with_elements};
use super::block::{DenseBlock, DenseLayer, LayerNumbers, LayerStatistics};
use super::sizes::BlockSizes;
use crate::autodiff::Traced;

/// The channels of `x` (`N x C x H x W`) and, after them, those that each layer adds to them.
///
/// With `running` statistics, one a layer, these are used and held constant (evaluation); without,
/// the batch's own (training). Returns the statistics used. With `recompute` the bottleneck maps
/// are computed again in the backward pass instead of being kept, as they are in evaluation.
///
/// # Errors
/// If the shapes do not fit.
pub fn dense_block(
    x: &Traced,
    layers: &[DenseLayer],
    running: Option<Vec<LayerStatistics>>,
    epsilon: f32,
    recompute: bool,
) -> Result<(Traced, Vec<LayerStatistics>)> {
    let layers: Vec<_> = layers.iter().map(DenseLayer::parameters).collect();
    let shapes: Vec<_> = layers.iter().map(|layer| layer.map(Traced::dims)).collect();
    let sizes = BlockSizes::new(x.dims(), &shapes)?;
    let mut inputs = vec![x];
    inputs.extend(layers.into_iter().flatten());
    let flat = inputs[1..].iter().map(|part| part.value().flatten_all());
    let parameters = Tensor::cat(&flat.collect::<Result<Vec<_>>>()?, 0)?;
    let shapes: Vec<Shape> = inputs[1..]
        .iter()
        .map(|part| part.shape().clone())
        .collect();
    let running = running
        .map(|running| running.iter().map(LayerStatistics::numbers).collect())
        .transpose()?;
    let op = DenseBlock {
        sizes,
        epsilon,
        from_batch: running.is_none(),
        keep_bottlenecks: running.is_none() && !recompute,
        running,
        kept: Arc::default(),
    };
    let kept = op.kept.clone();
    let maps = x.value().contiguous()?;
    let features = maps.apply_op2_no_bwd(&parameters, &op)?;
    let y = Traced::node(&inputs, features.clone(), move |gradient, _| {
        let [of_maps, of_parameters] = op.gradients(&maps, &parameters, &features, gradient)?;
        let mut gradients = vec![Some(of_maps)];
        let mut from = 0;
        for shape in shapes {
            let part = of_parameters.narrow(0, from, shape.elem_count())?;
            from += shape.elem_count();
            gradients.push(Some(part.reshape(shape)?));
        }
        Ok(gradients)
    });
    match kept.get() {
        Some(kept) => {
            let statistics = kept.statistics.iter().cloned().map(LayerNumbers::tensors);
            Ok((y, statistics.collect::<Result<_>>()?))
        }
        None => bail!("a dense block's forward pass gave no statistics"),
    }
}

impl DenseBlock {
    /// The gradients of the maps and of all parameters.
    fn gradients(
        &self,
        x: &Tensor,
        parameters: &Tensor,
        features: &Tensor,
        gradient: &Tensor,
    ) -> Result<[Tensor; 2]> {
        let Some(kept) = self.kept.get() else {
            bail!("a dense block was asked for a gradient before its forward pass");
        };
        let gradient = with_elements(&gradient.contiguous()?, |all| Ok(all.to_vec()))?;
        let (of_maps, of_parameters) = with_elements(parameters, |parameters| {
            with_elements(features, |features| {
                self.backward(features, parameters, kept, gradient)
            })
        })?;
        let tensor = |gradient, of: &Tensor| Tensor::from_vec(gradient, of.shape(), of.device());
        Ok([tensor(of_maps, x)?, tensor(of_parameters, parameters)?])
    }
}

impl CustomOp2 for DenseBlock {
    fn name(&self) -> &'static str {
        "dense block"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        parameters: &CpuStorage,
        parameters_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let parameters = elements(parameters, parameters_layout)?;
        let (features, kept) = self.forward(elements(x, x_layout)?, parameters)?;
        self.kept.get_or_init(|| kept);
        let BlockSizes {
            films,
            height,
            width,
            ..
        } = self.sizes;
        let shape = (films, self.sizes.total(), height, width);
        Ok((CpuStorage::F32(features), Shape::from(shape)))
    }
}
