//! Model bundles: a folder of `model.onnx`, `manifest.json` and `MODEL_CARD.md`, opened, verified
//! and run by tract.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use plumbline_shared::decision::{Decision, DecisionError};
use plumbline_shared::gradcam::{Cam, Head, grad_cam};
use plumbline_shared::manifest::{Input, Manifest, ManifestError};
use plumbline_shared::preprocess;
use tract_onnx::pb::{ModelProto, ValueInfoProto, tensor_shape_proto::dimension, type_proto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{TractErrorContext as _, ensure};

use crate::weights;

/// The network's file in a bundle.
pub const MODEL: &str = "model.onnx";
/// The manifest's file in a bundle.
pub const MANIFEST: &str = "manifest.json";
/// The text for people in a bundle.
pub const MODEL_CARD: &str = "MODEL_CARD.md";

/// Name of the ONNX output that holds the logits, 1 x 1 or 1 x 2.
pub const LOGITS: &str = "logits";
/// Name of the ONNX output that holds the last feature map, 1 x C x 8 x 8.
pub const FEATURES: &str = "features";

/// Side of the last feature map.
const CAM_SIDE: usize = preprocess::SIDE / 32;

/// An error of opening a bundle, or of reading a film with one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A file is missing or cannot be read.
    #[error("{} cannot be read ({error}): give the folder of a whole bundle, or install it again", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The manifest is refused, or a file does not match it.
    #[error("bundle {}: {error}", bundle.display())]
    Manifest {
        /// The bundle's folder.
        bundle: PathBuf,
        /// The manifest's error.
        error: ManifestError,
    },
    /// The network was trained with another preprocessing.
    #[error("bundle {} was trained with another preprocessing of films than this program's: install a bundle exported by the same version", bundle.display())]
    Preprocessing {
        /// The bundle's folder.
        bundle: PathBuf,
    },
    /// tract cannot run the network, or it has a wrong shape.
    #[error("{MODEL} of bundle {} cannot be used ({why}): install the bundle again, or one exported by the same version", bundle.display())]
    Model {
        /// The bundle's folder.
        bundle: PathBuf,
        /// The reason.
        why: String,
    },
    /// The tensor has another size than the network takes.
    #[error("the network takes {expected} values and was given {given}: prepare the film first")]
    Tensor {
        /// Number of values given.
        given: usize,
        /// Number of values that the network takes.
        expected: usize,
    },
    /// The network could not be run.
    #[error("the network cannot be run on this film ({0}): install the bundle again")]
    Run(String),
    /// The network's answer is no decision.
    #[error(transparent)]
    Decision(#[from] DecisionError),
}

/// A bundle, ready to read films. Threads may share it.
///
/// ```no_run
/// use std::path::Path;
///
/// use plumbline_reader::Bundle;
/// use plumbline_shared::film::Film;
/// use plumbline_shared::preprocess::prepare;
///
/// let bundle = Bundle::open(Path::new("models/chexnet"))?;
/// let film = Film::new(256, 256, vec![0; 256 * 256])?;
/// let reading = bundle.read(&prepare(&film).tensor())?;
/// println!("probability {}", reading.decision.probability);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Bundle {
    manifest: Manifest,
    head: Head,
    plan: Arc<TypedRunnableModel>,
}

/// The network's answer for one film.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The logits as the network gives them: one, or two of which index 1 is positive.
    pub logits: Vec<f32>,
    /// The decision at the bundle's threshold.
    pub decision: Decision,
    /// The Grad-CAM map, 8 x 8.
    pub cam: Cam,
}

impl Bundle {
    /// Opens the bundle in folder `bundle`: checks every file against the manifest and the
    /// preprocessing against this program's, and makes the network ready to run.
    ///
    /// # Errors
    ///
    /// [`BundleError`] if a file is missing or was changed, the bundle was made for another
    /// preprocessing or by another version, or the network is not what the manifest says.
    pub fn open(bundle: &Path) -> Result<Self, BundleError> {
        let read = |name: &str| {
            let path = bundle.join(name);
            fs::read(&path).map_err(|error| BundleError::File { path, error })
        };
        let bad = |error| BundleError::Manifest {
            bundle: bundle.to_path_buf(),
            error,
        };
        let manifest = Manifest::parse(&read(MANIFEST)?).map_err(bad)?;
        if !preprocess::is_compatible(&manifest.preprocessing)
            || manifest.input != Input::expected()
        {
            let bundle = bundle.to_path_buf();
            return Err(BundleError::Preprocessing { bundle });
        }
        let model = read(MODEL)?;
        manifest.verify(MODEL, &model).map_err(bad)?;
        for name in manifest.files.keys().filter(|name| *name != MODEL) {
            manifest.verify(name, &read(name)?).map_err(bad)?;
        }
        let (head, plan) = load(&manifest, &model).map_err(|error| BundleError::Model {
            bundle: bundle.to_path_buf(),
            why: first_line(&error),
        })?;
        Ok(Self {
            manifest,
            head,
            plan,
        })
    }

    /// Returns the bundle's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Reads one prepared film: `tensor` is 3 x 256 x 256.
    ///
    /// # Errors
    ///
    /// [`BundleError`] if the tensor has another size, or the network cannot be run or answers
    /// with something that is not a number.
    pub fn read(&self, tensor: &[f32]) -> Result<Reading, BundleError> {
        let shape = input_shape(&self.manifest.input);
        let expected = shape.iter().product();
        if tensor.len() != expected {
            let given = tensor.len();
            return Err(BundleError::Tensor { given, expected });
        }
        let (logits, cam) = self
            .run(&shape, tensor)
            .map_err(|error| BundleError::Run(first_line(&error)))?;
        let decision = Decision::from_logits(&logits, self.manifest.threshold)?;
        Ok(Reading {
            logits,
            decision,
            cam,
        })
    }

    fn run(&self, shape: &[usize], tensor: &[f32]) -> TractResult<(Vec<f32>, Cam)> {
        let input = Tensor::from_shape(shape, tensor)?;
        let outputs = self.plan.run(tvec![input.into()])?;
        let logits = outputs[0].try_as_plain_ram()?.as_slice::<f32>()?.to_vec();
        let features = outputs[1].try_as_plain_ram()?;
        let cam = grad_cam(&self.head, features.as_slice::<f32>()?, CAM_SIDE, CAM_SIDE);
        Ok((logits, cam))
    }
}

/// Loads the network of `bytes`: its head's weights, and a plan whose outputs are the logits and the
/// features, in this order.
fn load(manifest: &Manifest, bytes: &[u8]) -> TractResult<(Head, Arc<TypedRunnableModel>)> {
    let onnx = tract_onnx::onnx();
    let mut proto: ModelProto = onnx.proto_model_for_read(&mut &*bytes)?;
    let graph = proto.graph.as_mut().context("it holds no graph")?;
    weights::dequantise(graph)?;
    let head = weights::head(graph, manifest.architecture)?;

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
    let expected: [&[usize]; 2] = [&[1, head.outputs()], &[1, channels, CAM_SIDE, CAM_SIDE]];
    for (output, expected) in expected.into_iter().enumerate() {
        let fact = model.output_fact(output)?;
        let shape = fact.shape.as_concrete();
        ensure!(
            shape == Some(expected) && fact.datum_type == f32::datum_type(),
            "its output is of shape {:?} where {expected:?} was expected",
            fact.shape
        );
    }
    Ok((head, model.into_runnable()?))
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
