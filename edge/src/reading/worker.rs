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
use crate::quality::{self, IntendedUse, QualityGate};
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
        /// Why there is no network at its quality gate.
        without_gate: Option<String>,
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
pub fn worker_main(bundle: &Path, intended: IntendedUse) -> ExitCode {
    match serve(bundle, intended) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve(folder: &Path, intended: IntendedUse) -> io::Result<()> {
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
    let (gate, missing) = match QualityGate::shipped(intended) {
        Ok(gate) => gate,
        Err(error) => {
            let why = error.to_string();
            return say(&Greeting::Failed { why });
        }
    };
    let manifest = bundle.manifest();
    say(&Greeting::Ready {
        model: format!("{} {}", manifest.model, manifest.model_version),
        without_gate: missing.map(|error| error.to_string()),
    })?;
    let reader = Reader {
        bundle,
        digest,
        gate,
    };
    for line in io::stdin().lock().lines() {
        let question: Question = serde_json::from_str(&line?)?;
        say(&reader.answer(&question))?;
    }
    Ok(())
}

fn say(message: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, message)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// What a reader reads with.
struct Reader {
    bundle: Bundle,
    /// SHA-256 of the bundle's manifest.
    digest: String,
    gate: QualityGate,
}

impl Reader {
    fn answer(&self, question: &Question) -> Answer {
        match self.read(question) {
            Ok((findings, reading)) => Answer::Read { findings, reading },
            Err(PipelineError::Intake(error)) => self.undecoded(&error),
            Err(PipelineError::Quality { findings, .. }) => Answer::Refused {
                findings: findings.iter().map(stored).collect(),
            },
            Err(PipelineError::Reader { error, .. }) => Answer::Crashed {
                how: error.to_string(),
            },
        }
    }

    /// The answer for a file that gives no film.
    fn undecoded(&self, error: &IntakeError) -> Answer {
        if let IntakeError::NoProcess { .. } = error {
            return Answer::Crashed {
                how: error.sentence(),
            };
        }
        let mut findings = Vec::new();
        if let IntakeError::Refused {
            code,
            reason,
            header,
            ..
        } = error
        {
            let broken = self.gate.check_undecoded(*code, reason, header.as_deref());
            findings.extend(broken.iter().map(stored));
        }
        // A damaged file, or one of another kind, breaks no rule of the gate's.
        if findings.is_empty() {
            findings.push(Finding {
                code: error.code().into(),
                refuses: true,
                sentence: error.sentence(),
            });
        }
        Answer::Refused { findings }
    }

    fn read(&self, question: &Question) -> Result<(Vec<Finding>, StoredReading), PipelineError> {
        let decoded = Received::new(&question.path).decode()?;
        let examined = decoded.examine(&self.gate)?;
        let gated = match question.read_anyway {
            true => examined.read_anyway(),
            false => examined.accept()?,
        };
        let read = gated.read(&self.bundle)?;
        let manifest = self.bundle.manifest();
        let decision = &read.reading.decision;
        let cam = &read.reading.cam;
        let times = read.times;
        let times = [times.decode, times.prepare, times.gate, times.read];
        let reading = StoredReading {
            model: manifest.model.clone(),
            model_version: manifest.model_version.clone(),
            bundle: self.digest.clone(),
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
        };
        Ok((read.findings.iter().map(stored).collect(), reading))
    }
}

/// A finding as the store keeps it.
fn stored(finding: &quality::Finding) -> Finding {
    Finding {
        code: finding.code.name().into(),
        refuses: finding.refuses(),
        sentence: format!("it {finding}"),
    }
}
