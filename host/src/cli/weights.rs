//! `plumbline weights`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use plumbline_shared::manifest::Architecture;

use crate::nets::{Description, Head};
use crate::weights::{Source, import};

/// Arguments of `plumbline weights`.
#[derive(clap::Args)]
pub struct WeightsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Import a file of pretrained weights: PyTorch's (.pth, .pt, .tar), safetensors, or Keras'
    /// (.h5). Pickles are read as data and never executed
    Import(ImportArgs),
}

/// Arguments of `plumbline weights import`.
#[derive(clap::Args)]
struct ImportArgs {
    /// The file
    file: PathBuf,
    /// The network: efficientnet-b0 or densenet121
    #[arg(long)]
    arch: Architecture,
    /// Whose weights they are, where the tensors' names do not tell
    #[arg(long, value_enum)]
    source: Option<Source>,
    /// The new file, for `train --init` and `predict --weights`
    #[arg(long, value_name = "W.safetensors")]
    out: PathBuf,
}

pub fn run(args: WeightsArgs) -> anyhow::Result<()> {
    let Command::Import(args) = args.command;
    let imported = import(&args.file, args.arch, args.source)
        .with_context(|| format!("cannot import {}", args.file.display()))?;
    imported
        .save(&args.out)
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    println!(
        "{} holds {}",
        args.out.display(),
        summary(args.arch, &imported.description)
    );
    if let Some(assumed) = imported.assumed {
        println!("{}: {assumed}", args.file.display());
    }
    Ok(())
}

/// What weights are, in one line.
fn summary(architecture: Architecture, description: &Description) -> String {
    let outputs = match description.head {
        Head::Study => "the study's head".to_owned(),
        Head::Linear { outputs } => format!("{outputs} outputs"),
    };
    let (source, variant) = (&description.source, description.variant);
    format!("{architecture} of {source}: {outputs}, {variant}")
}
