//! `plumbline cohort`.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::pack::{pack, tell};
use super::progress::bar;
use crate::cohort::Cohort;
use crate::cohort::cache::PACKED;
use crate::cohort::phantom::{self, Format, PhantomOptions};

/// Arguments of `plumbline cohort`.
#[derive(Debug, Args)]
pub struct CohortArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Draw phantom chest films with exact Cobb angles and spine masks
    Phantom {
        /// Number of films
        #[arg(long)]
        films: u64,
        /// Share of films with scoliosis (Cobb angle of 10 degrees or more)
        #[arg(long)]
        prevalence: f64,
        /// Seed: the same seed gives the same bytes
        #[arg(long)]
        seed: u64,
        /// Folder to write, new or empty
        #[arg(long)]
        out: PathBuf,
        /// File format of the films
        #[arg(long, value_enum, default_value = "png")]
        format: Format,
        /// Pixels along each edge of a film
        #[arg(long, default_value_t = 1024)]
        side: u32,
    },
    /// Pack a cohort's films as the networks see them, which `train`, `evaluate` and `export` else
    /// do when they first need them
    Pack {
        /// The cohort's folder
        folder: PathBuf,
    },
    /// Print what a cohort holds, and films that look alike in different splits
    Show {
        /// The cohort's folder
        folder: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
///
/// One sentence that says what failed and what to do.
pub fn run(args: CohortArgs) -> anyhow::Result<()> {
    match args.command {
        Command::Phantom {
            films,
            prevalence,
            seed,
            out,
            format,
            side,
        } => {
            let options = PhantomOptions {
                films,
                prevalence,
                seed,
                out,
                format,
                side,
            };
            let bar = bar(films, "films");
            let started = std::time::Instant::now();
            phantom::generate(&options, |more| bar.inc(more))?;
            bar.finish_and_clear();
            let seconds = started.elapsed().as_secs_f64();
            let rate = films as f64 / seconds;
            eprintln!(
                "{films} films in {seconds:.1} s ({rate:.1} a second) in {}",
                options.out.display()
            );
        }
        Command::Pack { folder } => {
            let cohort = Cohort::open(&folder)?;
            let packed = folder.join(PACKED);
            let films = cohort.entries();
            let unusable = match cohort.packed() {
                Ok(cache) => {
                    println!("{} holds all films already", packed.display());
                    let places = films.iter().map(|entry| cache.place(&entry.film));
                    let failures: Vec<_> = places.filter_map(Result::err).collect();
                    tell(failures.iter());
                    failures.len()
                }
                Err(reason) => {
                    let built = pack(&cohort, &reason)?;
                    let unusable = built.failures.len();
                    if built.unkept.is_none() {
                        let usable = films.len() - unusable;
                        println!("{} holds {usable} films", packed.display());
                    }
                    unusable
                }
            };
            anyhow::ensure!(
                unusable == 0,
                "{unusable} of the {} films cannot be used; the sentences above say why",
                films.len()
            );
        }
        Command::Show { folder } => {
            let cohort = Cohort::open(&folder)?;
            let duplicates = match cohort.packed() {
                Ok(cache) => cohort.near_duplicates(&cache),
                Err(reason) => format!(
                    "near-duplicates across splits: not checked, as {reason}; run `plumbline \
                     cohort pack {}`\n",
                    folder.display()
                ),
            };
            let summary = cohort.summary();
            write!(std::io::stdout().lock(), "{summary}\n{duplicates}")?;
        }
    }
    Ok(())
}
