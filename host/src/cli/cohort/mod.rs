//! `plumbline cohort`.

mod import;

use std::io::Cursor;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use plumbline_shared::durable::replace_file;

use super::out;
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
        /// Pixels along the longer edge of a film
        #[arg(long, default_value_t = 1024)]
        side: u32,
        /// Draw squares only, not the formats of detectors
        #[arg(long)]
        square: bool,
        /// Films to draw beside these that a reader should refuse: lateral, inverted, not a chest,
        /// blank, over-exposed
        #[arg(long, value_name = "FILMS", default_value_t = 0)]
        refused: u64,
    },
    /// Make a cohort of films that others have collected
    Import(import::ImportArgs),
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
    /// Draw example films of every kind in one picture
    Sheet {
        /// The cohort's folder
        folder: PathBuf,
        /// The picture to write, a PNG
        #[arg(long, value_name = "PNG")]
        out: PathBuf,
        /// Films of each kind
        #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=40))]
        columns: u32,
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
            square,
            refused,
        } => {
            let options = PhantomOptions {
                films,
                prevalence,
                seed,
                out,
                format,
                side,
                square,
                refused,
            };
            let films = films.saturating_add(refused);
            let bar = bar(films, "films");
            let started = std::time::Instant::now();
            phantom::generate(&options, |more| bar.inc(more))?;
            bar.finish_and_clear();
            let seconds = started.elapsed().as_secs_f64();
            let rate = films as f64 / seconds;
            out::note(format_args!(
                "{films} films in {seconds:.1} s ({rate:.1} a second) in {}",
                options.out.display()
            ));
        }
        Command::Import(args) => import::run(args)?,
        Command::Pack { folder } => {
            let cohort = Cohort::open(&folder)?;
            let packed = folder.join(PACKED);
            let films = cohort.entries();
            let unusable = match cohort.packed() {
                Ok(cache) => {
                    out::line(format_args!("{} holds all films already", packed.display()))?;
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
                        out::line(format_args!("{} holds {usable} films", packed.display()))?;
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
            out::line(format_args!("{summary}\n{}", duplicates.trim_end()))?;
        }
        Command::Sheet {
            folder,
            out,
            columns,
        } => {
            let sheet = Cohort::open(&folder)?.sheet(columns)?;
            let mut png = Vec::new();
            sheet
                .write_to(&mut Cursor::new(&mut png), image::ImageFormat::Png)
                .map_err(std::io::Error::other)
                .and_then(|()| replace_file(&out, &png))
                .with_context(|| format!("cannot write {}", out.display()))?;
        }
    }
    Ok(())
}
