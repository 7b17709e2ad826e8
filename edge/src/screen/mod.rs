//! `plumbline-edge screen`: films in, decisions and pictures out.

mod pictures;
mod report;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use plumbline_shared::bundle::Bundle;
use plumbline_shared::decode::Listing;
use plumbline_shared::film::Film;

use crate::intake::decode_in_child;
use crate::models;
use crate::reader::overlay::{Findings, overlay};
use crate::reader::{Read, read};
use pictures::Pictures;
use report::Report;

/// The least side of a film in pixels. Anything smaller is an icon or a test pattern.
const LEAST_SIDE: u32 = 64;

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
struct Screened {
    film: PathBuf,
    read: Read,
    decode: Duration,
    overlay: Duration,
    total: Duration,
}

/// Screens every film of `request` and prints as it goes, a film that cannot be read in one
/// sentence on standard error. Whether all could be read is returned.
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
            Ok(screened) => report
                .tell(&screened)
                .context("the results cannot be printed")?,
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

/// Says a sentence on standard error, without the control characters that a file name may hold.
fn complain(sentence: impl Display) {
    eprintln!("{}", report::plain(&sentence.to_string()));
}

fn screen_film(bundle: &Bundle, path: &Path, pictures: Option<&mut Pictures>) -> Result<Screened> {
    let start = Instant::now();
    let film = load(path)?;
    let decode = start.elapsed();
    let read = read(bundle, &film).with_context(|| path.display().to_string())?;
    let drawing = Instant::now();
    if let Some(pictures) = pictures {
        let name = path.file_name().unwrap_or(path.as_os_str());
        let manifest = bundle.manifest();
        let picture = overlay(
            &film,
            &Findings {
                film: &name.to_string_lossy(),
                model: &manifest.model,
                model_version: &manifest.model_version,
                decision: &read.reading.decision,
                cam: &read.reading.cam,
                content: read.content,
            },
        );
        pictures.write(path, &picture)?;
    }
    Ok(Screened {
        film: path.to_path_buf(),
        read,
        decode,
        overlay: drawing.elapsed(),
        total: start.elapsed(),
    })
}

/// Decodes a film of a size that can be one.
fn load(path: &Path) -> Result<Film> {
    let film = decode_in_child(path)?;
    let (width, height) = (film.width(), film.height());
    ensure!(
        width.min(height) >= LEAST_SIDE,
        "{} has {width} x {height} pixels, too few for a chest film; give one of at least {LEAST_SIDE} a side",
        path.display()
    );
    Ok(film)
}
