//! A delivery's object: the film's own file, or what is made of one of its results.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use plumbline_dimse::service::EXPLICIT;
use plumbline_shared::decision::Decision;
use plumbline_shared::decode::{self, DecodeError, Header};
use plumbline_shared::preprocess::letterbox;

use crate::deidentify::{Deidentified, deidentify_with};
use crate::intake::{WAIT, decode_with};
use crate::overlay::{Caption, overlay};
use crate::page::{self, PageError};
use crate::report::{Made, Station, capture, encapsulated, report};
use crate::store::{DataSet, Delivery, Filing, Finding, Kind, Store, StoreError, StoredReading};

/// An object that is ready to be sent.
pub(super) struct Letter {
    /// Its SOP Class UID.
    pub class: String,
    /// Its SOP Instance UID.
    pub instance: String,
    /// The Study Instance UID.
    pub study: String,
    /// Its transfer syntax.
    pub syntax: String,
    /// The PDF within it: what a folder gets.
    pub pdf: Option<Vec<u8>>,
    /// The film's patient, study and series; none of what was made, whose file tells them.
    header: Option<Header>,
    file: Content,
}

enum Content {
    /// The file of a film, and its bytes.
    Kept(PathBuf, u64),
    /// A file that was made.
    Made(Vec<u8>),
}

/// Why there is no object to be sent.
pub(super) enum Unwritten {
    /// It may be had later.
    Now(String),
    /// It will never be had.
    Ever(String),
}

impl From<StoreError> for Unwritten {
    fn from(error: StoreError) -> Self {
        let why = error.to_string();
        match error {
            StoreError::State { .. } | StoreError::NoFilm(_) => Self::Ever(why),
            _ => Self::Now(why),
        }
    }
}

impl From<PageError> for Unwritten {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Store(error) => error.into(),
            PageError::Decode(_) => Self::Now(error.to_string()),
            PageError::Report(error) => Self::Ever(error.to_string()),
        }
    }
}

impl Letter {
    /// Makes the object of a delivery.
    pub fn write(
        store: &Store,
        station: &Station,
        program: &Path,
        delivery: &Delivery,
    ) -> Result<Self, Unwritten> {
        let filing = store.filing(delivery.film, delivery.result)?;
        let mut pdf = None;
        let made = match delivery.kind {
            Kind::Original => return Self::of_film(store, &filing),
            Kind::Deidentified => return Self::of_nobody(store, program, &filing),
            Kind::Report => report(station, &filing),
            Kind::Capture => {
                let picture = picture(store, program, &filing)?;
                capture(station, &filing, picture)
            }
            Kind::Page => {
                let page = page::of(store, station, program, &filing)?;
                pdf = Some(page.clone());
                encapsulated(station, &filing, page)
            }
        };
        let Made {
            class,
            instance,
            file,
        } = made.map_err(|error| Unwritten::Ever(error.to_string()))?;
        let study = &filing.film.header.study_instance_uid;
        Ok(Self {
            class: class.to_owned(),
            instance,
            study: study.clone().unwrap_or_default(),
            syntax: EXPLICIT.to_owned(),
            pdf,
            header: None,
            file: Content::Made(file),
        })
    }

    fn of_film(store: &Store, filing: &Filing) -> Result<Self, Unwritten> {
        let header = &filing.film.header;
        let path = store.path(&filing.film)?;
        let data_set = DataSet::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Unwritten::Ever("its file is missing: restore a backup".into())
            }
            _ => Unwritten::Now(error.to_string()),
        })?;
        let no_syntax = || Unwritten::Ever("its file does not tell its transfer syntax".into());
        let known = |uid: &Option<String>| uid.clone().unwrap_or_default();
        Ok(Self {
            class: known(&header.sop_class_uid),
            instance: known(&header.sop_instance_uid),
            study: known(&header.study_instance_uid),
            syntax: data_set.ok_or_else(no_syntax)?.transfer_syntax().to_owned(),
            pdf: None,
            header: Some(header.clone()),
            file: Content::Kept(path, filing.film.bytes),
        })
    }

    /// The bytes of its file.
    pub fn bytes(&self) -> u64 {
        match &self.file {
            Content::Kept(_, bytes) => *bytes,
            Content::Made(bytes) => bytes.len() as u64,
        }
    }

    /// Makes the film that names nobody, unless its pixels may do so.
    fn of_nobody(store: &Store, program: &Path, filing: &Filing) -> Result<Self, Unwritten> {
        let path = store.path(&filing.film)?;
        let made = deidentify_with(program, store.folder(), &path);
        let Deidentified { film, file } = made.map_err(|error| match error.may_pass() {
            true => Unwritten::Now(error.to_string()),
            false => Unwritten::Ever(error.to_string()),
        })?;
        if !film.says_no_text {
            let why = "it does not say that its pixels show no text (Burned In Annotation): export \
                       it by hand with --burned-in-checked once somebody has looked";
            return Err(Unwritten::Ever(why.into()));
        }
        Ok(Self {
            class: film.class,
            instance: film.instance,
            study: film.study,
            syntax: film.syntax,
            pdf: None,
            header: None,
            file: Content::Made(file),
        })
    }

    /// Its patient, study and series. `file` is its file.
    pub fn header(&self, file: &[u8]) -> Result<Header, DecodeError> {
        match &self.header {
            Some(header) => Ok(header.clone()),
            None => decode::header(file),
        }
    }

    /// Opens its file.
    pub fn file(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match &self.file {
            Content::Kept(path, _) => Box::new(File::open(path)?),
            Content::Made(bytes) => Box::new(Cursor::new(bytes)),
        })
    }

    /// Reads its file.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file()?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Opens its data set, behind the file meta information.
    pub fn data_set(&self) -> io::Result<Box<dyn Read + '_>> {
        let unknown = || io::Error::other("it has no file meta information");
        Ok(match &self.file {
            Content::Kept(path, _) => Box::new(DataSet::open(path)?.ok_or_else(unknown)?),
            Content::Made(bytes) => Box::new(
                DataSet::read(Cursor::new(bytes), bytes.len() as u64)?.ok_or_else(unknown)?,
            ),
        })
    }
}

/// Draws a film that was read, with its heat map, and nobody's name.
fn picture(store: &Store, program: &Path, filing: &Filing) -> Result<image::RgbImage, Unwritten> {
    let Some(reading) = filing.reading() else {
        return Err(Unwritten::Ever("the film was not read".into()));
    };
    let path = store.path(&filing.film)?;
    let decoded = decode_with(program, &path, WAIT);
    let decoded = decoded.map_err(|error| match error.may_pass() {
        true => Unwritten::Now(error.sentence()),
        false => Unwritten::Ever(error.sentence()),
    })?;
    let findings = filing.film.findings.iter();
    let doubts: Vec<_> = findings.map(Finding::as_sentence).collect();
    let film = format!("film {}", filing.film.film);
    let caption = Caption {
        film: &film,
        model: &reading.model,
        model_version: &reading.model_version,
        decision: &decision(reading),
        doubts: &doubts,
        notes: &reading.film_notes,
    };
    let content = letterbox(decoded.film.width(), decoded.film.height());
    Ok(overlay(&decoded.film, &reading.map(), content, &caption))
}

fn decision(reading: &StoredReading) -> Decision {
    Decision {
        logit: reading.logit,
        probability: reading.probability,
        threshold: reading.threshold,
        positive: reading.positive,
    }
}
