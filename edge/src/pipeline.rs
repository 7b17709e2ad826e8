//! The steps of screening a film: received, decoded, gated, read, drawn. Each step takes the state
//! before it and gives the next, and nothing here prints or writes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use image::RgbImage;
use plumbline_reader::{Bundle, BundleError, Reading};
use plumbline_shared::decode::Header;
use plumbline_shared::film::Film;
use plumbline_shared::preprocess::{Rect, prepare};

use crate::intake::{DecodedFile, IntakeError, THIS_PROGRAM, WAIT, decode_with};
use crate::overlay::{Caption, overlay};
use crate::quality::{self, QualityError};

/// An error of one of the steps. Each message is a whole sentence and names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The file gives no film.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// The film should be taken again.
    #[error("{} {error}", path.display())]
    Quality {
        /// The film.
        path: PathBuf,
        /// The rule that the film breaks.
        error: QualityError,
    },
    /// The network has no answer.
    #[error("{}: {error}", path.display())]
    Reader {
        /// The film.
        path: PathBuf,
        /// The reader's error.
        error: BundleError,
    },
}

/// A film's file, not yet opened.
#[derive(Debug)]
pub struct Received<'a> {
    path: &'a Path,
    decoder: &'a Path,
}

/// A film whose file was decoded.
#[derive(Debug)]
pub struct Decoded<'a> {
    path: &'a Path,
    file: DecodedFile,
    time: Duration,
}

/// A film that is good enough to be read.
#[derive(Debug)]
pub struct Gated<'a>(Decoded<'a>);

/// A film that was read.
#[derive(Debug)]
pub struct Read<'a> {
    /// The film's file.
    pub path: &'a Path,
    /// The film.
    pub film: Film,
    /// What was done to make the film of its file, in words.
    pub notes: Vec<String>,
    /// The patient, examination and view, if the file is a DICOM file.
    pub header: Option<Header>,
    /// The network's answer.
    pub reading: Reading,
    /// The part of the network's 256 x 256 input that the film fills.
    pub content: Rect,
    /// The time of each step so far.
    pub times: Times,
}

/// The time that each step took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// From the file to a film.
    pub decode: Duration,
    /// From a film to the network's input.
    pub prepare: Duration,
    /// In the network.
    pub read: Duration,
}

impl<'a> Received<'a> {
    /// Takes a film that has arrived as the file `path`. The running program decodes it, which
    /// must be `plumbline-edge`; other programs name their decoder by
    /// [`decoded_by`](Self::decoded_by).
    pub fn new(path: &'a Path) -> Self {
        Self {
            path,
            decoder: Path::new(THIS_PROGRAM),
        }
    }

    /// Sets the executable of `plumbline-edge` that decodes the film.
    pub fn decoded_by(self, decoder: &'a Path) -> Self {
        Self { decoder, ..self }
    }

    /// Decodes the file in a process of its own.
    ///
    /// # Errors
    /// [`PipelineError::Intake`].
    pub fn decode(self) -> Result<Decoded<'a>, PipelineError> {
        let start = Instant::now();
        let file = decode_with(self.decoder, self.path, WAIT)?;
        Ok(Decoded {
            path: self.path,
            file,
            time: start.elapsed(),
        })
    }
}

impl<'a> Decoded<'a> {
    /// Lets the film pass whatever the gate would say, at somebody's word.
    pub fn read_anyway(self) -> Gated<'a> {
        Gated(self)
    }

    /// Lets the film pass if it is good enough to be read.
    ///
    /// # Errors
    /// [`PipelineError::Quality`].
    pub fn gate(self) -> Result<Gated<'a>, PipelineError> {
        match quality::check(&self.file.film) {
            Ok(()) => Ok(Gated(self)),
            Err(error) => Err(PipelineError::Quality {
                path: self.path.to_path_buf(),
                error,
            }),
        }
    }
}

impl<'a> Gated<'a> {
    /// Reads the film with `bundle`.
    ///
    /// # Errors
    /// [`PipelineError::Reader`].
    pub fn read(self, bundle: &Bundle) -> Result<Read<'a>, PipelineError> {
        let Decoded {
            path,
            file,
            time: decode,
        } = self.0;
        let DecodedFile {
            film,
            notes,
            header,
        } = file;
        let start = Instant::now();
        let prepared = prepare(&film);
        let tensor = prepared.tensor();
        let prepare = start.elapsed();
        let reading = bundle
            .read(&tensor)
            .map_err(|error| PipelineError::Reader {
                path: path.to_path_buf(),
                error,
            })?;
        Ok(Read {
            path,
            film,
            notes,
            header,
            reading,
            content: prepared.content(),
            times: Times {
                decode,
                prepare,
                read: start.elapsed() - prepare,
            },
        })
    }
}

impl Read<'_> {
    /// Draws the film with the heat map of where the network looked, and the result in words.
    pub fn draw(&self, bundle: &Bundle) -> RgbImage {
        let manifest = bundle.manifest();
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        let caption = Caption {
            film: &name.to_string_lossy(),
            model: &manifest.model,
            model_version: &manifest.model_version,
            decision: &self.reading.decision,
            notes: &self.notes,
        };
        overlay(&self.film, &self.reading.cam, self.content, &caption)
    }
}
