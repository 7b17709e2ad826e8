//! `plumbline-edge take-in`: takes what is sealed on a stick into a running station, or copies it into a folder.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use minisign::PublicKey;
use plumbline_shared::decode::MAX_BYTES;
use plumbline_shared::durable::{is_unfinished, replace_file};
use plumbline_shared::manifest::sha256;
use plumbline_shared::printable::printable;

use super::directory::DICOMDIR;
use super::names::{FOLDER, SEAL, is_component, kind};
use super::seal::{self, Seal};
use super::upload::Uploader;
use super::write::{StickError, read};
use crate::config::Settings;
use crate::store::Kind;

/// The most folders within one another that are looked into, and the most files that are looked at.
const MOST_DEPTH: usize = 16;
const MOST_FILES: usize = 1 << 20;

/// The most files without a seal that are told one by one.
const MOST_TOLD: usize = 20;

/// What is to be taken in.
#[derive(Clone, Debug)]
pub struct Request {
    /// The folder of the stick's file-set.
    pub stick: PathBuf,
    /// Public keys of stations, beside those of the configuration.
    pub keys: Vec<String>,
    /// The folder that files are copied into; without it films go to the running station.
    pub out: Option<PathBuf>,
}

/// Takes in what is sealed on a stick, and tells what is not whole. Returns true if nothing was left.
///
/// # Errors
/// If there is no stick or no key, or films are to be given to a station that does not run.
pub fn take_in(settings: &Settings, request: &Request) -> Result<bool> {
    let root = &request.stick;
    if !root.is_dir() {
        bail!(
            "{} is not there: put the stick in, or correct its path",
            root.display()
        );
    }
    let keys = keys(settings, request)?;
    let target = match &request.out {
        Some(out) => Target::Folder(out),
        None => Target::Station(Uploader::of(settings)?),
    };
    let mut taking = Taking {
        root,
        target,
        taken: 0,
        there: 0,
        not_films: 0,
        left: 0,
        sealed: vec![PathBuf::from(DICOMDIR)],
    };
    for folder in station_folders(root)? {
        taking.station(&folder, &keys)?;
    }
    taking.tell_unsealed()?;
    taking.tell()
}

fn keys(settings: &Settings, request: &Request) -> Result<Vec<PublicKey>> {
    let keys = settings.stick_keys.iter().chain(&request.keys);
    let keys = keys.map(|text| {
        let key = PublicKey::from_base64(text);
        key.ok().with_context(|| {
            format!("{text:?} is no public key: copy the one that `plumbline-edge check` tells on the station")
        })
    });
    let keys: Vec<_> = keys.collect::<Result<_>>()?;
    if keys.is_empty() {
        bail!(
            "no station's key is known: give the one that `plumbline-edge check` tells there by --key, or in \
             the configuration, [stick] keys"
        );
    }
    Ok(keys)
}

/// The names of the stations' folders on the stick.
fn station_folders(root: &Path) -> Result<Vec<String>> {
    let folder = root.join(FOLDER);
    let none = || format!("{} has nothing of a Plumbline station", root.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(none)? {
        let name = entry.with_context(none)?.file_name();
        names.extend(
            name.into_string()
                .ok()
                .filter(|name| is_component('S', name)),
        );
    }
    names.sort();
    Ok(names)
}

/// Where files go.
enum Target<'a> {
    Folder(&'a Path),
    Station(Uploader),
}

struct Taking<'a> {
    root: &'a Path,
    target: Target<'a>,
    taken: usize,
    /// Those of them that were there before.
    there: usize,
    not_films: usize,
    left: usize,
    /// The paths of all files that a seal lists, and of the seals.
    sealed: Vec<PathBuf>,
}

/// What became of a file.
enum Took {
    New,
    There,
    NotOurs,
}

impl Taking<'_> {
    /// Takes in what the station with this folder has sealed.
    fn station(&mut self, folder: &str, keys: &[PublicKey]) -> Result<()> {
        let place = Path::new(FOLDER).join(folder);
        let seal_path = place.join(SEAL);
        let seal = match read(&self.root.join(&seal_path), seal::MOST_BYTES) {
            Ok(Some(bytes)) => Seal::read(&bytes, folder, keys).map_err(|error| error.to_string()),
            Ok(None) => Err("it has no seal".into()),
            Err(error) => Err(error.to_string()),
        };
        let seal = match seal {
            Ok(seal) => seal,
            Err(why) => {
                self.left += 1;
                self.line(&place, &format!("not taken: {why}"))?;
                // Told once, and not file by file.
                self.sealed.push(place);
                return Ok(());
            }
        };
        self.sealed.push(seal_path);
        for (path, hash) in &seal.files {
            let path = place.join(path);
            let took = self.file(&path, hash);
            match took {
                Ok(Took::New) => self.taken += 1,
                Ok(Took::There) => {
                    self.taken += 1;
                    self.there += 1;
                }
                Ok(Took::NotOurs) => self.not_films += 1,
                Err(why) => {
                    self.left += 1;
                    self.line(&path, &why)?;
                }
            }
            self.sealed.push(path);
        }
        Ok(())
    }

    /// Takes in one file; an error is in words.
    fn file(&self, path: &Path, hash: &str) -> Result<Took, String> {
        let bytes = match read(&self.root.join(path), MAX_BYTES as u64) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err("missing: it is sealed, and not there".into()),
            Err(StickError::File { error, .. }) => return Err(format!("not taken: {error}")),
            Err(error) => return Err(format!("not taken: {error}")),
        };
        if sha256(&bytes) != hash {
            return Err("changed: it has other bytes than were sealed".into());
        }
        match &self.target {
            Target::Folder(out) => copy(&out.join(path).with_extension("dcm"), &bytes),
            Target::Station(station) => {
                let name = path.file_name().and_then(|name| name.to_str());
                match name.and_then(kind) {
                    Some(Kind::Original | Kind::Deidentified) => {
                        let new = station.upload(&path.display().to_string(), &bytes);
                        let new = new.map_err(|why| format!("not taken: {why}"))?;
                        Ok(if new { Took::New } else { Took::There })
                    }
                    _ => Ok(Took::NotOurs),
                }
            }
        }
    }

    /// Tells of files that no seal lists: among the stations' one by one, and of others how many there are.
    fn tell_unsealed(&mut self) -> Result<()> {
        let mut unsealed = Vec::new();
        walk(self.root, Path::new(""), 0, &mut unsealed);
        self.sealed.sort();
        // A folder without a seal that holds was told as one.
        unsealed.retain(|path| {
            let above = path.ancestors();
            !{ above }.any(|above| {
                self.sealed
                    .binary_search_by(|sealed| (**sealed).cmp(above))
                    .is_ok()
            })
        });
        unsealed.sort();
        let others = unsealed
            .extract_if(.., |path| !path.starts_with(FOLDER))
            .count();
        if others > 0 {
            writeln!(
                io::stdout(),
                "{others} other files on the stick are no station's, and not taken"
            )?;
        }
        self.left += unsealed.len();
        for path in unsealed.iter().take(MOST_TOLD) {
            self.line(path, "not taken: no seal lists it")?;
        }
        if unsealed.len() > MOST_TOLD {
            let more = unsealed.len() - MOST_TOLD;
            writeln!(io::stdout(), "and {more} more that no seal lists")?;
        }
        Ok(())
    }

    fn line(&self, path: &Path, what: &str) -> io::Result<()> {
        let line = format!("{}: {what}", path.display());
        writeln!(io::stdout(), "{}", printable(&line))
    }

    /// Tells what was done. Returns true if nothing was left.
    fn tell(&self) -> Result<bool> {
        let mut out = io::stdout().lock();
        let (taken, there) = (self.taken, self.there);
        match &self.target {
            Target::Folder(folder) => {
                let folder = folder.display();
                writeln!(
                    out,
                    "{taken} files are in {folder}, {there} of them were before"
                )?;
            }
            Target::Station(_) => {
                writeln!(
                    out,
                    "the station has {taken} films, {there} of them had it before"
                )?;
            }
        }
        if self.not_films > 0 {
            writeln!(
                out,
                "{} reports, captures and pages are no films: --out DIR copies them, too",
                self.not_films
            )?;
        }
        if self.left > 0 {
            writeln!(out, "{} not taken", self.left)?;
        }
        out.flush()?;
        Ok(self.left == 0)
    }
}

/// Copies a file, unless its bytes are there.
fn copy(path: &Path, bytes: &[u8]) -> Result<Took, String> {
    let failed = |error: &dyn std::error::Error| format!("not taken: {} ({error})", path.display());
    match read(path, MAX_BYTES as u64) {
        Ok(Some(there)) if there == bytes => return Ok(Took::There),
        Ok(Some(_)) => {
            let path = path.display();
            return Err(format!("not taken: {path} is there with other bytes"));
        }
        Ok(None) => {}
        Err(error) => return Err(failed(&error)),
    }
    let written = match path.parent() {
        Some(folder) => fs::create_dir_all(folder).and_then(|()| replace_file(path, bytes)),
        None => Ok(()),
    };
    written.map(|()| Took::New).map_err(|error| failed(&error))
}

/// Gathers the files below a folder that can be seen there, by their paths from `root`. Links are not followed.
fn walk(root: &Path, below: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(root.join(below)).into_iter().flatten();
    for entry in entries.flatten() {
        // What was not finished when the stick was pulled.
        if is_unfinished(&entry.file_name()) {
            continue;
        }
        let path = below.join(entry.file_name());
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if files.len() >= MOST_FILES {
            return;
        }
        match is_folder && depth < MOST_DEPTH {
            true => walk(root, &path, depth + 1, files),
            false => files.push(path),
        }
    }
}
