//! Cohorts of phantoms: films and masks drawn by [`plumbline_phantom`], and the manifest that says
//! what they show.
//!
//! A note in the folder says which cohort it is going to be, until the manifest is there. Every
//! film and mask is synced before it gets its name, so that one that is there is whole, and the
//! same call again draws only those that are missing, also after a power cut.

mod error;
mod options;
mod plan;
mod row;
#[cfg(test)]
pub(super) mod tests;

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use plumbline_phantom::{FilmSpec, Phantom, files};
use plumbline_shared::durable::{Disk, Medium, is_unfinished, remove_unfinished, replace_file_on};
use rayon::prelude::*;

use super::finishing::{Finisher, create_folders, finishing};
use super::manifest::{self, MANIFEST, Row};
pub use error::PhantomError;
pub use options::{Format, PhantomOptions};
pub(super) use plan::angle;
pub use plumbline_phantom::Frame;

/// Name of the note that is in the folder while a cohort is unfinished.
const UNFINISHED: &str = "unfinished.json";

/// Draws a cohort: films and masks first, the manifest last. `progress` is told of every further
/// film, from any thread. A call that was cut short is finished by the same call again.
///
/// # Errors
/// If the options make no cohort, if the folder is in use, or if a file cannot be written.
pub fn generate(
    options: &PhantomOptions,
    progress: impl Fn(u64) + Sync,
) -> Result<(), PhantomError> {
    generate_on(&Disk, options, progress)
}

/// [`generate`] on any medium.
fn generate_on(
    medium: &(dyn Medium + Sync),
    options: &PhantomOptions,
    progress: impl Fn(u64) + Sync,
) -> Result<(), PhantomError> {
    options.check()?;
    let note = note(medium, options)?;
    let folders = ["films", "masks"].map(|name| options.out.join(name));
    for folder in &folders {
        fs::create_dir_all(folder).map_err(unwritten(folder))?;
        remove_unfinished(folder);
    }
    let rows: Vec<Row> = finishing(medium, &folders, |finisher| {
        let films = plan::films(options);
        let drawn = films.par_iter().map(|(spec, split)| {
            let phantom = Phantom::draw(spec);
            let row = row::row(options.format, spec, &phantom, *split);
            let is_there = |file: &String| options.out.join(file).is_file();
            if !(is_there(&row.film) && row.mask.as_ref().is_none_or(is_there)) {
                write_film(finisher, options, spec, phantom, &row)?;
            }
            progress(1);
            Ok::<_, PhantomError>(row)
        });
        drawn.collect()
    })?;
    let file = options.out.join(MANIFEST);
    let bytes = manifest::write(&rows).map_err(unencoded(&file))?;
    replace_file_on(medium, &file, &bytes).map_err(unwritten(&file))?;
    fs::remove_file(&note).map_err(unwritten(&note))
}

/// Makes the folder, and notes the options there until the cohort is finished. Returns the note.
fn note(medium: &dyn Medium, options: &PhantomOptions) -> Result<PathBuf, PhantomError> {
    let out = &options.out;
    create_folders(medium, out).map_err(unwritten(out))?;
    remove_unfinished(out);
    let note = out.join(UNFINISHED);
    let text = text_of_note(options).map_err(unencoded(&note))?;
    let mut others = fs::read_dir(out).map_err(unwritten(out))?;
    let is_empty = others.all(|entry| entry.is_ok_and(|entry| is_half_a_note(&entry.file_name())));
    if is_empty {
        replace_file_on(medium, &note, &text).map_err(unwritten(&note))?;
    } else if fs::read(&note).ok() != Some(text) {
        return Err(PhantomError::Occupied(out.clone()));
    }
    Ok(note)
}

/// Returns true of the temporary name of a note, which a process leaves that is killed just then.
fn is_half_a_note(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".unfinished.json.") && is_unfinished(name)
}

/// Returns the note of an unfinished cohort: the program that draws it, and its options.
fn text_of_note(options: &PhantomOptions) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec_pretty(&serde_json::json!({
        "plumbline": env!("CARGO_PKG_VERSION"),
        "revision": option_env!("PLUMBLINE_REVISION"),
        "options": options,
    }))
}

/// Exposes a film, and writes it and its mask.
fn write_film(
    finisher: &Finisher<'_>,
    options: &PhantomOptions,
    spec: &FilmSpec,
    mut phantom: Phantom,
    row: &Row,
) -> Result<(), PhantomError> {
    let path = options.out.join(&row.film);
    let (film, mask) = phantom.expose();
    let bytes = match options.format {
        Format::Png => files::png16(film.size, &film.greys()).map_err(unencoded(&path))?,
        Format::Dicom => {
            let identity = files::Identity {
                patient: &row.patient,
                seed: options.seed,
                index: spec.index,
            };
            files::dicom(&identity, &phantom, &film).map_err(unencoded(&path))?
        }
    };
    finisher.write(&path, |file| file.write_all(&bytes))?;
    if let (Some(mask), Some(path)) = (mask, &row.mask) {
        let path = options.out.join(path);
        let bytes = files::png8(film.size, &mask).map_err(unencoded(&path))?;
        finisher.write(&path, |file| file.write_all(&bytes))?;
    }
    Ok(())
}

/// Returns the error of a file that cannot be written.
fn unwritten(file: &Path) -> impl Fn(io::Error) -> PhantomError {
    move |source| PhantomError::Write {
        file: file.to_owned(),
        source,
    }
}

/// Returns the error of a file that cannot be encoded.
fn unencoded<E: ToString>(file: &Path) -> impl Fn(E) -> PhantomError {
    move |error| PhantomError::Encode {
        file: file.to_owned(),
        what: error.to_string(),
    }
}
