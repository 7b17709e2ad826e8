//! `plumbline verify`.

use std::path::PathBuf;

use plumbline_reader::Bundle;

use super::out;

/// Arguments of `plumbline verify`.
#[derive(clap::Args)]
pub struct Args {
    /// The bundle's folder
    bundle: PathBuf,
}

/// Opens the bundle as a station does.
pub fn run(args: Args) -> anyhow::Result<()> {
    let bundle = Bundle::open(&args.bundle)?;
    let manifest = bundle.manifest();
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
