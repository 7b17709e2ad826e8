//! The printed results: a table for people or JSON lines for programs.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use plumbline_shared::json::{FindingLine, Milliseconds, Quality, ReadingLine, RefusedLine};
use plumbline_shared::manifest::Manifest;
use plumbline_shared::printable::printable;

use super::screened::Screened;
use crate::intake::IntakeError;
use crate::pipeline::{PipelineError, Read};
use crate::quality::{Finding, QualityGate, Severity};

/// Greatest width of the table's first column, in characters.
const WIDEST: usize = 60;

/// Prints results one by one.
pub(super) struct Report<'a> {
    json: bool,
    manifest: &'a Manifest,
    width: usize,
    rows: usize,
}

impl<'a> Report<'a> {
    /// Makes a report on `films`, read with the model of `manifest`.
    pub fn new(json: bool, manifest: &'a Manifest, films: &[PathBuf]) -> Self {
        let widths = films
            .iter()
            .map(|film| film.to_string_lossy().chars().count());
        Self {
            json,
            manifest,
            width: widths.max().unwrap_or_default().clamp(4, WIDEST),
            rows: 0,
        }
    }

    /// Prints one film's result at once.
    pub fn tell(&mut self, screened: &Screened) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", self.line(screened)?)?;
        } else {
            let decision = &screened.read.reading.decision;
            let result = if decision.positive {
                "refer"
            } else {
                "no sign"
            };
            if self.rows == 0 {
                let Self {
                    width, manifest, ..
                } = self;
                writeln!(out, "{} {}", manifest.model, manifest.model_version)?;
                writeln!(
                    out,
                    "{:width$}  result   probability  threshold    ms",
                    "film"
                )?;
            }
            writeln!(
                out,
                "{:width$}  {result:7}  {:11.4}  {:9.4}  {:4.0}",
                printable(&screened.read.path.to_string_lossy()),
                decision.probability,
                decision.threshold,
                milliseconds(screened.total),
                width = self.width,
            )?;
        }
        self.rows += 1;
        out.flush()
    }

    /// Prints the JSON line of a film that `gate` refuses, or whose decoder refused it by one of the
    /// gate's rules; nothing of other films.
    pub fn refuse(&mut self, error: &PipelineError, gate: &QualityGate) -> io::Result<()> {
        let undecoded;
        let (path, findings, notes): (_, _, &[String]) = match error {
            PipelineError::Quality {
                path,
                findings,
                notes,
            } => (path, findings, notes),
            PipelineError::Intake(IntakeError::Refused {
                path,
                code,
                reason,
                header,
            }) => {
                undecoded = gate.check_undecoded(*code, reason, header.as_deref());
                (path, &undecoded, &[])
            }
            _ => return Ok(()),
        };
        if !self.json || findings.is_empty() {
            return Ok(());
        }
        let line = RefusedLine {
            film: &path.to_string_lossy(),
            quality: quality(findings),
            findings: lines(findings),
            film_notes: notes,
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{}", line.to_json()?)?;
        out.flush()
    }

    fn line(&self, screened: &Screened) -> io::Result<String> {
        let Read {
            path,
            notes,
            findings,
            reading,
            times,
            ..
        } = &screened.read;
        let film = path.to_string_lossy();
        let model = (&*self.manifest.model, &*self.manifest.model_version);
        let steps = Milliseconds {
            decode: Some(milliseconds(times.decode)),
            prepare: Some(milliseconds(times.prepare)),
            gate: Some(milliseconds(times.gate)),
            read: milliseconds(times.read),
            overlay: Some(milliseconds(screened.overlay)),
            total: Some(milliseconds(screened.total)),
        };
        let line = ReadingLine::new(
            (&film, notes),
            model,
            &reading.decision,
            &reading.cam,
            steps,
        );
        let line = ReadingLine {
            quality: quality(findings),
            findings: lines(findings),
            ..line
        };
        Ok(line.to_json()?)
    }
}

/// The codes of the findings that refuse a film.
fn quality(findings: &[Finding]) -> Quality<'static> {
    let refusing = findings.iter().filter(|finding| finding.refuses());
    Quality(refusing.map(|finding| finding.code.name()).collect())
}

fn lines(findings: &[Finding]) -> Vec<FindingLine<'_>> {
    let lines = findings.iter().map(|finding| FindingLine {
        code: finding.code.name(),
        severity: match finding.severity {
            Severity::Refuse => "refuse",
            Severity::Caution => "caution",
        },
        sentence: &finding.sentence,
        advice: finding.advice,
    });
    lines.collect()
}

/// Returns a time in milliseconds, to a microsecond.
fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}
