//! A reader's process: opens the bundle once, then reads films that its parent names, one a line.

use std::fs;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use plumbline_reader::{Bundle, MANIFEST};
use plumbline_shared::manifest::sha256;
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use serde::{Deserialize, Serialize};

use crate::intake::IntakeError;
use crate::pipeline::{PipelineError, Received};
use crate::store::{Answer, Finding, StoredReading};

/// Limit of the process's address space. A network takes some hundreds of MiB.
const MEMORY_MIB: u64 = 3072;

/// What a reader says first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Greeting {
    /// It has opened the bundle.
    Ready {
        /// The model's name and version.
        model: String,
    },
    /// It cannot open the bundle.
    Failed {
        /// Why, in words.
        why: String,
    },
}

/// A film to be read.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Question {
    /// The film's file.
    pub path: PathBuf,
    /// True if it is to be read whatever the quality gate says.
    pub read_anyway: bool,
}

/// Runs the hidden command `reader`: says a `Greeting`, then answers each `Question` on the
/// standard input by an [`Answer`] on the standard output, one JSON object a line, until the input
/// ends.
pub fn worker_main(bundle: &Path) -> ExitCode {
    match serve(bundle) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve(folder: &Path) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let memory = Some(MEMORY_MIB << 20);
    let limit = Rlimit {
        current: memory,
        maximum: memory,
    };
    setrlimit(Resource::As, limit)?;
    let opened = Bundle::open(folder).map_err(|error| error.to_string());
    // The manifest holds the hashes of the bundle's other files.
    let digest = fs::read(folder.join(MANIFEST)).map(|manifest| sha256(&manifest));
    let (bundle, digest) = match (opened, digest) {
        (Ok(bundle), Ok(digest)) => (bundle, digest),
        (Err(why), _) => return say(&Greeting::Failed { why }),
        (_, Err(error)) => {
            let why = error.to_string();
            return say(&Greeting::Failed { why });
        }
    };
    let manifest = bundle.manifest();
    say(&Greeting::Ready {
        model: format!("{} {}", manifest.model, manifest.model_version),
    })?;
    for line in io::stdin().lock().lines() {
        let question: Question = serde_json::from_str(&line?)?;
        say(&answer(&bundle, &digest, &question))?;
    }
    Ok(())
}

fn say(message: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, message)?;
    out.write_all(b"\n")?;
    out.flush()
}

fn answer(bundle: &Bundle, digest: &str, question: &Question) -> Answer {
    match read(bundle, digest, question) {
        Ok(reading) => Answer::Read {
            findings: Vec::new(),
            reading,
        },
        Err(PipelineError::Intake(error @ IntakeError::NoProcess { .. })) => Answer::Crashed {
            how: error.sentence(),
        },
        Err(PipelineError::Intake(error)) => Answer::Refused {
            findings: vec![Finding {
                code: error.code().into(),
                sentence: error.sentence(),
            }],
        },
        Err(PipelineError::Quality { error, .. }) => Answer::Refused {
            findings: vec![Finding {
                code: "too-small".into(),
                sentence: format!("it {error}"),
            }],
        },
        Err(PipelineError::Reader { error, .. }) => Answer::Crashed {
            how: error.to_string(),
        },
    }
}

fn read(
    bundle: &Bundle,
    digest: &str,
    question: &Question,
) -> Result<StoredReading, PipelineError> {
    let decoded = Received::new(&question.path).decode()?;
    let gated = match question.read_anyway {
        true => decoded.read_anyway(),
        false => decoded.gate()?,
    };
    let read = gated.read(bundle)?;
    let manifest = bundle.manifest();
    let decision = &read.reading.decision;
    let cam = &read.reading.cam;
    let times = [read.times.decode, read.times.prepare, read.times.read];
    Ok(StoredReading {
        model: manifest.model.clone(),
        model_version: manifest.model_version.clone(),
        bundle: digest.to_owned(),
        threshold: decision.threshold,
        logit: decision.logit,
        probability: decision.probability,
        positive: decision.positive,
        cam: cam
            .values
            .chunks(cam.columns)
            .map(<[f32]>::to_vec)
            .collect(),
        film_notes: read.notes,
        milliseconds: times.map(|time| time.as_secs_f64() * 1000.0),
    })
}
