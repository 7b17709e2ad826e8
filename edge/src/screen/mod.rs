//! `plumbline-edge screen`: films in, decisions and pictures out.

mod pictures;
mod report;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use plumbline_reader::Bundle;
use plumbline_shared::decode::Listing;
use plumbline_shared::printable::printable;

use crate::models;
use crate::pipeline::{Read, Received};
use pictures::Pictures;
use report::Report;

/// What to screen, and how to tell.
#[derive(Debug, Clone)]
pub struct Request {
    /// The bundle's folder; the shipped CheXNet if not given.
    pub bundle: Option<PathBuf>,
    /// Films, and folders of them.
    pub films: Vec<PathBuf>,
    /// Folder for the pictures, if they are wanted.
    pub out: Option<PathBuf>,
    /// JSON lines in place of a table.
    pub json: bool,
}

/// A film that was screened.
struct Screened<'a> {
    read: Read<'a>,
    overlay: Duration,
    total: Duration,
}

/// Screens every film of `request` and prints as it goes, a film that cannot be read in one
/// sentence on standard error. Returns whether all could be read. Ends early, and well, where
/// nobody reads the results any more.
///
/// # Errors
///
/// If nothing can be screened for want of a bundle or of a folder for the pictures, or if results
/// cannot be printed.
pub fn screen(request: &Request) -> Result<bool> {
    let folder = match &request.bundle {
        Some(folder) => folder.clone(),
        None => models::shipped("chexnet")?,
    };
    let bundle = Bundle::open(&folder)?;
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
        match screen_film(&bundle, path, pictures.as_mut()) {
            Ok(screened) => match report.tell(&screened) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(failures == 0),
                told => told.context("the results cannot be printed")?,
            },
            Err(error) => {
                failures += 1;
                complain(format_args!("{error:#}"));
            }
        }
    }
    if !listing.skipped.is_empty() {
        let count = listing.skipped.len();
        complain(format_args!(
            "passed over in folders, as they are no films: {count}"
        ));
    }
    Ok(failures == 0)
}

/// Says a sentence on standard error, if anybody listens there.
fn complain(sentence: impl Display) {
    let _ = writeln!(io::stderr(), "{}", printable(&sentence.to_string()));
}

fn screen_film<'a>(
    bundle: &Bundle,
    path: &'a Path,
    pictures: Option<&mut Pictures>,
) -> Result<Screened<'a>> {
    let start = Instant::now();
    let read = Received::new(path).decode()?.gate()?.read(bundle)?;
    let drawing = Instant::now();
    if let Some(pictures) = pictures {
        pictures.write(path, &read.draw(bundle))?;
    }
    Ok(Screened {
        read,
        overlay: drawing.elapsed(),
        total: start.elapsed(),
    })
}
