//! `plumbline cohort import`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::out;
use crate::cli::progress::bar;
use crate::cohort::import::{Format, ImportOptions, Step, import};
use crate::cohort::{Cohort, Shares};

/// Arguments of `plumbline cohort import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(subcommand)]
    format: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// PadChest: the folder of its table and PNG files, or the table
    #[command(name = "padchest")]
    PadChest(Common),
    /// Open-i's Indiana collection: the folders of its XML reports and PNG files, or of
    /// indiana_reports.csv, indiana_projections.csv and PNG files
    #[command(name = "openi")]
    OpenI(Common),
    /// NIH ChestX-ray14: the folders of Data_Entry_2017*.csv and of its PNG files; films without
    /// labels, to pretrain on
    Nih(Common),
    /// Folders that are named after what their films show, or a CSV table of paths and labels
    Folder {
        #[command(flatten)]
        common: Common,
        /// Name of the folder of positives [default: scoliosis, positive or 1]
        #[arg(long, value_name = "NAME")]
        positive: Option<String>,
    },
    /// Trees of DICOM files, with a table of labels
    Dicom {
        #[command(flatten)]
        common: Common,
        /// CSV table with a column `label` and one of `SOPInstanceUID`, `path`, `StudyInstanceUID`,
        /// `AccessionNumber` and `PatientID`
        #[arg(long, value_name = "CSV")]
        labels: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Common {
    /// Folders, or tables that lie beside their films
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// Folder to write, new or empty
    #[arg(long)]
    out: PathBuf,
    /// Seed of the splits
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Share of patients to validate on
    #[arg(long, default_value_t = 0.1)]
    val: f64,
    /// Share of patients to test on
    #[arg(long, default_value_t = 0.1)]
    test: f64,
    /// Keep lateral films as well
    #[arg(long)]
    lateral: bool,
    /// Copy the films, so that the cohort needs its sources no longer
    #[arg(long)]
    copy: bool,
}

/// Runs the command.
///
/// # Errors
/// One sentence that says what failed and what to do.
pub fn run(args: ImportArgs) -> anyhow::Result<()> {
    let (format, common) = match args.format {
        Command::PadChest(common) => (Format::PadChest, common),
        Command::OpenI(common) => (Format::OpenI, common),
        Command::Nih(common) => (Format::Nih, common),
        Command::Folder { common, positive } => (Format::Folder { positive }, common),
        Command::Dicom { common, labels } => (Format::Dicom { labels }, common),
    };
    let options = ImportOptions {
        format,
        sources: common.sources,
        out: common.out,
        seed: common.seed,
        shares: Shares {
            val: common.val,
            test: common.test,
        },
        lateral: common.lateral,
        copy: common.copy,
    };
    let bar = bar(0, "films");
    let report = import(&options, |step| match step {
        Step::Found(films) => bar.set_length(films),
        Step::Decoded => bar.inc(1),
    });
    bar.finish_and_clear();
    out::note(report?.to_string().trim_end());
    let cohort = Cohort::open(&options.out)?;
    out::note(format_args!(
        "\n{}",
        cohort.summary().to_string().trim_end()
    ));
    if let Ok(packed) = cohort.packed() {
        let duplicates = cohort.near_duplicates(&packed);
        out::note(format_args!("\n{}", duplicates.trim_end()));
    }
    Ok(())
}
