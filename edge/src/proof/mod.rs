//! `plumbline-edge proof`: all that happened to a film, from the audit log, with what proves it to whoever
//! has recorded a hash of the log; and its verification, for which no station is needed.

mod paper;
mod sheet;
mod told;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use plumbline_shared::durable::replace_file;
use plumbline_shared::printable::printable;
use serde::Deserialize;

use crate::config::Settings;
use crate::store::{Chain, Store};
use sheet::Sheet;
use told::{Told, told};

/// Prints the sheet of the film that `film` names, by its number, its file's SHA-256 or its SOP Instance UID; as
/// text or as one JSON object, and into the file `pdf` too. It ends at the entry of the audit log that has the
/// hash `head`, or at the newest. The station with `settings` may run meanwhile.
///
/// # Errors
/// If there is no such film, or no such hash, or the audit log is broken.
pub fn proof(
    settings: &Settings,
    film: &str,
    head: Option<&str>,
    json: bool,
    pdf: Option<&Path>,
) -> Result<()> {
    let store = Store::beside(&settings.data, settings.limits)?;
    let film = match &store.films_named(film)?[..] {
        [film] => *film,
        [] => bail!(
            "no film has the number, SHA-256 or SOP Instance UID {:?}: `plumbline-edge films` shows \
             the numbers",
            film
        ),
        several => bail!(
            "films {several:?} have the SOP Instance UID {film}: give the number of one of them"
        ),
    };
    let sheet = Sheet::of(&store, &settings.dicom.ae_title, film, head)?;
    if let Some(path) = pdf {
        let pdf = paper::pdf(&sheet)?;
        replace_file(path, &pdf)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let mut out = io::stdout().lock();
    match json {
        true => writeln!(out, "{}", serde_json::to_string(&sheet)?)?,
        false => write(&mut out, &sheet.told())?,
    }
    Ok(out.flush()?)
}

/// What of a sheet is verified; the rest is what the station says of the present.
#[derive(Deserialize)]
struct Proven {
    proof: Chain,
}

/// Verifies the sheet in the file `path` by the hash `head`, which somebody else has recorded of the station's
/// audit log, and prints what is proved.
///
/// # Errors
/// If the sheet is none, was changed, or has no such hash.
pub fn verify(path: &Path, head: &str) -> Result<()> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
    let sheet: Proven = serde_json::from_str(&text)
        .with_context(|| format!("{shown} is no proof sheet in JSON, or was changed"))?;
    let chain = sheet.proof;
    let proved = chain
        .verify(head)
        .with_context(|| format!("{shown} is not proved"))?;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "proved: {}, up to entry {} of the audit log, which has the recorded hash. None of its \
         entries is missing.",
        printable(&chain.object),
        proved.sequence
    )?;
    let rows = proved.rows.iter().flat_map(|row| told(row));
    write(&mut out, &rows.collect::<Vec<_>>())?;
    if proved.later > 0 {
        writeln!(
            out,
            "not proved: {} later entries of the film, for which a newer hash is needed",
            proved.later
        )?;
    }
    Ok(out.flush()?)
}

/// Writes what is told as text.
fn write(out: &mut impl Write, told: &[Told]) -> io::Result<()> {
    for line in told {
        match line {
            Told::Heading(text) => writeln!(out, "\n{}", printable(text))?,
            Told::Field(name, text) => writeln!(out, "  {name:11} {}", printable(text))?,
            Told::More(text) => writeln!(out, "  {:11} {}", "", printable(text))?,
        }
    }
    Ok(())
}
