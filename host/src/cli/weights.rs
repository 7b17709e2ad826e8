//! `plumbline weights`.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
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
    source: Option<SourceArg>,
    /// Classes that the outputs answer for, where the file does not tell: names with commas; `scoliosis` of
    /// a network that was trained for it, by one output or by a negative and a positive one
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    classes: Vec<String>,
    /// The new file, for `train --init` and `predict --weights`
    #[arg(long, value_name = "W.safetensors")]
    out: PathBuf,
}

/// Values of `--source`.
#[derive(Clone, Copy, ValueEnum)]
enum SourceArg {
    /// torchvision's DenseNet121 (names of before or after 2018, also timm's) or EfficientNet-B0
    Torchvision,
    /// arnoweng/CheXNet: DenseNet121, 14 findings of ChestX-ray14
    Chexnet,
    /// torchxrayvision's DenseNet121: one channel from -1024 to 1024, 18 findings
    Torchxrayvision,
    /// brucechou1983's CheXNet for Keras: DenseNet121 without the last ReLU, 14 findings
    KerasChexnet,
    /// keras.applications' DenseNet121
    Keras,
    /// lukemelas' EfficientNet-B0 (efficientnet-pytorch): TensorFlow's padding and epsilon
    Lukemelas,
    /// The same trained with AdvProp: channels from -1 to 1
    LukemelasAdvprop,
    /// timm's efficientnet_b0: PyTorch's padding and epsilon
    Timm,
    /// timm's tf_efficientnet_b0: TensorFlow's padding and epsilon
    TimmTf,
    /// The same trained with AdvProp: channels from -1 to 1
    TimmTfAdvprop,
}

impl From<SourceArg> for Source {
    fn from(source: SourceArg) -> Self {
        match source {
            SourceArg::Torchvision => Self::Torchvision,
            SourceArg::Chexnet => Self::Chexnet,
            SourceArg::Torchxrayvision => Self::Torchxrayvision,
            SourceArg::KerasChexnet => Self::KerasChexnet,
            SourceArg::Keras => Self::Keras,
            SourceArg::Lukemelas => Self::Lukemelas,
            SourceArg::LukemelasAdvprop => Self::LukemelasAdvprop,
            SourceArg::Timm => Self::Timm,
            SourceArg::TimmTf => Self::TimmTf,
            SourceArg::TimmTfAdvprop => Self::TimmTfAdvprop,
        }
    }
}

pub fn run(args: WeightsArgs) -> anyhow::Result<()> {
    let Command::Import(args) = args.command;
    let mut imported = import(&args.file, args.arch, args.source.map(Source::from))
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
