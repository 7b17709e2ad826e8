//! `plumbline predict`.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use plumbline_shared::bundle::Reading;
use plumbline_shared::decode::{Listing, decode};
use plumbline_shared::manifest::Architecture;
use plumbline_shared::preprocess::{SIDE, prepare};
use serde_json::json;

use super::model::AnyModelArgs;
use super::sentence;
use crate::model::Model;

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
            let reading = model.read(tensor)?;
            let milliseconds = json!({ "read": elapsed(start) });
            let film = format!("{}[{index}]", path.display());
            print(&mut out, args.json, &model, &film, &reading, &milliseconds)?;
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
            Ok((reading, milliseconds)) => {
                let name = film.display().to_string();
                print(&mut out, args.json, &model, &name, &reading, &milliseconds)?;
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

fn read_film(model: &Model, path: &Path) -> anyhow::Result<(Reading, serde_json::Value)> {
    let start = Instant::now();
    let film = decode(&std::fs::read(path)?)?;
    let decoded = elapsed(start);
    let start = Instant::now();
    let tensor = prepare(&film).tensor();
    let prepared = elapsed(start);
    let start = Instant::now();
    let reading = model.read(&tensor)?;
    let milliseconds = json!({ "decode": decoded, "prepare": prepared, "read": elapsed(start) });
    Ok((reading, milliseconds))
}

fn print(
    out: &mut impl Write,
    as_json: bool,
    model: &Model,
    film: &str,
    reading: &Reading,
    milliseconds: &serde_json::Value,
) -> std::io::Result<()> {
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
