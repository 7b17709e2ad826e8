//! Importing: the file opened by its first bytes.

use std::path::Path;

use plumbline_shared::architecture::Architecture;
use plumbline_shared::bounded::{self, BoundedError};

use super::adopt::adopt;
use super::error::{LARGEST, WeightsImportError};
use super::hdf5::Hdf5File;
use super::imported::Imported;
use super::safetensors::SafetensorsFile;
use super::source::Source;
use super::torch::{TorchFile, is_legacy};

/// Reads the weights of another library; `source` tells their source where the file does not.
///
/// The description's classes are those that the source names; without them the weights answer for
/// nothing that is known, however many outputs there are ([`Imported::set_classes`]).
///
/// # Errors
/// If the file cannot be read, or its tensors are not exactly the architecture's.
///
/// ```
/// use plumbline_host::weights::{WeightsImportError, import};
/// use plumbline_shared::architecture::Architecture;
///
/// let file = std::env::temp_dir().join(format!("{}.pth", std::process::id()));
/// std::fs::write(&file, "no weights")?;
/// let refused = import(&file, Architecture::Densenet121, None);
/// assert!(matches!(refused, Err(WeightsImportError::Format)));
/// # std::fs::remove_file(&file)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn import(
    path: &Path,
    architecture: Architecture,
    source: Option<Source>,
) -> Result<Imported, WeightsImportError> {
    let bytes = bounded::read(path, LARGEST).map_err(|error| match error {
        BoundedError::Unreadable(error) => WeightsImportError::File(error),
        BoundedError::TooLong(_) => WeightsImportError::TooLarge,
        _ => WeightsImportError::Format,
    })?;
    if bytes.starts_with(b"\x89HDF\r\n\x1a\n") {
        return adopt(&Hdf5File::open(bytes)?, architecture, source);
    }
    if bytes.starts_with(b"PK\x03\x04") {
        adopt(&TorchFile::open_zip(&bytes)?, architecture, source)
    } else if is_legacy(&bytes) {
        adopt(&TorchFile::open_legacy(&bytes)?, architecture, source)
    } else if bytes.get(8) == Some(&b'{') {
        adopt(&SafetensorsFile::open(&bytes)?, architecture, source)
    } else {
        Err(WeightsImportError::Format)
    }
}
