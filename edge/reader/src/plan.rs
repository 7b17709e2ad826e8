//! The network of a bundle as a plan that tract runs.

use std::path::Path;
use std::sync::Arc;

use plumbline_shared::manifest::{Input, Manifest};
use plumbline_shared::preprocess;
use tract_onnx::pb::{
    GraphProto, ModelProto, ValueInfoProto, tensor_shape_proto::dimension, type_proto,
};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{TractErrorContext as _, ensure};

use crate::error::BundleError;
use crate::weights;

/// Name of the ONNX output that holds the logits: 1 x 1 or 1 x 2, of a gate 1 x 12.
pub const LOGITS: &str = "logits";
/// Name of the ONNX output that holds the last feature map, 1 x C x 8 x 8.
pub const FEATURES: &str = "features";

/// Side of the last feature map.
pub(super) const MAP_SIDE: usize = preprocess::SIDE / 32;

/// A network, ready to run. Threads may share it.
#[derive(Debug)]
pub(super) struct Plan {
    shape: [usize; 4],
    plan: Arc<TypedRunnableModel>,
}

/// What a network gives for one film.
pub(super) struct Outputs {
    pub logits: Vec<f32>,
    /// C x 8 x 8.
    pub features: Vec<f32>,
}

impl Outputs {
    /// The mean of each feature map.
    pub fn pooled(&self) -> Vec<f32> {
        let area = MAP_SIDE * MAP_SIDE;
        let maps = self.features.chunks_exact(area);
        maps.map(|map| map.iter().sum::<f32>() / area as f32)
            .collect()
    }
}

impl Plan {
    /// Makes the network `model` of the bundle in folder `bundle` ready to run; `look` takes what is
    /// needed of its graph, with weights in f32, and gives it beside the number of logits.
    ///
    /// # Errors
    /// [`BundleError::Model`].
    pub fn of<T>(
        bundle: &Path,
        manifest: &Manifest,
        model: &[u8],
        look: impl FnOnce(&GraphProto) -> TractResult<(T, usize)>,
    ) -> Result<(Self, T), BundleError> {
        load(manifest, model, look).map_err(|error| BundleError::Model {
            bundle: bundle.to_path_buf(),
            why: first_line(&error),
        })
    }

    /// Runs the network on one prepared film: `tensor` is 3 x 256 x 256.
    ///
    /// # Errors
    /// [`BundleError`] if the tensor has another size, or the network cannot be run.
    pub fn run(&self, tensor: &[f32]) -> Result<Outputs, BundleError> {
        let expected = self.shape.iter().product();
        if tensor.len() != expected {
            let given = tensor.len();
            return Err(BundleError::Tensor { given, expected });
        }
        self.outputs(tensor)
            .map_err(|error| BundleError::Run(first_line(&error)))
    }

    fn outputs(&self, tensor: &[f32]) -> TractResult<Outputs> {
        let input = Tensor::from_shape(&self.shape, tensor)?;
        let outputs = self.plan.run(tvec![input.into()])?;
        let values = |output: usize| -> TractResult<Vec<f32>> {
            let plain = outputs[output].try_as_plain_ram()?;
            Ok(plain.as_slice::<f32>()?.to_vec())
        };
        Ok(Outputs {
            logits: values(0)?,
            features: values(1)?,
        })
    }
}

/// Loads the network of `bytes` as a plan whose outputs are the logits and the features, in this
/// order.
fn load<T>(
    manifest: &Manifest,
    bytes: &[u8],
    look: impl FnOnce(&GraphProto) -> TractResult<(T, usize)>,
) -> TractResult<(Plan, T)> {
    let onnx = tract_onnx::onnx();
    let mut proto: ModelProto = onnx.proto_model_for_read(&mut &*bytes)?;
    let graph = proto.graph.as_mut().context("it holds no graph")?;
    weights::dequantise(graph)?;
    let (seen, logits) = look(graph)?;

    let input = input_shape(&manifest.input);
    let declared: Vec<_> = graph.input.iter().map(dimensions).collect();
    ensure!(
        declared == [Some(input.to_vec())],
        "its input is not one tensor of 1 x 3 x 256 x 256"
    );
    graph.output.sort_by_key(|output| {
        [LOGITS, FEATURES]
            .iter()
            .position(|name| *name == output.name)
    });
    let named = graph.output.iter().map(|output| &*output.name);
    ensure!(
        named.eq([LOGITS, FEATURES]),
        "its outputs are not called {LOGITS} and {FEATURES}"
    );

    let model = onnx
        .model_for_proto_model(&proto)?
        .with_input_fact(0, f32::fact(input).into())?
        .into_optimized()?;
    let channels = manifest.architecture.features();
    let expected: [&[usize]; 2] = [&[1, logits], &[1, channels, MAP_SIDE, MAP_SIDE]];
    for (output, expected) in expected.into_iter().enumerate() {
        let fact = model.output_fact(output)?;
        let shape = fact.shape.as_concrete();
        ensure!(
            shape == Some(expected) && fact.datum_type == f32::datum_type(),
            "its output is of shape {:?} where {expected:?} was expected",
            fact.shape
        );
    }
    let plan = Plan {
        shape: input,
        plan: model.into_runnable()?,
    };
    Ok((plan, seen))
}

fn input_shape(input: &Input) -> [usize; 4] {
    [1, input.channels, input.height, input.width]
}

/// Returns the fixed dimensions of a graph's input, if it has them.
fn dimensions(value: &ValueInfoProto) -> Option<Vec<usize>> {
    let type_proto::Value::TensorType(tensor) = value.r#type.as_ref()?.value.as_ref()?;
    let dims = &tensor.shape.as_ref()?.dim;
    dims.iter()
        .map(|dim| match dim.value {
            Some(dimension::Value::DimValue(value)) => usize::try_from(value).ok(),
            _ => None,
        })
        .collect()
}

/// Returns the first line of an error: tract's can have many, and the first names the cause.
fn first_line(error: &TractError) -> String {
    let text = format!("{error:#}");
    text.lines().next().unwrap_or_default().to_string()
}
