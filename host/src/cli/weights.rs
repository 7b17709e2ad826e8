//! `plumbline weights`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use plumbline_shared::architecture::Architecture;

use super::out;
use crate::weights::{Source, import};
use plumbline_nets::{Description, Head};

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
    /// Source of the weights, where the tensors' names do not tell
    #[arg(long, value_enum)]
    source: Option<Source>,
    /// Classes that the outputs answer for, where the file does not tell: names with commas; `scoliosis` of
    /// a network that was trained for it, by one output or by a negative and a positive one
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    classes: Vec<String>,
    /// The new file, for `train --init` and `predict --weights`
    #[arg(long, value_name = "W.safetensors")]
    out: PathBuf,
}

pub fn run(args: WeightsArgs) -> anyhow::Result<()> {
    let Command::Import(args) = args.command;
    let mut imported = import(&args.file, args.arch, args.source)
        .with_context(|| format!("cannot import {}", args.file.display()))?;
    if !args.classes.is_empty() {
        imported
            .set_classes(args.classes)
            .with_context(|| format!("cannot import {}", args.file.display()))?;
    }
    imported
        .save(&args.out)
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    out::line(format_args!(
        "{} holds {}",
        args.out.display(),
        summary(args.arch, &imported.description)
    ))?;
    if let Some(assumed) = imported.assumed {
        out::line(format_args!("{}: {assumed}", args.file.display()))?;
    }
    Ok(())
}

/// A description of weights in one line.
fn summary(architecture: Architecture, description: &Description) -> String {
    let outputs = match (description.reads_scoliosis(), description.head) {
        (true, _) => "reads scoliosis".to_owned(),
        (false, Head::Study) => "a head of the study's shape, for what is not said".to_owned(),
        (false, Head::Linear { outputs }) => format!("{outputs} outputs"),
    };
    let (source, variant) = (&description.source, description.variant);
    format!("{architecture} of {source}: {outputs}, {variant}")
}
