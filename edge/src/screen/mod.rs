//! `plumbline-edge screen`: films in, decisions and pictures out.

mod pictures;
mod report;
mod screened;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use plumbline_reader::Bundle;
use plumbline_shared::decode::Listing;
use plumbline_shared::printable::printable;

use crate::models;
use crate::pipeline::{PipelineError, Received};
use crate::quality::{IntendedUse, QualityGate};
use pictures::Pictures;
use report::Report;
use screened::Screened;

/// The films to screen, the bundle, and the form of the results.
#[derive(Debug, Clone)]
pub struct Request {
    /// The bundle's folder; the shipped CheXNet if not given.
    pub bundle: Option<PathBuf>,
    /// The films, and folders of them.
    pub films: Vec<PathBuf>,
    /// The folder for the pictures; none are drawn without it.
    pub out: Option<PathBuf>,
    /// True for JSON lines, false for a table.
    pub json: bool,
    /// True to read films that the gate refuses, too; their findings stay with the results.
    pub read_refused: bool,
}

/// Screens every film of `request` and prints each result at once, the reason why a film cannot be
/// or is not read as one sentence on standard error. Returns true if all could be read. Ends early, without
/// an error, if nobody reads the results any more.
///
/// # Errors
///
/// If nothing can be screened for want of a bundle or of a folder for the pictures, or if results
/// cannot be printed.
pub fn screen(request: &Request) -> Result<bool> {
    let folder = models::chosen(request.bundle.as_deref())?;
    let bundle = Bundle::open(&folder)?;
    let (gate, missing) = QualityGate::shipped(IntendedUse::default())?;
    if let Some(error) = missing {
        complain(format_args!(
            "what films show is not checked before they are read: {error}"
        ));
    }
    let mut pictures = match &request.out {
        Some(out) => Some(Pictures::in_folder(out)?),
        None => None,
    };
    let listing = Listing::of(&request.films);
    let mut failures = listing.failures.len();
    for failure in &listing.failures {
        complain(failure);
    }
    let mut report = Report::new(request.json, bundle.manifest(), &listing.films);
    for path in &listing.films {
        match screen_film(
            &bundle,
            &gate,
            path,
            request.read_refused,
            pictures.as_mut(),
        ) {
            Ok((screened, picture)) => {
                let told = report.tell(&screened);
                if !request.json {
                    caution(&screened);
                }
                if let Err(error) = picture {
                    failures += 1;
                    complain(format_args!("{error:#}"));
                }
                match told {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                        return Ok(failures == 0);
                    }
                    told => told.context("the results cannot be printed")?,
                }
            }
            Err(error) => {
                failures += 1;
                complain(&error);
                match report.refuse(&error, &gate) {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
                    told => told.context("the results cannot be printed")?,
                }
            }
        }
    }
    if !listing.skipped.is_empty() {
        let count = listing.skipped.len();
        complain(format_args!(
            "files in folders that are not films and were skipped: {count}"
        ));
    }
    Ok(failures == 0)
}

/// Prints a sentence on standard error; not an error if that is closed.
fn complain(sentence: impl Display) {
    let _ = writeln!(io::stderr(), "{}", printable(&sentence.to_string()));
}

/// Prints what is wrong with a film that was read all the same.
fn caution(screened: &Screened) {
    let path = screened.read.path.display();
    for finding in &screened.read.findings {
        complain(format_args!("{path} was read, but it {finding}"));
    }
}

/// Reads a film and draws its picture. A picture that cannot be written takes nothing from the
/// decision, so its error comes beside it.
fn screen_film<'a>(
    bundle: &Bundle,
    gate: &QualityGate,
    path: &'a Path,
    read_refused: bool,
    pictures: Option<&mut Pictures>,
) -> Result<(Screened<'a>, Result<()>), PipelineError> {
    let start = Instant::now();
    let examined = Received::new(path).decode()?.examine(gate)?;
    let gated = match read_refused {
        true => examined.read_anyway(),
        false => examined.accept()?,
    };
    let read = gated.read(bundle)?;
    let drawing = Instant::now();
    let picture = match pictures {
        Some(pictures) => pictures.write(path, &read.draw(bundle)),
        None => Ok(()),
    };
    let screened = Screened {
        read,
        overlay: drawing.elapsed(),
        total: start.elapsed(),
    };
    Ok((screened, picture))
}
