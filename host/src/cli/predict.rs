//! `plumbline predict`.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use plumbline_shared::architecture::Architecture;
use plumbline_shared::decode::{Decoded, Listing, decode, read_file};
use plumbline_shared::json::{ACCEPTED, Milliseconds, ReadingLine};
use plumbline_shared::preprocess::{SIDE, prepare};
use plumbline_shared::printable::printable;
use serde::Serialize;
use serde_json::json;

use super::model::AnyModelArgs;
use super::{out, sentence};
use crate::model::{Answer, Class, Model};

/// Arguments of `plumbline predict`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: AnyModelArgs,
    /// The architecture of --weights: efficientnet-b0 or densenet121
    #[arg(long)]
    arch: Option<Architecture>,
    /// Films (DICOM, PNG, JPEG, TIFF, BMP, WebP) or folders of them
    #[arg(required_unless_present = "tensor", value_name = "FILM")]
    films: Vec<PathBuf>,
    /// Normalised input instead of films: f32, N x 3 x 256 x 256, in NumPy's format
    #[arg(long, value_name = "X.npy", conflicts_with = "films")]
    tensor: Option<PathBuf>,
    /// One JSON object a line instead of a table
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let model = args.model.open(args.arch)?;
    if let Some(path) = &args.tensor {
        for (index, tensor) in tensors(path)?.chunks_exact(INPUT).enumerate() {
            let start = Instant::now();
            let answer = model.ask(tensor)?;
            let times = Milliseconds {
                read: elapsed(start),
                ..Milliseconds::default()
            };
            let film = format!("{}[{index}]", path.display());
            out::line(told(args.json, &model, (&film, &[]), &answer, times)?)?;
        }
        return Ok(());
    }
    let listing = Listing::of(&args.films);
    let mut failed = listing.failures.len();
    for failure in &listing.failures {
        out::complain(failure);
    }
    for film in &listing.films {
        match read_film(&model, film) {
            Ok((answer, notes, times)) => {
                let name = film.to_string_lossy();
                out::line(told(args.json, &model, (&name, &notes), &answer, times)?)?;
            }
            Err(error) => {
                out::complain(format_args!("{}: {}", film.display(), sentence(&error)));
                failed += 1;
            }
        }
    }
    if failed > 0 {
        bail!("{failed} films could not be read; the sentences above say why");
    }
    Ok(())
}

/// Elements of one film's input.
const INPUT: usize = 3 * SIDE * SIDE;

fn elapsed(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1e5).round() / 100.0
}

fn read_film(model: &Model, path: &Path) -> anyhow::Result<(Answer, Vec<String>, Milliseconds)> {
    let start = Instant::now();
    let Decoded { film, notes } = decode(&read_file(path)?)?;
    let decode = Some(elapsed(start));
    let start = Instant::now();
    let tensor = prepare(&film).tensor();
    let prepare = Some(elapsed(start));
    let start = Instant::now();
    let answer = model.ask(&tensor)?;
    let times = Milliseconds {
        decode,
        prepare,
        read: elapsed(start),
        ..Milliseconds::default()
    };
    let notes = notes.iter().map(ToString::to_string).collect();
    Ok((answer, notes, times))
}

/// A film's answer as a line.
fn told(
    as_json: bool,
    model: &Model,
    (film, film_notes): (&str, &[String]),
    answer: &Answer,
    milliseconds: Milliseconds,
) -> serde_json::Result<String> {
    let reading = match answer {
        Answer::Reading(reading) => reading,
        Answer::Classes(classes) if as_json => {
            return serde_json::to_string(&ClassesLine {
                film,
                model: &model.name,
                model_version: &model.version,
                outputs: classes.iter().map(output).collect(),
                quality: ACCEPTED,
                film_notes,
                milliseconds,
            });
        }
        Answer::Classes(classes) => {
            return Ok(format!("{}  {}", highest(classes), printable(film)));
        }
    };
    let decision = &reading.decision;
    if as_json {
        let model = (&*model.name, &*model.version);
        return ReadingLine::new(
            (film, film_notes),
            model,
            decision,
            &reading.cam,
            milliseconds,
        )
        .to_json();
    }
    let call = match decision.positive {
        true => "positive",
        false => "negative",
    };
    let (probability, threshold) = (decision.probability, decision.threshold);
    let film = printable(film);
    Ok(format!(
        "{call}  {probability:.4} (from {threshold:.4})  {film}"
    ))
}

/// One line of `--json` for a network of other classes than scoliosis.
#[derive(Serialize)]
struct ClassesLine<'a> {
    film: &'a str,
    model: &'a str,
    model_version: &'a str,
    outputs: Vec<serde_json::Value>,
    quality: &'a str,
    film_notes: &'a [String],
    milliseconds: Milliseconds,
}

/// One class of a classifier as JSON. Named classes are findings that do not exclude one another,
/// so that each has a probability of its own.
fn output(class: &Class) -> serde_json::Value {
    let logit = class.logit;
    match &class.name {
        Some(name) => json!({ "class": name, "logit": logit, "probability": probability(logit) }),
        None => json!({ "class": null, "logit": logit }),
    }
}

fn probability(logit: f32) -> f64 {
    1.0 / (1.0 + (-f64::from(logit)).exp())
}

/// The three classes with the highest outputs in words.
fn highest(classes: &[Class]) -> String {
    let mut order: Vec<usize> = (0..classes.len()).collect();
    order.sort_by(|a, b| classes[*b].logit.total_cmp(&classes[*a].logit));
    let words = order.iter().take(3).map(|at| match &classes[*at] {
        Class {
            name: Some(name),
            logit,
        } => format!("{name} {:.4}", probability(*logit)),
        Class { name: None, logit } => format!("output {at}: {logit:.4}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// The elements of a `N x 3 x 256 x 256` array in NumPy's format.
fn tensors(path: &Path) -> anyhow::Result<Vec<f32>> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
    let array = npyz::NpyFile::new(BufReader::new(file))
        .with_context(|| format!("{name} is not an array in NumPy's format"))?;
    let shape = array.shape().to_vec();
    let side = SIDE as u64;
    if shape.len() != 4 || shape[1..] != [3, side, side] || array.order() != npyz::Order::C {
        bail!("{name} has shape {shape:?}; give N x 3 x {SIDE} x {SIDE} in C order");
    }
    array
        .into_vec::<f32>()
        .with_context(|| format!("{name} does not hold 32-bit floats"))
}
