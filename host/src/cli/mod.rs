//! The commands of `plumbline`.

mod cohort;
mod device;
mod evaluate;
mod export;
mod model;
pub mod out;
mod pack;
mod predict;
mod progress;
mod statistics;
mod train;
mod verify;
mod weights;

use clap::{Parser, Subcommand};

/// Trains, measures and exports Plumbline's networks
#[derive(Parser)]
#[command(name = "plumbline", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make and inspect cohorts of films
    Cohort(cohort::CohortArgs),
    /// Import pretrained weights of other libraries
    Weights(weights::WeightsArgs),
    /// Train a network by a recipe
    Train(train::Args),
    /// Run a model on films
    Predict(predict::Args),
    /// Measure a model on a cohort's labelled films
    Evaluate(evaluate::Args),
    /// Export a run as a bundle for stations
    Export(export::Args),
    /// Add to a bundle the statistics of the films that its network knows
    Statistics(statistics::Args),
    /// Check that a bundle is whole
    Verify(verify::Args),
    /// Ask a station, and send it films
    Device(device::DeviceArgs),
}

/// Runs the command that the arguments name.
///
/// # Errors
/// One sentence saying what is wrong and what to do.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Cohort(args) => cohort::run(args),
        Command::Weights(args) => weights::run(args),
        Command::Train(args) => train::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Export(args) => export::run(args),
        Command::Statistics(args) => statistics::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Device(args) => device::run(args),
    }
}

/// An error with its causes in one sentence; causes that it names already are not said again.
pub fn sentence(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use anyhow::Context;

    use super::*;
    use crate::train::RecipeError;

    #[test]
    fn causes_are_said_once() {
        let named = RecipeError::Unreadable {
            path: "r.toml".into(),
            source: Error::from(ErrorKind::NotFound),
        };
        let text = sentence(&named.into());
        assert_eq!(text, "cannot read the recipe r.toml: entity not found");
        let chained: anyhow::Result<()> = Err(Error::from(ErrorKind::NotFound)).context("no film");
        assert_eq!(sentence(&chained.unwrap_err()), "no film: entity not found");
    }
}
