//! `cohort import`: films that others have collected, as a cohort.
//!
//! A format's reader goes through its tables or files and gives films, and rejects with their
//! reasons. What follows is the same for all: films that are there twice, that are not frontal or
//! that cannot be decoded are rejected too; patients are split; the manifest and the rejects are
//! written. The films themselves stay where they are, behind links, unless copies are asked for.
//! The folder appears whole or not at all.

mod cells;
mod dicom;
mod draft;
mod error;
mod folder;
mod gathered;
mod nih;
mod openi;
mod padchest;
mod python_list;
mod rejects;
mod report;
mod source;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use plumbline_phantom::Variates;
use serde::Serialize;

use super::cache::Cache;
use super::films::FilmsError;
use super::manifest::{self, MANIFEST, Row, Split};
use super::split::{self, Shares};
use draft::Draft;
pub use error::ImportError;
use gathered::{Found, Gathered};
use plumbline_shared::clinical::Projection;
pub use rejects::REJECTS;
use rejects::{Reason, Reject};
pub use report::Report;
use source::Source;

/// Name of the file in a cohort's folder that says how it was imported.
pub const IMPORT: &str = "import.json";

/// The form that films and what is known of them are in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// PadChest: a table and PNG files, flat or in numbered folders.
    PadChest,
    /// Open-i's Indiana collection: XML reports and PNG files, or two tables and PNG files.
    OpenI,
    /// ChestX-ray14: a table and PNG files. It knows nothing of scoliosis.
    Nih,
    /// Folders that are named after what their films show, or a table of paths and labels.
    Folder {
        /// Name of the folder of positives; else `scoliosis`, `positive` or `1`.
        positive: Option<String>,
    },
    /// A tree of DICOM files.
    Dicom {
        /// A table of labels.
        labels: PathBuf,
    },
}

/// What to import, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportOptions {
    /// The form of the sources.
    pub format: Format,
    /// Folders, or tables beside their films.
    pub sources: Vec<PathBuf>,
    /// Folder to write, absent or empty.
    pub out: PathBuf,
    /// Seed of the splits.
    pub seed: u64,
    /// Shares of the splits.
    pub shares: Shares,
    /// Whether lateral films are kept as well.
    pub lateral: bool,
    /// Whether films are copied.
    pub copy: bool,
}

/// How far an import has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// So many films were found and are going to be decoded.
    Found(u64),
    /// One more film was decoded.
    Decoded,
}

/// Imports films as a cohort, telling `progress` from any thread.
///
/// # Errors
///
/// When the options make no cohort, when a source or one of its tables cannot be used as a whole,
/// when no film is left, or when the folder cannot be written. Nothing is left behind then.
pub fn import(
    options: &ImportOptions,
    progress: impl Fn(Step) + Sync,
) -> Result<Report, ImportError> {
    if !options.shares.are_shares() {
        return Err(ImportError::Options(
            "the shares for validation and testing must be 0 or more, and less than 1 together"
                .into(),
        ));
    }
    if options.sources.is_empty() {
        return Err(ImportError::Options("give at least one source".into()));
    }
    let sources = options.sources.iter().map(|source| Source::open(source));
    let sources = sources.collect::<Result<Vec<_>, _>>()?;
    let draft = Draft::begin(&options.out, &sources)?;
    let mut gathered = match &options.format {
        Format::PadChest => padchest::read(&sources),
        Format::OpenI => openi::read(&sources),
        Format::Nih => nih::read(&sources),
        Format::Folder { positive } => folder::read(&sources, positive.as_deref()),
        Format::Dicom { labels } => dicom::read(&sources, labels),
    }?;
    let films = without_duplicates(&mut gathered);
    let films = of_wanted_views(films, options.lateral, &mut gathered);
    progress(Step::Found(films.len() as u64));
    let films = place(&draft, &sources, films, options.copy)?;
    let films = pack(&draft, films, options.copy, &mut gathered, || {
        progress(Step::Decoded);
    })?;
    let rows = split(films, options, &mut gathered);
    let Gathered {
        mut rejects, notes, ..
    } = gathered;
    rejects.sort_by(|a, b| (&a.origin.file, a.origin.line).cmp(&(&b.origin.file, b.origin.line)));
    if rows.is_empty() {
        return Err(match rejects.first() {
            Some(first) => ImportError::AllRejected {
                films: rejects.len(),
                first: first.to_string(),
            },
            None => ImportError::NoFilms(options.sources.clone()),
        });
    }
    write(&draft, options, &sources, &rows, &rejects)?;
    let report = Report::new(options.out.clone(), &rows, &rejects, notes);
    draft.finish()?;
    Ok(report)
}

/// The first of films that are one and the same file or instance.
fn without_duplicates(gathered: &mut Gathered) -> Vec<Found> {
    let mut kept: Vec<Found> = Vec::with_capacity(gathered.films.len());
    // Where in `kept` what is known by a name is.
    let mut firsts: HashMap<String, usize> = HashMap::new();
    for film in std::mem::take(&mut gathered.films) {
        let file = film.located.file.display().to_string();
        let names = [Some(file), film.instance.clone()];
        let names: Vec<String> = names.into_iter().flatten().collect();
        let first = names.iter().find_map(|name| firsts.get(name));
        let Some(first) = first.map(|&first| &kept[first]) else {
            firsts.extend(names.into_iter().map(|name| (name, kept.len())));
            kept.push(film);
            continue;
        };
        let named = match first.origin.line {
            Some(_) => first.origin.to_string(),
            None => format!("{} in {}", first.located.path, first.origin),
        };
        let reason = match first.label == film.label {
            true => Reason::Duplicate(named),
            false => Reason::Conflict(named),
        };
        gathered.reject(film.origin, &film.located.path, reason);
    }
    kept
}

/// Frontal films, those of unknown projection, and lateral ones where they are asked for.
fn of_wanted_views(films: Vec<Found>, lateral: bool, gathered: &mut Gathered) -> Vec<Found> {
    let is_wanted = |film: &Found| lateral || film.projection != Some(Projection::Lateral);
    let (wanted, others): (Vec<_>, Vec<_>) = films.into_iter().partition(is_wanted);
    for film in others {
        gathered.reject(film.origin, &film.located.path, Reason::Lateral);
    }
    wanted
}

/// A film with its path in the cohort's folder.
type Placed = (String, Found);

/// Links the sources into the folder, or copies their films.
fn place(
    draft: &Draft,
    sources: &[Source],
    films: Vec<Found>,
    copy: bool,
) -> Result<Vec<Placed>, ImportError> {
    if !copy {
        for (number, source) in (1..).zip(sources) {
            draft.link(&format!("source-{number}"), &source.root)?;
        }
    }
    let place = |(number, film): (usize, Found)| {
        let name = if copy {
            let extension = Path::new(&film.located.path).extension();
            let extension = extension.and_then(|e| e.to_str());
            let extension = extension.map(|e| format!(".{e}")).unwrap_or_default();
            let name = format!("films/{number:06}{extension}");
            draft.copy(&name, &film.located.file)?;
            name
        } else {
            format!("source-{}/{}", film.source + 1, film.located.path)
        };
        Ok((name, film))
    };
    films.into_iter().enumerate().map(place).collect()
}

/// Packs the films, telling `done` after each, and leaves out those that cannot be decoded.
fn pack(
    draft: &Draft,
    films: Vec<Placed>,
    copied: bool,
    gathered: &mut Gathered,
    done: impl Fn() + Sync,
) -> Result<Vec<Placed>, ImportError> {
    let names: Vec<PathBuf> = films.iter().map(|(name, _)| name.into()).collect();
    let built = Cache::build(draft.folder(), &names, done)?;
    if let Some(why) = &built.unkept {
        gathered.notes.push(format!(
            "the packed films could not be kept ({why}): `plumbline cohort pack` makes them again"
        ));
    }
    let mut failures: BTreeMap<usize, FilmsError> = built.failures.into_iter().collect();
    let mut kept = Vec::with_capacity(films.len());
    for (number, (name, film)) in films.into_iter().enumerate() {
        let Some(failure) = failures.remove(&number) else {
            kept.push((name, film));
            continue;
        };
        if copied {
            draft.remove(&name)?;
        }
        let reason = Reason::Undecodable(match failure {
            FilmsError::Undecodable { source, .. } => source.to_string(),
            other => other.to_string(),
        });
        gathered.reject(film.origin, &film.located.path, reason);
    }
    Ok(kept)
}

/// Splits the patients, by what their films say or else by lot, into the manifest's rows.
fn split(films: Vec<Placed>, options: &ImportOptions, gathered: &mut Gathered) -> Vec<Row> {
    let mut given: BTreeMap<String, Split> = BTreeMap::new();
    let mut kept = Vec::with_capacity(films.len());
    for (name, film) in films {
        let before = match film.split {
            Some(split) => *given.entry(film.patient.clone()).or_insert(split),
            None => Split::Train,
        };
        if film.split.is_some_and(|split| split != before) {
            let reason = Reason::Torn(before.name().into());
            gathered.reject(film.origin, &film.located.path, reason);
        } else {
            kept.push((name, film));
        }
    }
    let others = kept.iter().map(|(_, film)| film);
    let others = others.filter(|film| !given.contains_key(&film.patient));
    let drawn = split::by_patient(
        others.map(|film| (film.patient.as_str(), film.is_positive())),
        options.shares,
        &mut Variates::new(options.seed, 0),
    );
    let rows = kept.iter().map(|(name, film)| {
        let patient = film.patient.as_str();
        let split = given.get(patient).or_else(|| drawn.get(patient));
        let split = split.copied().unwrap_or(Split::Train);
        Row {
            study: film.study.clone(),
            label: film.label.map(u8::from),
            findings: film.findings.clone(),
            age: film.age,
            sex: film.sex,
            projection: film.projection,
            ..Row::new(name.clone(), film.patient.clone(), split)
        }
    });
    rows.collect()
}

/// How a cohort was imported.
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

/// Writes the manifest, the rejects and how they came about.
fn write(
    draft: &Draft,
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
