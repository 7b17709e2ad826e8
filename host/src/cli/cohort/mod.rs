//! `plumbline cohort`.

mod bend;
mod import;
mod join;
mod phantom;
mod spoil;

use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use plumbline_shared::durable::replace_file;

use super::out;
use super::pack::{pack, tell};
use crate::cohort::Cohort;
use crate::cohort::packed::PACKED;

/// Arguments of `plumbline cohort`.
#[derive(Debug, Args)]
pub struct CohortArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Draw phantom chest films with exact Cobb angles and spine masks
    Phantom(phantom::PhantomArgs),
    /// Make a cohort of films that others have collected
    Import(import::ImportArgs),
    /// Make a cohort of films with a curve of a known Cobb angle, and of straight ones moved by a
    /// similar field around the spine, of chest films without scoliosis
    Bend(bend::BendArgs),
    /// Make one cohort of several
    Join(join::JoinArgs),
    /// Make a cohort of good and of spoilt films, from which the gate's network learns
    Spoil(spoil::SpoilArgs),
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
/// One sentence that says what failed and what to do.
pub fn run(args: CohortArgs) -> anyhow::Result<()> {
    match args.command {
        Command::Phantom(args) => phantom::run(args),
        Command::Import(args) => import::run(args),
        Command::Bend(args) => bend::run(args),
        Command::Join(args) => join::run(args),
        Command::Spoil(args) => spoil::run(args),
        Command::Pack { folder } => pack_films(&folder),
        Command::Show { folder } => show(&folder),
        Command::Sheet {
            folder,
            out,
            columns,
        } => draw_sheet(&folder, &out, columns),
    }
}

/// Packs a cohort's films, unless they are packed already, and reports those that cannot be used.
fn pack_films(folder: &Path) -> anyhow::Result<()> {
    let cohort = Cohort::open(folder)?;
    let file = folder.join(PACKED);
    let films = cohort.entries();
    let unusable = match cohort.packed() {
        Ok(packed) => {
            out::line(format_args!("{} holds all films already", file.display()))?;
            let places = films.iter().map(|entry| packed.place(&entry.film));
            let failures: Vec<_> = places.filter_map(Result::err).collect();
            tell(failures.iter());
            failures.len()
        }
        Err(reason) => {
            let packing = pack(&cohort, &reason)?;
            let unusable = packing.failures.len();
            if packing.unkept.is_none() {
                let usable = films.len() - unusable;
                out::line(format_args!("{} holds {usable} films", file.display()))?;
            }
            unusable
        }
    };
    anyhow::ensure!(
        unusable == 0,
        "{unusable} of the {} films cannot be used; the sentences above say why",
        films.len()
    );
    Ok(())
}

/// Prints a cohort's summary, and films that look alike in different splits.
fn show(folder: &Path) -> anyhow::Result<()> {
    let cohort = Cohort::open(folder)?;
    let duplicates = match cohort.packed() {
        Ok(packed) => cohort.near_duplicates(&packed),
        Err(reason) => format!(
            "near-duplicates across splits: not checked, as {reason}; run `plumbline cohort pack \
             {}`\n",
            folder.display()
        ),
    };
    let summary = cohort.summary();
    out::line(format_args!("{summary}\n{}", duplicates.trim_end()))?;
    Ok(())
}

/// Draws example films of every kind in one picture.
fn draw_sheet(folder: &Path, out: &Path, columns: u32) -> anyhow::Result<()> {
    let sheet = Cohort::open(folder)?.sheet(columns)?;
    let mut png = Vec::new();
    sheet
        .write_to(&mut Cursor::new(&mut png), image::ImageFormat::Png)
        .map_err(std::io::Error::other)
        .and_then(|()| replace_file(out, &png))
        .with_context(|| format!("cannot write {}", out.display()))
}
