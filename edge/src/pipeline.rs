//! The steps of screening a film: received, decoded, examined, gated, read, drawn. Each step takes the state
//! before it and gives the next, and nothing here prints or writes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use image::RgbImage;
use plumbline_reader::{Bundle, BundleError, Reading};
use plumbline_shared::decode::Header;
use plumbline_shared::film::Film;
use plumbline_shared::preprocess::{Prepared, Rect, prepare};

use crate::intake::{DecodedFile, IntakeError, THIS_PROGRAM, WAIT, decode_with};
use crate::overlay::{Caption, overlay};
use crate::quality::{self, Finding, QualityGate};

/// An error of one of the steps. Each message is a whole sentence and names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The file gives no film.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// The film should not be read.
    #[error("{} {}", path.display(), in_words(findings))]
    Quality {
        /// The film.
        path: PathBuf,
        /// All rules that the film breaks, those that do not refuse it, too.
        findings: Vec<Finding>,
        /// What was done to make the film of its file, in words.
        notes: Vec<String>,
    },
    /// A network has no answer.
    #[error("{}: {error}", path.display())]
    Reader {
        /// The film.
        path: PathBuf,
        /// The reader's error.
        error: BundleError,
    },
}

/// The findings that refuse a film, in one sentence.
fn in_words(findings: &[Finding]) -> String {
    let refusing = findings.iter().filter(|finding| finding.refuses());
    let sentences: Vec<String> = refusing.map(Finding::to_string).collect();
    sentences.join("; it ")
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

/// A film that the gate has looked at.
#[derive(Debug)]
pub struct Examined<'a> {
    decoded: Decoded<'a>,
    prepared: Prepared,
    tensor: Vec<f32>,
    findings: Vec<Finding>,
    prepare: Duration,
    gate: Duration,
}

/// A film that is to be read.
#[derive(Debug)]
pub struct Gated<'a>(Examined<'a>);

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
    /// The rules that the film breaks: cautions, and, where it was read all the same, those that
    /// refuse it.
    pub findings: Vec<Finding>,
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
    /// At the gate.
    pub gate: Duration,
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
    /// Looks for everything that is wrong with the film.
    ///
    /// # Errors
    /// [`PipelineError::Reader`] if the gate's network has no answer.
    pub fn examine(self, gate: &QualityGate) -> Result<Examined<'a>, PipelineError> {
        let start = Instant::now();
        let prepared = prepare(&self.file.film);
        let tensor = prepared.tensor();
        let prepare = start.elapsed();
        let (film, header) = (&self.file.film, self.file.header.as_ref());
        let findings = gate.check(film, header, &tensor);
        let findings = findings.map_err(|error| unread(self.path, error))?;
        Ok(Examined {
            decoded: self,
            prepared,
            tensor,
            findings,
            prepare,
            gate: start.elapsed() - prepare,
        })
    }

    /// Lets the film pass if it is good enough to be read.
    ///
    /// # Errors
    /// [`PipelineError::Quality`] with everything that is wrong, or [`PipelineError::Reader`].
    pub fn gate(self, gate: &QualityGate) -> Result<Gated<'a>, PipelineError> {
        self.examine(gate)?.accept()
    }
}

impl<'a> Examined<'a> {
    /// Everything that is wrong with the film.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Lets the film pass if no finding refuses it.
    ///
    /// # Errors
    /// [`PipelineError::Quality`].
    pub fn accept(self) -> Result<Gated<'a>, PipelineError> {
        if self.findings.iter().any(Finding::refuses) {
            return Err(PipelineError::Quality {
                path: self.decoded.path.to_path_buf(),
                findings: self.findings,
                notes: self.decoded.file.notes,
            });
        }
        Ok(Gated(self))
    }

    /// Lets the film pass whatever is wrong with it, as a supervisor may decide. Its findings go with
    /// it.
    pub fn read_anyway(self) -> Gated<'a> {
        Gated(self)
    }
}

impl<'a> Gated<'a> {
    /// Reads the film with `bundle`.
    ///
    /// # Errors
    /// [`PipelineError::Reader`].
    pub fn read(self, bundle: &Bundle) -> Result<Read<'a>, PipelineError> {
        let Examined {
            decoded,
            prepared,
            tensor,
            mut findings,
            prepare,
            gate,
        } = self.0;
        let Decoded {
            path,
            file,
            time: decode,
        } = decoded;
        let DecodedFile {
            film,
            notes,
            header,
        } = file;
        let start = Instant::now();
        let reading = bundle.read(&tensor).map_err(|error| unread(path, error))?;
        findings.extend(quality::after_reading(&reading));
        Ok(Read {
            path,
            film,
            notes,
            header,
            findings,
            reading,
            content: prepared.content(),
            times: Times {
                decode,
                prepare,
                gate,
                read: start.elapsed(),
            },
        })
    }
}

/// The error of a network that has no answer.
fn unread(path: &Path, error: BundleError) -> PipelineError {
    PipelineError::Reader {
        path: path.to_path_buf(),
        error,
    }
}

impl Read<'_> {
    /// Draws the film with the heat map of where the network looked, and the result in words.
    pub fn draw(&self, bundle: &Bundle) -> RgbImage {
        let manifest = bundle.manifest();
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        let doubts = self
            .findings
            .iter()
            .map(|finding| format!("This film {finding}."));
        let doubts: Vec<String> = doubts.collect();
        let caption = Caption {
            film: &name.to_string_lossy(),
            model: &manifest.model,
            model_version: &manifest.model_version,
            decision: &self.reading.decision,
            doubts: &doubts,
            notes: &self.notes,
        };
        overlay(&self.film, &self.reading.cam, self.content, &caption)
    }
}
