//! What is printed: a table for people or JSON lines for programs.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use plumbline_shared::manifest::Manifest;
use serde::Serialize;

use super::Screened;

/// The widest the table's first column gets, in characters.
const WIDEST: usize = 60;

/// Prints results one by one.
pub(super) struct Report<'a> {
    json: bool,
    manifest: &'a Manifest,
    width: usize,
    rows: usize,
}

/// One line of JSON. Scripts depend on these names.
#[derive(Serialize)]
struct Line<'a> {
    film: String,
    model: &'a str,
    model_version: &'a str,
    logit: f32,
    probability: f64,
    threshold: f64,
    positive: bool,
    quality: &'a str,
    cam: Vec<&'a [f32]>,
    milliseconds: Milliseconds,
}

#[derive(Serialize)]
struct Milliseconds {
    decode: f64,
    prepare: f64,
    read: f64,
    overlay: f64,
    total: f64,
}

impl<'a> Report<'a> {
    /// A report on `films`, read with the model of `manifest`.
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
                plain(&screened.film.to_string_lossy()),
                decision.probability,
                decision.threshold,
                milliseconds(screened.total),
                width = self.width,
            )?;
        }
        self.rows += 1;
        out.flush()
    }

    fn line(&self, screened: &Screened) -> io::Result<String> {
        let reading = &screened.read.reading;
        let line = Line {
            film: screened.film.to_string_lossy().into_owned(),
            model: &self.manifest.model,
            model_version: &self.manifest.model_version,
            logit: reading.decision.logit,
            probability: reading.decision.probability,
            threshold: reading.decision.threshold,
            positive: reading.decision.positive,
            quality: "accepted",
            cam: reading.cam.values.chunks(reading.cam.columns).collect(),
            milliseconds: Milliseconds {
                decode: milliseconds(screened.decode),
                prepare: milliseconds(screened.read.prepare),
                read: milliseconds(screened.read.read),
                overlay: milliseconds(screened.overlay),
                total: milliseconds(screened.total),
            },
        };
        Ok(serde_json::to_string(&line)?)
    }
}

/// To a microsecond.
fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

/// `text` for the terminal, which control characters in a file's name must not reach.
pub(super) fn plain(text: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(visible).collect()
}
