//! Pretrained weights of other libraries, imported.
//!
//! A file is opened as its first bytes say (PyTorch's, safetensors, HDF5), its naming and source
//! are told from its tensors' names and shapes, and only tensors that the network needs, of the
//! shapes it needs, are read. Peculiarities of the source go with the weights
//! ([`Description`](plumbline_nets::Description)); nothing is folded into them.

mod adopt;
mod container;
mod densenet;
mod efficientnet;
mod error;
mod hdf5;
mod import;
mod imported;
mod names;
mod number;
mod pickle;
mod place;
mod safetensors;
mod source;
mod torch;

pub use error::WeightsImportError;
pub use import::import;
pub use imported::Imported;
pub use source::Source;
