//! Errors of bundles.

use std::io;
use std::path::PathBuf;

use plumbline_shared::architecture::Architecture;
use plumbline_shared::decision::DecisionError;
use plumbline_shared::manifest::ManifestError;

use crate::contents::MODEL;

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
    /// The network reads no films, or is not the gate's.
    #[error("bundle {} holds a network of architecture {architecture}, which has another task: give another bundle", bundle.display())]
    Task {
        /// The bundle's folder.
        bundle: PathBuf,
        /// The network.
        architecture: Architecture,
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
