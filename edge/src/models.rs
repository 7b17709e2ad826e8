//! Where the shipped bundles are.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The environment variable that names the folder of bundles.
pub const VARIABLE: &str = "PLUMBLINE_MODELS";

/// The folder of the shipped bundle `name`.
///
/// If [`VARIABLE`] is set, only there. Else the first that exists of `models` in the current
/// folder, in one of the folders above the program, and in the source tree it was built from.
///
/// # Errors
///
/// If there is no such bundle.
pub fn shipped(name: &str) -> Result<PathBuf> {
    if let Some(models) = env::var_os(VARIABLE) {
        let bundle = Path::new(&models).join(name);
        if !bundle.is_dir() {
            bail!(
                "there is no bundle {}: correct {VARIABLE}, or give one with --bundle",
                bundle.display()
            );
        }
        return Ok(bundle);
    }
    let program = env::current_exe().unwrap_or_default();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let bundle = [Path::new("")]
        .into_iter()
        .chain(program.ancestors().skip(1))
        .chain(source)
        .map(|folder| folder.join("models").join(name))
        .find(|bundle| bundle.is_dir());
    match bundle {
        Some(bundle) => Ok(bundle),
        None => bail!(
            "the shipped bundle {name} was not found: set {VARIABLE} to the folder of bundles, or give one with --bundle"
        ),
    }
}
