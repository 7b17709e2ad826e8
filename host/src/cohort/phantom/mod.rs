//! `cohort phantom`: chest films drawn by physics, with the exact truth.
//!
//! A point source 1.7 to 1.85 m from the detector; soft tissues as solids whose chords along each
//! ray are closed forms, cut out of one another; bones as hollow tubes, the vertebrae as tilted
//! cylinders with endplates; Beer and Lambert's law, quantum noise, blur, a grey curve. Everything
//! but the coronal curve is drawn alike for both classes.

mod bones;
mod camera;
mod chord;
pub mod curve;
mod dice;
mod exposure;
mod files;
pub mod film;
mod layer;
mod organs;
mod patient;
pub mod spine;
#[cfg(test)]
mod tests;
mod vertebrae;
mod vessels;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::manifest::{self, Convexity, CurveType, MANIFEST, Row};
use super::split;
use curve::{LEVELS, SCOLIOSIS_DEGREES};
pub(crate) use dice::Dice;
use film::Phantom;

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
    /// Number of films, one a patient.
    pub films: u64,
    /// Share of positives; their number is the rounded product.
    pub prevalence: f64,
    /// Seed of everything random.
    pub seed: u64,
    /// Folder to write.
    #[serde(skip)]
    pub out: PathBuf,
    /// File format of the films.
    pub format: Format,
    /// Pixels along each edge of a film.
    pub side: u32,
}

/// Why a phantom cohort cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhantomError {
    /// The options make no cohort.
    #[error("cannot draw such a cohort: {0}")]
    Options(&'static str),
    /// The folder holds something else.
    #[error("{} is not empty and holds no unfinished cohort of these options; give a new folder", .0.display())]
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
    let splits = split::stratified(&labels, &mut Dice::new(options.seed, 0));
    let rows = degrees
        .par_iter()
        .zip(&splits)
        .enumerate()
        .map(|(index, (&degrees, &split))| {
            let phantom = Phantom::draw(options.seed, index as u64, degrees, options.side as usize);
            let row = row(options, index, &phantom, split, degrees);
            if !(options.out.join(&row.film).is_file()
                && row
                    .mask
                    .as_ref()
                    .is_some_and(|m| options.out.join(m).is_file()))
            {
                write_film(options, index, phantom, &row)?;
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

fn check(options: &PhantomOptions) -> Result<(), PhantomError> {
    if !(1..=1_000_000).contains(&options.films) {
        return Err(PhantomError::Options("films must be 1 to 1,000,000"));
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
    let empty = fs::read_dir(out).map_err(failed(out))?.next().is_none();
    let text = serde_json::to_vec_pretty(options).map_err(|error| PhantomError::Encode {
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

/// The Cobb angle of every film: exact quotas of both classes in random order, angles in whole
/// hundredths of a degree so that the manifest loses nothing.
fn angles(options: &PhantomOptions) -> Vec<f64> {
    let positives = (options.films as f64 * options.prevalence).round() as u64;
    let mut dice = Dice::new(options.seed, u64::MAX);
    let mut labels: Vec<bool> = (0..options.films).map(|i| i < positives).collect();
    dice.shuffle(&mut labels);
    labels
        .into_iter()
        .map(|positive| {
            let hundredths = |value: f64| (value * 100.0).round() / 100.0;
            loop {
                // Most curves that screening finds are mild; most spines have none to speak of.
                let angle = if positive {
                    hundredths(SCOLIOSIS_DEGREES + dice.weibull(1.2, 15.5))
                } else {
                    hundredths(dice.weibull(1.1, 3.2))
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
    index: usize,
    phantom: &Phantom,
    split: manifest::Split,
    degrees: f64,
) -> Row {
    let cobb = phantom.cobb();
    let positive = degrees >= SCOLIOSIS_DEGREES;
    let extension = match options.format {
        Format::Png => "png",
        Format::Dicom => "dcm",
    };
    Row {
        film: format!("films/{index:06}.{extension}"),
        patient: format!("phantom-{}-{index:06}", options.seed),
        split,
        study: None,
        label: Some(u8::from(positive)),
        refusal: None,
        findings: None,
        cobb_angles: None,
        rotation_degrees: None,
        cobb_degrees: Some(degrees as f32),
        curve: Some(if positive {
            phantom.curve().kind()
        } else {
            CurveType::None
        }),
        apex: positive.then(|| LEVELS[cobb.apex].to_owned()),
        convexity: Some(if positive {
            cobb.convexity
        } else {
            Convexity::None
        }),
        mask: Some(format!("masks/{index:06}.png")),
        age: Some(phantom.patient.age as u8),
        sex: Some(phantom.patient.sex),
        projection: Some(phantom.projection()),
        seed: Some(options.seed),
    }
}

fn write_film(
    options: &PhantomOptions,
    index: usize,
    mut phantom: Phantom,
    row: &Row,
) -> Result<(), PhantomError> {
    let side = options.side as usize;
    let film = options.out.join(&row.film);
    let failed = |what: String| PhantomError::Encode {
        file: film.clone(),
        what,
    };
    let (pixels, mask) = phantom.expose();
    let bytes = match options.format {
        Format::Png => files::png16(side, &pixels).map_err(|e| failed(e.to_string()))?,
        Format::Dicom => {
            let identity = files::Identity {
                patient: &row.patient,
                seed: options.seed,
                index: index as u64,
            };
            files::dicom(&identity, &phantom, side, &pixels).map_err(|e| failed(e.to_string()))?
        }
    };
    place(&film, &bytes)?;
    if let Some(path) = &row.mask {
        let bytes = files::png8(side, &mask).map_err(|e| failed(e.to_string()))?;
        place(&options.out.join(path), &bytes)?;
    }
    Ok(())
}

/// Writes a file under a temporary name, then renames it, so that it is never half there.
fn place(file: &Path, bytes: &[u8]) -> Result<(), PhantomError> {
    let temporary = file.with_extension("part");
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, file))
        .map_err(|source| PhantomError::Write {
            file: file.to_owned(),
            source,
        })
}
