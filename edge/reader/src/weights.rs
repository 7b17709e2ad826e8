//! The weights in an ONNX graph: int8 back to f32, and the head's.

use std::collections::HashMap;

use plumbline_shared::architecture::Architecture;
use plumbline_shared::gradcam::{Head, Linear};
use tract_onnx::data_resolver::MmapDataResolver;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};
use tract_onnx::prelude::*;
use tract_onnx::tensor::load_tensor;
use tract_onnx::tract_core::internal::{TractErrorContext as _, bail, ensure};

/// Replaces every `DequantizeLinear` of int8 weights by the f32 weights it stands for.
///
/// tract would do the same while it optimises, half a second slower. Zero points and other types
/// are left to it.
pub(super) fn dequantise(graph: &mut GraphProto) -> TractResult<()> {
    let mut stored: HashMap<String, TensorProto> = graph
        .initializer
        .drain(..)
        .map(|tensor| (tensor.name.clone(), tensor))
        .collect();
    let mut used = Vec::new();
    for node in core::mem::take(&mut graph.node) {
        match weights(&node, &stored)? {
            Some(weights) => {
                used.extend(node.input);
                graph.initializer.push(weights);
            }
            None => graph.node.push(node),
        }
    }
    for name in used {
        stored.remove(&name);
    }
    graph.initializer.extend(stored.into_values());
    Ok(())
}

/// Returns the f32 weights behind `node`, if it is a `DequantizeLinear` of int8 weights.
fn weights(
    node: &NodeProto,
    stored: &HashMap<String, TensorProto>,
) -> TractResult<Option<TensorProto>> {
    if node.op_type != "DequantizeLinear" {
        return Ok(None);
    }
    let ([q, scales], [name]) = (&*node.input, &*node.output) else {
        return Ok(None);
    };
    let (Some(q), Some(scales)) = (stored.get(q), stored.get(scales)) else {
        return Ok(None);
    };
    if q.data_type() != DataType::Int8 {
        return Ok(None);
    }
    let (q, scales) = (load(q)?, load(scales)?);
    let axis = node
        .attribute
        .iter()
        .find(|a| a.name == "axis")
        .map_or(1, |a| a.i);
    let per_channel = scales.rank() == 1;
    let fits = !per_channel || (axis == 0 && q.shape().first() == Some(&scales.len()));
    ensure!(
        fits && scales.len() > 0 && q.len() > 0,
        "the scales of {name} do not fit its shape"
    );
    let scales = scales.try_as_plain_ram()?.as_slice::<f32>()?;
    let a_channel = q.len() / scales.len();
    let values = q.try_as_plain_ram()?.as_slice::<i8>()?;
    let raw_data = values
        .chunks_exact(a_channel)
        .zip(scales)
        .flat_map(|(channel, scale)| channel.iter().map(move |q| f32::from(*q) * scale))
        .flat_map(f32::to_le_bytes)
        .collect();
    Ok(Some(TensorProto {
        name: name.clone(),
        dims: q.shape().iter().map(|d| *d as i64).collect(),
        data_type: DataType::Float as i32,
        raw_data,
        ..Default::default()
    }))
}

/// Returns the head's fully connected layers, by their names in torchvision's state dict.
pub(super) fn head(graph: &GraphProto, architecture: Architecture) -> TractResult<Head> {
    let find = |name: String| {
        let tensor = graph.initializer.iter().find(|tensor| tensor.name == name);
        load(tensor.with_context(|| format!("it has no tensor {name}"))?)
    };
    let values =
        |tensor: &Tensor| TractResult::Ok(tensor.try_as_plain_ram()?.as_slice::<f32>()?.to_owned());
    let layers = architecture
        .head()
        .iter()
        .map(|layer| -> TractResult<Linear> {
            let weight = find(format!("{layer}.weight"))?;
            let bias = find(format!("{layer}.bias"))?;
            let [outputs, inputs] = *weight.shape() else {
                bail!("{layer}.weight is no matrix");
            };
            Ok(Linear::new(
                inputs,
                outputs,
                values(&weight)?,
                values(&bias)?,
            )?)
        });
    let head = Head::new(layers.collect::<TractResult<_>>()?)?;
    ensure!(
        head.inputs() == architecture.features(),
        "its head takes {} features where {architecture} has {}",
        head.inputs(),
        architecture.features()
    );
    Ok(head)
}

fn load(tensor: &TensorProto) -> TractResult<Tensor> {
    load_tensor(&MmapDataResolver, tensor, None)
        .with_context(|| format!("its tensor {} cannot be read", tensor.name))
}
