//! `plumbline-edge export --deidentified`: films for research, without the names of their patients.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use plumbline_shared::durable::{make_folder, replace_file};

use crate::config::Settings;
use crate::deidentify::{Deidentified, deidentify_with};
use crate::intake::THIS_PROGRAM;
use crate::store::{Origin, State, Store, StoredFilm};

/// The table of the films in an export's folder. `plumbline cohort import folder` reads it once somebody has
/// filled in the labels.
const TABLE: &str = "films.csv";

/// The table's columns.
const COLUMNS: [&str; 11] = [
    "file",
    "patient",
    "study",
    "label",
    "state",
    "positive",
    "probability",
    "threshold",
    "model",
    "model_version",
    "quality",
];

/// What is to be exported.
#[derive(Clone, Debug)]
pub struct Request {
    /// The folder to be made.
    pub out: PathBuf,
    /// The numbers of the films; all if it is empty.
    pub films: Vec<i64>,
    /// True if a person has looked at the films, and their pixels name nobody.
    pub burned_in_checked: bool,
}

/// Exports films of the station with `settings`, which may run meanwhile, each de-identified, and a table of
/// their results. Returns true if each was exported or is held back until somebody has looked at it.
///
/// # Errors
/// If there is no store, or the folder cannot be written or is not empty.
pub fn export(settings: &Settings, request: &Request) -> Result<bool> {
    let store = Store::beside(&settings.data, settings.limits)?;
    let out = &request.out;
    make_empty(out)?;
    let films = match request.films.is_empty() {
        true => films_of_patients(&store)?,
        false => request.films.clone(),
    };
    let mut rows = BTreeMap::new();
    let (mut held_back, mut left_out) = (Vec::new(), Vec::new());
    for number in films {
        match prepare(&store, number) {
            Err(why) => left_out.push(format!("film {number}: {why}")),
            Ok((_, made)) if !made.film.says_no_text && !request.burned_in_checked => {
                held_back.push(number);
            }
            Ok((film, made)) => {
                let file = format!("{}/{}.dcm", made.film.study, made.film.instance);
                if rows.contains_key(&file) {
                    let why = "another film with its SOP Instance UID was exported";
                    left_out.push(format!("film {number}: {why}"));
                    continue;
                }
                // First: no film may have left that the audit log does not tell of.
                store.exported(
                    number,
                    "plumbline-edge export",
                    "de-identified, into a folder",
                )?;
                write_film(out, &file, &made)
                    .with_context(|| format!("{} cannot be written", out.display()))?;
                let row = row(&file, &film, &made);
                rows.insert(file, row);
            }
        }
    }
    let table = table(rows.values())?;
    replace_file(&out.join(TABLE), &table)
        .with_context(|| format!("{} cannot be written", out.join(TABLE).display()))?;
    tell(out, rows.len(), &held_back, &left_out)?;
    Ok(left_out.is_empty())
}

/// The numbers of all films but those of self-tests.
fn films_of_patients(store: &Store) -> Result<Vec<i64>> {
    let mut films = Vec::new();
    for number in store.newest(i64::MAX as usize)? {
        if store.film(number)?.origin != Origin::SelfTest {
            films.push(number);
        }
    }
    Ok(films)
}

/// Makes the folder, or takes one that is empty: films of two exports must not be told apart by their age.
fn make_empty(folder: &Path) -> Result<()> {
    let unwritten = || format!("{} cannot be written", folder.display());
    fs::create_dir_all(folder).with_context(unwritten)?;
    if fs::read_dir(folder)
        .with_context(unwritten)?
        .next()
        .is_some()
    {
        bail!("{} is not empty: name a new folder", folder.display());
    }
    Ok(())
}

/// Has a film de-identified; an error is in words.
fn prepare(store: &Store, number: i64) -> Result<(StoredFilm, Deidentified), String> {
    let film = store.film(number).map_err(|error| error.to_string())?;
    if film.header.sop_class_uid.is_none() {
        return Err("it is a picture without attributes, and not exported".into());
    }
    let path = store.path(&film).map_err(|error| error.to_string())?;
    let made = deidentify_with(Path::new(THIS_PROGRAM), store.folder(), &path);
    made.map(|made| (film, made))
        .map_err(|error| error.to_string())
}

fn write_film(out: &Path, file: &str, made: &Deidentified) -> io::Result<()> {
    make_folder(&out.join(&made.film.study))?;
    replace_file(&out.join(file), &made.file)
}

/// A film's row of the table: nothing in it is the film's own but its pseudonyms.
fn row(file: &str, film: &StoredFilm, made: &Deidentified) -> [String; COLUMNS.len()] {
    let of_reading = |cell: fn(&crate::store::StoredReading) -> String| {
        film.reading.as_ref().map(cell).unwrap_or_default()
    };
    [
        file.into(),
        made.film.patient.clone(),
        made.film.study.clone(),
        // A specialist's, not the network's.
        String::new(),
        film.state.to_string(),
        of_reading(|reading| u8::from(reading.positive).to_string()),
        of_reading(|reading| reading.probability.to_string()),
        of_reading(|reading| reading.threshold.to_string()),
        of_reading(|reading| reading.model.clone()),
        of_reading(|reading| reading.model_version.clone()),
        quality(film),
    ]
}

/// What the quality gate said: `accepted`, or the codes of what is wrong; nothing if it has not looked.
fn quality(film: &StoredFilm) -> String {
    let refusing = film.findings.iter().filter(|finding| finding.refuses);
    let codes: Vec<&str> = refusing.map(|finding| &*finding.code).collect();
    match (film.state, codes.is_empty()) {
        (_, false) => codes.join(" "),
        (State::Received, true) => String::new(),
        (State::Refused | State::Failed, true) => "refused".into(),
        (_, true) => "accepted".into(),
    }
}

fn table<'a>(rows: impl Iterator<Item = &'a [String; COLUMNS.len()]>) -> Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(COLUMNS)?;
    for row in rows {
        table.write_record(row)?;
    }
    Ok(table.into_inner()?)
}

/// Tells what became of the films.
fn tell(out: &Path, exported: usize, held_back: &[i64], left_out: &[String]) -> io::Result<()> {
    let mut told = io::stdout().lock();
    writeln!(told, "{exported} films are in {}", out.display())?;
    if !held_back.is_empty() {
        let films: Vec<_> = held_back.iter().map(i64::to_string).collect();
        writeln!(
            told,
            "held back, as they do not say that their pixels show no text (Burned In Annotation): \
             {}: films {}; look at them, and export those that name nobody by --film and \
             --burned-in-checked",
            held_back.len(),
            films.join(", ")
        )?;
    }
    for film in left_out {
        writeln!(told, "left out: {film}")?;
    }
    told.flush()
}
