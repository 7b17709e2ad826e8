//! `plumbline predict`.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use plumbline_shared::decode::{Listing, decode};
use plumbline_shared::manifest::Architecture;
use plumbline_shared::preprocess::{SIDE, prepare};
use serde_json::json;

use super::model::AnyModelArgs;
use super::sentence;
use crate::model::{Answer, Class, Model};

/// Arguments of `plumbline predict`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: AnyModelArgs,
    /// The architecture of --weights: efficientnet-b0 or densenet121
    #[arg(long)]
    arch: Option<Architecture>,
    /// Films (DICOM, PNG, JPEG, TIFF) or folders of them
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
    let mut out = std::io::stdout().lock();
    if let Some(path) = &args.tensor {
        for (index, tensor) in tensors(path)?.chunks_exact(INPUT).enumerate() {
            let start = Instant::now();
            let answer = model.ask(tensor)?;
            let milliseconds = json!({ "read": elapsed(start) });
            let film = format!("{}[{index}]", path.display());
            print(&mut out, args.json, &model, &film, &answer, &milliseconds)?;
        }
        return Ok(());
    }
    let listing = Listing::of(&args.films);
    let mut failed = listing.failures.len();
    for failure in &listing.failures {
        eprintln!("plumbline: {failure}");
    }
    for film in &listing.films {
        match read_film(&model, film) {
            Ok((answer, milliseconds)) => {
                let name = film.display().to_string();
                print(&mut out, args.json, &model, &name, &answer, &milliseconds)?;
            }
            Err(error) => {
                eprintln!("plumbline: {}: {}", film.display(), sentence(&error));
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

fn read_film(model: &Model, path: &Path) -> anyhow::Result<(Answer, serde_json::Value)> {
    let start = Instant::now();
    let film = decode(&std::fs::read(path)?)?;
    let decoded = elapsed(start);
    let start = Instant::now();
    let tensor = prepare(&film).tensor();
    let prepared = elapsed(start);
    let start = Instant::now();
    let answer = model.ask(&tensor)?;
    let milliseconds = json!({ "decode": decoded, "prepare": prepared, "read": elapsed(start) });
    Ok((answer, milliseconds))
}

fn print(
    out: &mut impl Write,
    as_json: bool,
    model: &Model,
    film: &str,
    answer: &Answer,
    milliseconds: &serde_json::Value,
) -> std::io::Result<()> {
    let reading = match answer {
        Answer::Reading(reading) => reading,
        Answer::Classes(classes) if as_json => {
            let object = json!({
                "film": film,
                "model": model.name,
                "model_version": model.version,
                "outputs": classes.iter().map(output).collect::<Vec<_>>(),
                "quality": "accepted",
                "milliseconds": milliseconds,
            });
            return writeln!(out, "{object}");
        }
        Answer::Classes(classes) => return writeln!(out, "{}  {film}", highest(classes)),
    };
    let decision = &reading.decision;
    if !as_json {
        let call = if decision.positive {
            "positive"
        } else {
            "negative"
        };
        let (probability, threshold) = (decision.probability, decision.threshold);
        return writeln!(
            out,
            "{call}  {probability:.4} (from {threshold:.4})  {film}"
        );
    }
    let cam: Vec<&[f32]> = reading.cam.values.chunks(reading.cam.columns).collect();
    let object = json!({
        "film": film,
        "model": model.name,
        "model_version": model.version,
        "logit": decision.logit,
        "probability": decision.probability,
        "threshold": decision.threshold,
        "positive": decision.positive,
        "quality": "accepted",
        "cam": cam,
        "milliseconds": milliseconds,
    });
    writeln!(out, "{object}")
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
