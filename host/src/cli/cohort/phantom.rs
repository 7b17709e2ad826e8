//! `plumbline cohort phantom`.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};

use crate::cli::out;
use crate::cli::progress::bar;
use crate::cohort::phantom::{Format, Frame, PhantomOptions, generate};

/// Arguments of `plumbline cohort phantom`.
#[derive(Debug, Args)]
pub struct PhantomArgs {
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
    format: FormatArg,
    /// Pixels along the longer edge of a film
    #[arg(long, default_value_t = 1024)]
    side: u32,
    /// Draw squares only, not the formats of detectors
    #[arg(long)]
    square: bool,
    /// Draw the spine from neck to pelvis on long films, not chests
    #[arg(long, conflicts_with_all = ["square", "refused"])]
    whole_spine: bool,
    /// Films to draw beside these that a reader should refuse: lateral, inverted, not a chest,
    /// blank, over-exposed
    #[arg(long, value_name = "FILMS", default_value_t = 0)]
    refused: u64,
}

/// Values of `--format`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatArg {
    /// 16-bit grey PNG
    Png,
    /// DICOM, Explicit VR Little Endian
    Dicom,
}

impl From<PhantomArgs> for PhantomOptions {
    fn from(args: PhantomArgs) -> Self {
        Self {
            films: args.films,
            refused: args.refused,
            prevalence: args.prevalence,
            seed: args.seed,
            out: args.out,
            format: match args.format {
                FormatArg::Png => Format::Png,
                FormatArg::Dicom => Format::Dicom,
            },
            side: args.side,
            frame: match (args.whole_spine, args.square) {
                (true, _) => Frame::WholeSpine,
                (_, true) => Frame::SquareChest,
                _ => Frame::Chest,
            },
        }
    }
}

/// Runs the command.
///
/// # Errors
/// One sentence that says what failed and what to do.
pub fn run(args: PhantomArgs) -> anyhow::Result<()> {
    let options = PhantomOptions::from(args);
    let films = options.films.saturating_add(options.refused);
    let bar = bar(films, "films");
    let started = Instant::now();
    generate(&options, |more| bar.inc(more))?;
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    let rate = films as f64 / seconds;
    out::note(format_args!(
        "{films} films in {seconds:.1} s ({rate:.1} a second) in {}",
        options.out.display()
    ));
    Ok(())
}
