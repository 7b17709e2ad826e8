//! The steps of an import, from the sources to the cohort's folder.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use plumbline_phantom::Variates;
use plumbline_shared::clinical::Projection;

use super::draft::Draft;
use super::error::ImportError;
use super::gathered::{Found, Gathered};
use super::options::{Format, ImportOptions, Step};
use super::rejects::{Reason, Reject};
use super::report::Report;
use super::source::Source;
use super::{dicom, folder, nih, openi, padchest, record};
use crate::cohort::films::FilmsError;
use crate::cohort::manifest::{Row, Split};
use crate::cohort::{packed, split};

/// Imports films as a cohort, and calls `progress` from any thread.
///
/// # Errors
/// If the options make no cohort, if a source or one of its tables cannot be used as a whole, if no
/// film is left, or if the folder cannot be written. Nothing is left behind then.
pub fn import(
    options: &ImportOptions,
    progress: impl Fn(Step) + Sync,
) -> Result<Report, ImportError> {
    check(options)?;
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
        return Err(nothing_left(options, &rejects));
    }
    record::write(&draft, options, &sources, &rows, &rejects)?;
    let report = Report::new(options.out.clone(), &rows, &rejects, notes);
    draft.finish()?;
    Ok(report)
}

/// Checks that the options make a cohort.
fn check(options: &ImportOptions) -> Result<(), ImportError> {
    if !options.shares.are_shares() {
        return Err(ImportError::Options(
            "the shares for validation and testing must be 0 or more, and less than 1 together"
                .into(),
        ));
    }
    if options.sources.is_empty() {
        return Err(ImportError::Options("give at least one source".into()));
    }
    Ok(())
}

/// Returns the error of an import that leaves no film.
fn nothing_left(options: &ImportOptions, rejects: &[Reject]) -> ImportError {
    match rejects.first() {
        Some(first) => ImportError::AllRejected {
            films: rejects.len(),
            first: first.to_string(),
        },
        None => ImportError::NoFilms(options.sources.clone()),
    }
}

/// Returns the first of films that are one and the same file or instance.
fn without_duplicates(gathered: &mut Gathered) -> Vec<Found> {
    let mut kept: Vec<Found> = Vec::with_capacity(gathered.films.len());
    // Places in `kept` by a name of the film.
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

/// Returns frontal films, those of unknown projection, and lateral ones where they are asked for.
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
    draft: &Draft<'_>,
    sources: &[Source],
    films: Vec<Found>,
    copy: bool,
) -> Result<Vec<Placed>, ImportError> {
    if !copy {
        for (number, source) in (1..).zip(sources) {
            draft.link(&format!("source-{number}"), &source.root)?;
        }
    }
    let linked = |film: &Found| format!("source-{}/{}", film.source + 1, film.located.path);
    let names = match copy {
        true => draft.copy_films(&films.iter().map(|film| &film.located).collect::<Vec<_>>())?,
        false => films.iter().map(linked).collect(),
    };
    Ok(names.into_iter().zip(films).collect())
}

/// Packs the films, calls `done` after each, and leaves out those that cannot be decoded.
fn pack(
    draft: &Draft<'_>,
    films: Vec<Placed>,
    copied: bool,
    gathered: &mut Gathered,
    done: impl Fn() + Sync,
) -> Result<Vec<Placed>, ImportError> {
    let names: Vec<PathBuf> = films.iter().map(|(name, _)| name.into()).collect();
    let packing = packed::pack(draft.folder(), &names, done)?;
    if let Some(why) = &packing.unkept {
        gathered.notes.push(format!(
            "the packed films could not be kept ({why}): `plumbline cohort pack` makes them again"
        ));
    }
    let mut failures: BTreeMap<usize, FilmsError> = packing.failures.into_iter().collect();
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
            let reason = Reason::TwoSplits(before.name().into());
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
