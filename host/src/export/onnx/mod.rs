//! The ONNX graph of a network (ONNX operator set 17, which ONNX Runtime and tract read).

mod densenet121;
mod efficientnet_b0;
mod gate;
mod graph;

use plumbline_reader::{FEATURES, LOGITS};
use plumbline_shared::architecture::Architecture;
use plumbline_shared::manifest::Input;
use prost::Message;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{
    GraphProto, ModelProto, OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_shape_proto, type_proto,
};

use super::error::ExportError;
use super::weights::{StoragePrecision, Weights};
use graph::Graph;
use plumbline_nets::{Head, Variant};

const INPUT: &str = "input";

/// The network `architecture`, computed as `variant` says, with `weights` as an ONNX file: input
/// `input` of 1 x 3 x 256 x 256, outputs `logits` (1 x 1 or 1 x 2, of the gate 1 x 12) and `features`
/// (1 x C x 8 x 8).
///
/// # Errors
///
/// [`ExportError`] unless `weights` are exactly the architecture's, in name and shape, and finite.
/// `num_batches_tracked` is overlooked.
pub fn onnx(
    architecture: Architecture,
    variant: Variant,
    weights: &Weights,
    precision: StoragePrecision,
) -> Result<Vec<u8>, ExportError> {
    let mut graph = Graph::new(weights, precision, variant);
    let x = graph.adapt(INPUT, variant.input);
    let features = match architecture {
        Architecture::Densenet121 => densenet121::features(&mut graph, &x, variant)?,
        Architecture::EfficientnetB0 => efficientnet_b0::features(&mut graph, &x, variant)?,
        Architecture::Gate => gate::features(&mut graph, &x, variant)?,
    };
    graph.identity(&features, FEATURES);
    let layers = Head::Study.layers(architecture);
    graph.head(&features, &layers, LOGITS)?;
    let logits = layers.last().map_or(0, |(_, _, outputs)| *outputs);
    let (node, initializer) = graph.finish()?;

    let side = Input::expected().height;
    let model = ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: 17,
        }],
        producer_name: "plumbline".to_string(),
        producer_version: env!("CARGO_PKG_VERSION").to_string(),
        graph: Some(GraphProto {
            name: architecture.name().to_string(),
            input: vec![value(INPUT, &[1, 3, side, side])],
            output: vec![
                value(LOGITS, &[1, logits]),
                value(
                    FEATURES,
                    &[1, architecture.features(), side / 32, side / 32],
                ),
            ],
            node,
            initializer,
            ..Default::default()
        }),
        ..Default::default()
    };
    Ok(model.encode_to_vec())
}

/// Name and shape of an f32 input or output.
fn value(name: &str, shape: &[usize]) -> ValueInfoProto {
    let dim = shape.iter().map(|size| tensor_shape_proto::Dimension {
        value: Some(tensor_shape_proto::dimension::Value::DimValue(*size as i64)),
        ..Default::default()
    });
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: dim.collect() }),
    };
    ValueInfoProto {
        name: name.to_string(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..Default::default()
        }),
        ..Default::default()
    }
}
