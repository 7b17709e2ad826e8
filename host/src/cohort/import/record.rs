//! The files of an imported cohort beside its films.

use serde::Serialize;

use super::draft::Draft;
use super::error::ImportError;
use super::options::{Format, ImportOptions};
use super::rejects::{self, REJECTS, Reject};
use super::source::Source;
use crate::cohort::manifest::{self, MANIFEST, Row};
use crate::cohort::split::Shares;

/// Name of the file in a cohort's folder that says how it was imported.
pub const IMPORT: &str = "import.json";

/// The record of an import.
#[derive(Serialize)]
struct Record<'a> {
    plumbline: &'a str,
    format: &'a Format,
    sources: Vec<String>,
    seed: u64,
    shares: Shares,
    lateral: bool,
    copy: bool,
    films: usize,
    rejected: usize,
}

/// Writes the manifest, the rejects and the record of the import.
pub(super) fn write(
    draft: &Draft<'_>,
    options: &ImportOptions,
    sources: &[Source],
    rows: &[Row],
    rejects: &[Reject],
) -> Result<(), ImportError> {
    let failed = |name: &str, error: std::io::Error| ImportError::Write {
        file: options.out.join(name),
        source: error,
    };
    let manifest = manifest::write(rows).map_err(|error| failed(MANIFEST, error.into()))?;
    draft.write(MANIFEST, &manifest)?;
    let table = rejects::write(rejects).map_err(|error| failed(REJECTS, error.into()))?;
    draft.write(REJECTS, &table)?;
    let record = Record {
        plumbline: env!("CARGO_PKG_VERSION"),
        format: &options.format,
        sources: (sources.iter())
            .map(|source| source.root.display().to_string())
            .collect(),
        seed: options.seed,
        shares: options.shares,
        lateral: options.lateral,
        copy: options.copy,
        films: rows.len(),
        rejected: rejects.len(),
    };
    let record =
        serde_json::to_vec_pretty(&record).map_err(|error| failed(IMPORT, error.into()))?;
    draft.write(IMPORT, &record)
}
