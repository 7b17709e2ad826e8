//! `plumbline verify`.

use std::path::PathBuf;

use plumbline_reader::{Bundle, BundleError, Gate};
use plumbline_shared::architecture::Architecture;

use super::out;

/// Arguments of `plumbline verify`.
#[derive(clap::Args)]
pub struct Args {
    /// The bundle's folder
    bundle: PathBuf,
}

/// Opens the bundle as a station does.
pub fn run(args: Args) -> anyhow::Result<()> {
    let manifest = match Bundle::open(&args.bundle) {
        Err(BundleError::Task {
            architecture: Architecture::Gate,
            ..
        }) => Gate::open(&args.bundle)?.manifest().clone(),
        bundle => bundle?.manifest().clone(),
    };
    out::line(format_args!(
        "{} is whole: {} {}, {}, {} files",
        args.bundle.display(),
        manifest.model,
        manifest.model_version,
        manifest.architecture,
        manifest.files.len()
    ))?;
    Ok(())
}
