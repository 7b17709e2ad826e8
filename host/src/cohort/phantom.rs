//! Cohorts of phantoms: films and masks drawn by [`plumbline_phantom`], and the manifest that says
//! what they show.

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use plumbline_phantom::curve::{Cobb, LEVELS};
use plumbline_phantom::{FilmSpec, Phantom, Variates, files};
use plumbline_shared::clinical::{Convexity, CurveType, Refusal, SCOLIOSIS_DEGREES};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::manifest::{self, MANIFEST, NO_FINDING, Row};
use super::split;

/// Kept in the folder while a cohort is unfinished.
const UNFINISHED: &str = "unfinished.json";
/// Shortest and longest edge of a film, in pixels.
const SIDES: std::ops::RangeInclusive<u32> = 64..=4096;

/// File format of the films.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// 16-bit grey PNG.
    Png,
    /// DICOM, Explicit VR Little Endian.
    Dicom,
}

/// What to draw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhantomOptions {
    /// Number of films to be read, one a patient.
    pub films: u64,
    /// Number of films beside them that should be refused, an equal share for each reason.
    pub refused: u64,
    /// Share of positives; their number is the rounded product.
    pub prevalence: f64,
    /// Seed of everything random.
    pub seed: u64,
    /// Folder to write.
    #[serde(skip)]
    pub out: PathBuf,
    /// File format of the films.
    pub format: Format,
    /// Pixels along the longer edge of a film.
    pub side: u32,
    /// Every film is a square, not in the formats of detectors.
    pub square: bool,
}

/// Why a phantom cohort cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhantomError {
    /// The options make no cohort.
    #[error("cannot draw such a cohort: {0}")]
    Options(&'static str),
    /// The folder holds something else.
    #[error("{} is not empty and holds no unfinished cohort of these options and this program; give a new folder", .0.display())]
    Occupied(PathBuf),
    /// A file cannot be written.
    #[error("cannot write {}: {source}; check the space and the rights there", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A film cannot be encoded.
    #[error("cannot encode {}: {what}", file.display())]
    Encode {
        /// The film.
        file: PathBuf,
        /// The encoder's reason.
        what: String,
    },
}

/// Draws a cohort: films and masks first, the manifest last. `progress` is told of every further
/// film, from any thread. A call that was cut short is finished by the same call again.
///
/// # Errors
///
/// When the options make no cohort, when the folder is in use, or when a file cannot be written.
pub fn generate(
    options: &PhantomOptions,
    progress: impl Fn(u64) + Sync,
) -> Result<(), PhantomError> {
    check(options)?;
    let note = prepare(options)?;
    let degrees = angles(options);
    let labels: Vec<bool> = degrees.iter().map(|&d| d >= SCOLIOSIS_DEGREES).collect();
    let splits = splits(options, &labels);
    let rows = degrees
        .par_iter()
        .zip(&splits)
        .enumerate()
        .map(|(index, (&degrees, &split))| {
            let spec = FilmSpec {
                seed: options.seed,
                index: index as u64,
                degrees,
                refusal: refusal(options, index as u64),
                side: options.side as usize,
                square: options.square,
            };
            let phantom = Phantom::draw(&spec);
            let row = row(options, &spec, &phantom, split);
            // A power cut may leave an empty file under the name.
            let there = |file: &String| {
                let file = options.out.join(file).metadata();
                file.is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
            };
            if !(there(&row.film) && row.mask.as_ref().is_none_or(there)) {
                write_film(options, &spec, phantom, &row)?;
            }
            progress(1);
            Ok(row)
        })
        .collect::<Result<Vec<Row>, PhantomError>>()?;
    let file = options.out.join(MANIFEST);
    let bytes = manifest::write(&rows).map_err(|error| PhantomError::Encode {
        file: file.clone(),
        what: error.to_string(),
    })?;
    place(&file, &bytes)?;
    fs::remove_file(&note).map_err(|source| PhantomError::Write { file: note, source })
}

/// The films to be read come first, those to be refused after them.
fn refusal(options: &PhantomOptions, index: u64) -> Option<Refusal> {
    let beyond = index.checked_sub(options.films)?;
    Some(Refusal::ALL[(beyond % Refusal::ALL.len() as u64) as usize])
}

/// Films to be read are split by label, those to be refused on their own.
fn splits(options: &PhantomOptions, labels: &[bool]) -> Vec<manifest::Split> {
    let (read, refused) = labels.split_at(options.films as usize);
    let mut splits = split::stratified(read, &mut Variates::new(options.seed, 0));
    let mut rng = Variates::new(options.seed, u64::MAX - 1);
    splits.extend(split::stratified(&vec![false; refused.len()], &mut rng));
    splits
}

fn check(options: &PhantomOptions) -> Result<(), PhantomError> {
    if !(1..=1_000_000).contains(&options.films) {
        return Err(PhantomError::Options("films must be 1 to 1,000,000"));
    }
    if options.refused > 1_000_000 {
        return Err(PhantomError::Options("refused must be 0 to 1,000,000"));
    }
    if !(0.0..=1.0).contains(&options.prevalence) {
        return Err(PhantomError::Options("prevalence must lie between 0 and 1"));
    }
    if !SIDES.contains(&options.side) {
        return Err(PhantomError::Options("side must be 64 to 4096 pixels"));
    }
    Ok(())
}

/// Makes the folders, and notes the options until the cohort is finished.
fn prepare(options: &PhantomOptions) -> Result<PathBuf, PhantomError> {
    let out = &options.out;
    let note = out.join(UNFINISHED);
    let failed = |file: &Path| {
        let file = file.to_owned();
        move |source| PhantomError::Write { file, source }
    };
    fs::create_dir_all(out).map_err(failed(out))?;
    let unwritten = note.with_extension("part");
    let empty = fs::read_dir(out)
        .map_err(failed(out))?
        .all(|entry| entry.is_ok_and(|entry| entry.path() == unwritten));
    let text = note_of(options).map_err(|error| PhantomError::Encode {
        file: note.clone(),
        what: error.to_string(),
    })?;
    if empty {
        place(&note, &text)?;
    } else if fs::read(&note).ok() != Some(text) {
        return Err(PhantomError::Occupied(out.clone()));
    }
    for folder in ["films", "masks"] {
        let folder = out.join(folder);
        fs::create_dir_all(&folder).map_err(failed(&folder))?;
    }
    Ok(note)
}

/// What is noted of an unfinished cohort: what draws it, and its options.
fn note_of(options: &PhantomOptions) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec_pretty(&serde_json::json!({
        "plumbline": env!("CARGO_PKG_VERSION"),
        "revision": option_env!("PLUMBLINE_REVISION"),
        "options": options,
    }))
}

/// The Cobb angle of every film: exact quotas of both classes in random spec, angles in whole
/// hundredths of a degree so that the manifest loses nothing. Films to be refused follow, with the
/// angles of negatives.
fn angles(options: &PhantomOptions) -> Vec<f64> {
    let positives = (options.films as f64 * options.prevalence).round() as u64;
    let mut rng = Variates::new(options.seed, u64::MAX);
    let mut labels: Vec<bool> = (0..options.films).map(|i| i < positives).collect();
    rng.shuffle(&mut labels);
    labels.resize((options.films + options.refused) as usize, false);
    labels
        .into_iter()
        .map(|positive| {
            let hundredths = |value: f64| (value * 100.0).round() / 100.0;
            loop {
                // Most curves that screening finds are mild; most spines have none to speak of.
                let angle = if positive {
                    hundredths(SCOLIOSIS_DEGREES + rng.weibull(1.2, 15.5))
                } else {
                    hundredths(rng.weibull(1.1, 3.2))
                };
                if (angle >= SCOLIOSIS_DEGREES) == positive && angle <= 70.0 {
                    break angle;
                }
            }
        })
        .collect()
}

fn row(
    options: &PhantomOptions,
    spec: &FilmSpec,
    phantom: &Phantom,
    split: manifest::Split,
) -> Row {
    let index = spec.index;
    let cobb = phantom.cobb();
    let positive = spec.degrees >= SCOLIOSIS_DEGREES;
    let extension = match options.format {
        Format::Png => "png",
        Format::Dicom => "dcm",
    };
    let patient = format!("phantom-{}-{index:06}", options.seed);
    let mut row = Row {
        study: Some(format!("{patient}-1")),
        refusal: spec.refusal,
        age: Some(phantom.patient.age as u8),
        sex: Some(phantom.patient.sex),
        projection: Some(phantom.projection()),
        seed: Some(options.seed),
        ..Row::new(format!("films/{index:06}.{extension}"), patient, split)
    };
    match spec.refusal {
        None => {
            row.label = Some(u8::from(positive));
            let findings = phantom.findings();
            row.findings = Some(if findings.is_empty() {
                NO_FINDING.to_owned()
            } else {
                findings.join("|")
            });
            row.cobb_degrees = Some(spec.degrees as f32);
            row.curve = Some(if positive {
                phantom.curve().kind()
            } else {
                CurveType::None
            });
            row.apex = positive.then(|| LEVELS[cobb.apex].to_owned());
            row.convexity = Some(if positive {
                cobb.convexity
            } else {
                Convexity::None
            });
            let curves: Vec<String> = phantom.curves().iter().map(Cobb::to_string).collect();
            row.cobb_angles = Some(curves.join("; "));
            row.rotation_degrees = Some(phantom.patient.rotation.to_degrees() as f32);
            row.mask = Some(format!("masks/{index:06}.png"));
        }
        // There is no patient on it.
        Some(Refusal::Blank) => {
            (row.age, row.sex, row.projection) = (None, None, None);
        }
        Some(Refusal::NotAChest) => row.projection = None,
        Some(_) => {}
    }
    row
}

fn write_film(
    options: &PhantomOptions,
    spec: &FilmSpec,
    mut phantom: Phantom,
    row: &Row,
) -> Result<(), PhantomError> {
    let path = options.out.join(&row.film);
    let failed = |what: String| PhantomError::Encode {
        file: path.clone(),
        what,
    };
    let (film, mask) = phantom.expose();
    let bytes = match options.format {
        Format::Png => files::png16(film.size, &film.greys()).map_err(|e| failed(e.to_string()))?,
        Format::Dicom => {
            let identity = files::Identity {
                patient: &row.patient,
                seed: options.seed,
                index: spec.index,
            };
            files::dicom(&identity, &phantom, &film).map_err(|e| failed(e.to_string()))?
        }
    };
    place(&path, &bytes)?;
    if let (Some(mask), Some(path)) = (mask, &row.mask) {
        let bytes = files::png8(film.size, &mask).map_err(|e| failed(e.to_string()))?;
        place(&options.out.join(path), &bytes)?;
    }
    Ok(())
}

/// Writes a file under a temporary name, then renames it, so that a call that is cut short leaves
/// no half of it.
fn place(file: &Path, bytes: &[u8]) -> Result<(), PhantomError> {
    let temporary = file.with_extension("part");
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, file))
        .map_err(|source| PhantomError::Write {
            file: file.to_owned(),
            source,
        })
}
