//! The folder of the shipped bundles.

use std::env;
use std::path::{Path, PathBuf};

/// The environment variable that names the folder of bundles.
pub const VARIABLE: &str = "PLUMBLINE_MODELS";

/// The bundles of an installation by the system's packages.
const SYSTEM: &str = "/usr/share/plumbline/models";

/// The source tree that this program was built from.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// An error of looking for a shipped bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelsError {
    /// The folder that [`VARIABLE`] names has no such bundle.
    #[error("there is no bundle {}: correct {VARIABLE}, or give one with --bundle", bundle.display())]
    NotThere {
        /// The bundle's folder.
        bundle: PathBuf,
    },
    /// No folder of shipped bundles has such a bundle.
    #[error(
        "the shipped bundle {name} was not found: set {VARIABLE} to the folder of bundles, or give \
         one with --bundle"
    )]
    NotFound {
        /// The bundle's name.
        name: String,
    },
}

/// Returns the folder of the bundle that films are read with: `given`, else the shipped CheXNet.
///
/// # Errors
/// If none is given, and CheXNet is not installed.
pub fn chosen(given: Option<&Path>) -> Result<PathBuf, ModelsError> {
    match given {
        Some(folder) => Ok(folder.to_path_buf()),
        None => shipped("chexnet"),
    }
}

/// Returns the folder of the shipped bundle `name`.
///
/// If [`VARIABLE`] is set, it is looked for only there. Else it is the first that exists of
/// `PREFIX/share/plumbline/models` where the program is `PREFIX/bin/plumbline-edge`,
/// `/usr/share/plumbline/models`, and the `models` of the source tree that the program was built
/// from. Never in the current folder, nor in others above the program: whoever can write there
/// must not choose the network.
///
/// # Errors
/// If there is no such bundle.
pub fn shipped(name: &str) -> Result<PathBuf, ModelsError> {
    if let Some(models) = env::var_os(VARIABLE) {
        let bundle = Path::new(&models).join(name);
        return match bundle.is_dir() {
            true => Ok(bundle),
            false => Err(ModelsError::NotThere { bundle }),
        };
    }
    let program = env::current_exe().unwrap_or_default();
    (folders(&program).map(|models| models.join(name)))
        .find(|bundle| bundle.is_dir())
        .ok_or_else(|| ModelsError::NotFound { name: name.into() })
}

/// Returns the folders of shipped bundles for the executable `program`, in order of preference.
fn folders(program: &Path) -> impl Iterator<Item = PathBuf> {
    let folder = program.parent().filter(|folder| folder.ends_with("bin"));
    let prefix = folder.and_then(Path::parent);
    let installed = prefix.map(|prefix| prefix.join("share/plumbline/models"));
    let source = Path::new(SOURCE);
    let built = source.join("Cargo.toml").is_file();
    (installed.into_iter())
        .chain([PathBuf::from(SYSTEM)])
        .chain(built.then(|| source.join("models")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_are_looked_for_where_the_program_was_installed_or_built() {
        let folders = |program: &str| -> Vec<PathBuf> { folders(Path::new(program)).collect() };
        let built = Path::new(SOURCE).join("models");
        let system = PathBuf::from(SYSTEM);
        let installed = PathBuf::from("/opt/plumbline/share/plumbline/models");
        assert_eq!(
            folders("/opt/plumbline/bin/plumbline-edge"),
            [installed, system.clone(), built.clone()]
        );
        for program in ["/home/a/target/debug/plumbline-edge", "plumbline-edge", ""] {
            assert_eq!(folders(program), [system.clone(), built.clone()]);
        }
    }
}
