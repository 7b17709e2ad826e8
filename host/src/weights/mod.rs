//! Pretrained weights of other libraries, made into this program's.
//!
//! A file is opened as what its first bytes say (PyTorch's, safetensors, HDF5), its naming and
//! source are told from its tensors' names and shapes, and only tensors that the network needs, of
//! the shapes it needs, are read. What the source does its own way goes with the weights
//! ([`Description`]); nothing is folded into them.

mod densenet;
mod efficientnet;
mod hdf5;
mod names;
mod pickle;
mod safetensors;
mod source;
mod torch;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use candle_core::{Device, Tensor};
use half::{bf16, f16};
use plumbline_shared::architecture::Architecture;
use plumbline_shared::durable::replace_file;

use names::{Layout, Naming, Place};
use plumbline_nets::{
    Description, Head, Network, Parameters, ShapeMismatch, Shapes, shortened, weights_to_bytes,
};

pub use source::Source;

/// Why weights cannot be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file could not be read, or the new one not be written.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// A file that no weights need.
    #[error("it is larger than {} GiB, which no weights of these networks are", LARGEST >> 30)]
    TooLarge,
    /// A file of another kind.
    #[error(
        "it is none of the files that weights come in; give PyTorch's (.pth, .pt, .tar), \
         safetensors or HDF5 (.h5)"
    )]
    Format,
    /// A file that PyTorch does not write on ordinary machines.
    #[error("{0}; save the weights again with PyTorch")]
    Unsupported(String),
    /// A file that is not whole.
    #[error("{0}; fetch the file again")]
    Damaged(String),
    /// No naming of the architecture.
    #[error(
        "it has no names of {architecture} that any known source gives; it has {}; give the \
         weights of this architecture",
        if names.is_empty() { "none of a tensor".to_owned() } else { shortened(names) }
    )]
    Unrecognised {
        /// What was asked for.
        architecture: Architecture,
        /// The file's names.
        names: Vec<String>,
    },
    /// A source that names its tensors otherwise.
    #[error(
        "its tensors are named as {}'s, not as {}'s; leave out --source, or give the right one",
        found.name(), given.name()
    )]
    OtherSource {
        /// The source that was given.
        given: Source,
        /// The source that the names tell.
        found: Source,
    },
    /// Tensors that the network needs otherwise.
    #[error("as weights of {} it does not fit {architecture}: {mismatch}", origin.name())]
    ShapeMismatch {
        /// Whose weights they were taken for.
        origin: Source,
        /// The network.
        architecture: Architecture,
        /// What does not fit, by the file's names.
        mismatch: Box<ShapeMismatch>,
    },
    /// Names that are not one for each output.
    #[error("it has {outputs} outputs and was given {given} classes; give a name for each output")]
    Classes {
        /// Its outputs, of which a negative and a positive one answer for one class.
        outputs: usize,
        /// Names given.
        given: usize,
    },
    /// Infinities, or what is not a number.
    #[error("its tensor {0} holds values that are not finite numbers")]
    NotFinite(String),
    /// Candle's.
    #[error(transparent)]
    Network(#[from] candle_core::Error),
}

/// A file of tensors of floating-point numbers, of which only names and shapes have been read.
trait Container {
    fn shapes(&self) -> &Shapes;
    /// The values of one of its tensors, row-major.
    fn read(&self, name: &str) -> Result<Vec<f32>, ImportError>;
}

/// How a floating-point number is stored, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    F16,
    Bf16,
    F32,
    F64,
}

impl Number {
    const fn size(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// The number that the first bytes hold; zero if they are too few.
    fn value(self, bytes: &[u8]) -> f32 {
        fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
            bytes.first_chunk().copied().unwrap_or([0; N])
        }
        match self {
            Self::F16 => f16::from_le_bytes(first(bytes)).to_f32(),
            Self::Bf16 => bf16::from_le_bytes(first(bytes)).to_f32(),
            Self::F32 => f32::from_le_bytes(first(bytes)),
            Self::F64 => f64::from_le_bytes(first(bytes)) as f32,
        }
    }
}

/// Bytes of a file at most.
const LARGEST: u64 = 2 << 30;

/// Weights made into this program's.
pub struct Imported {
    /// What they are.
    pub description: Description,
    /// What was assumed of their source, where the file does not tell.
    pub assumed: Option<&'static str>,
    tensors: HashMap<String, Tensor>,
}

/// Reads the weights of another library; `source` says whose they are where the file does not.
///
/// # Errors
/// If the file cannot be read, or its tensors are not exactly the architecture's.
pub fn import(
    path: &Path,
    architecture: Architecture,
    source: Option<Source>,
) -> Result<Imported, ImportError> {
    let bytes = read_bounded(path)?;
    if bytes.starts_with(b"\x89HDF\r\n\x1a\n") {
        return adopt(&hdf5::Hdf5File::open(bytes)?, architecture, source);
    }
    if bytes.starts_with(b"PK\x03\x04") {
        adopt(&torch::TorchFile::open_zip(&bytes)?, architecture, source)
    } else if torch::is_legacy(&bytes) {
        adopt(
            &torch::TorchFile::open_legacy(&bytes)?,
            architecture,
            source,
        )
    } else if bytes.get(8) == Some(&b'{') {
        adopt(
            &safetensors::SafetensorsFile::open(&bytes)?,
            architecture,
            source,
        )
    } else {
        Err(ImportError::Format)
    }
}

/// A plain file's bytes, unless they are more than any weights have.
fn read_bounded(path: &Path) -> Result<Vec<u8>, ImportError> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(ImportError::Format);
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LARGEST {
        true => Err(ImportError::TooLarge),
        false => Ok(bytes),
    }
}

/// Whether a tensor has nothing to do with the network's outputs: an optimiser's state, or the
/// thresholds that torchxrayvision scales probabilities by.
fn is_beside_the_network(name: &str) -> bool {
    name.starts_with("optimizer_weights/") || name.ends_with("op_threshs")
}

/// Finds the network's tensors in `container` and reads them.
fn adopt(
    container: &dyn Container,
    architecture: Architecture,
    source: Option<Source>,
) -> Result<Imported, ImportError> {
    let names = container.shapes().keys();
    let names = names.filter(|name| !name.ends_with("num_batches_tracked"));
    let Some((naming, prefix)) = Naming::recognise(architecture, names.clone()) else {
        return Err(ImportError::Unrecognised {
            architecture,
            names: names.cloned().collect(),
        });
    };
    let mut raw = BTreeMap::new();
    for name in names.filter(|name| !is_beside_the_network(name)) {
        let bare = naming.bare(name, prefix);
        // Of two names that come to the same the second is one too many.
        let taken = raw.contains_key(&bare);
        raw.insert(if taken { name.clone() } else { bare }, name);
    }
    let shapes = raw.iter();
    let shapes: Shapes = shapes
        .map(|(bare, name)| (bare.clone(), container.shapes()[*name].clone()))
        .collect();
    let (head, classifier) = naming.head(architecture, &shapes);
    let outputs = head
        .layers(architecture)
        .last()
        .map_or(0, |(.., outputs)| *outputs);
    let (found, assumed) = Source::of(architecture, naming, &shapes, outputs);
    let (source, assumed) = match source {
        Some(given) if !given.has(architecture, naming) => {
            return Err(ImportError::OtherSource { given, found });
        }
        Some(given) => (given, None),
        None => (found, assumed),
    };
    let variant = source.variant();

    let mut parameters = Parameters::blank(&Device::Cpu);
    Network::build(architecture, variant, head, &mut parameters)?;
    let places: Vec<(String, Vec<usize>, Place)> = parameters
        .tensors()
        .into_iter()
        .map(|(ours, tensor)| {
            let place = naming.place(architecture, classifier, &ours);
            (ours, tensor.dims().to_vec(), place)
        })
        .collect();
    let expected = places.iter();
    let expected: Shapes = expected
        .map(|(_, shape, place)| (place.name.clone(), place.layout.shape(shape)))
        .collect();
    if let Some(mismatch) = ShapeMismatch::between(&shapes, &expected) {
        return Err(ImportError::ShapeMismatch {
            origin: source,
            architecture,
            mismatch: Box::new(mismatch),
        });
    }
    let mut tensors = HashMap::new();
    for (ours, _, place) in places {
        let values = container.read(raw[&place.name])?;
        if !values.iter().all(|value| value.is_finite()) {
            return Err(ImportError::NotFinite(place.name));
        }
        let tensor = Tensor::from_vec(values, shapes[&place.name].as_slice(), &Device::Cpu)?;
        let tensor = match (place.layout, tensor.rank()) {
            (Layout::OutputsLast, 4) => tensor.permute((3, 2, 0, 1))?.contiguous()?,
            (Layout::OutputsLast, 2) => tensor.t()?.contiguous()?,
            _ => tensor,
        };
        tensors.insert(ours, tensor);
    }
    let classes = source.classes(outputs);
    Ok(Imported {
        description: Description {
            architecture: Some(architecture),
            source: source.name().to_owned(),
            variant,
            head,
            classes,
        },
        assumed,
        tensors,
    })
}

impl Imported {
    /// Says what the outputs answer for.
    ///
    /// # Errors
    /// If there is not one class for each output; a negative and a positive output of the study's
    /// head are for one.
    pub fn set_classes(&mut self, classes: Vec<String>) -> Result<(), ImportError> {
        let outputs = match self.description.head {
            Head::Study => 1,
            Head::Linear { outputs } => outputs,
        };
        if classes.len() != outputs {
            return Err(ImportError::Classes {
                outputs,
                given: classes.len(),
            });
        }
        self.description.classes = classes;
        Ok(())
    }

    /// Writes the weights to a safetensors file, whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ImportError> {
        let bytes = weights_to_bytes(&self.tensors, &self.description)?;
        Ok(replace_file(path, &bytes)?)
    }
}
