//! The sizes of feature maps.

use candle_core::{Result, bail};

/// Films, channels, height and width of maps for `operation`.
///
/// # Errors
/// If the tensor is not 4-d, or has no elements.
pub fn map_sizes(dims: &[usize], operation: &str) -> Result<[usize; 4]> {
    match dims {
        &[films, channels, height, width] if !dims.contains(&0) => {
            Ok([films, channels, height, width])
        }
        [_, _, _, _] => {
            bail!("{operation} was given maps of {dims:?}, which are empty; give at least one film")
        }
        other => bail!("{operation} needs a 4-d tensor, got {other:?}"),
    }
}
