//! A whole DICOM file to its film.

use alloc::vec::Vec;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

use super::dataset::Dataset;
use super::error::unsupported;
use super::file::File;
use super::frame::{Frame, Photometric};
use super::{colour, pixels, transform};
use crate::decode::blank::blank_share;
use crate::decode::error::DecodeError;
use crate::decode::file::Decoded;
use crate::decode::note::Note;
use crate::decode::orientation::Turn;
use crate::decode::square::require_equal;
use crate::grey::{GreyscaleTransform, VoiTransform};

/// The attributes that give the distances of rows and of columns: at the patient, at the detector,
/// on the scanned film, and as a bare ratio.
const SPACINGS: [Tag; 4] = [
    tags::PIXEL_SPACING,
    tags::IMAGER_PIXEL_SPACING,
    tags::NOMINAL_SCANNED_PIXEL_SPACING,
    tags::PIXEL_ASPECT_RATIO,
];

/// SOP classes of values that are not yet processed for display.
const FOR_PROCESSING: [&str; 3] = [
    uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
    uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
    uids::DIGITAL_INTRA_ORAL_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
];

/// Reads the film in a file's data set.
pub(super) fn film(file: &File, dataset: &Dataset) -> Result<Decoded, DecodeError> {
    if !dataset.bytes(tags::DIRECTORY_RECORD_SEQUENCE).is_empty() {
        return Err(unsupported(
            "a DICOMDIR, the index of a medium",
            "give the folder of the films",
        ));
    }
    dataset.pixels()?;
    require_processed(dataset)?;
    let frame = Frame::of(dataset)?;
    require_square(dataset)?;
    let (width, height) = (frame.width.into(), frame.height.into());
    let mut notes = Vec::new();
    let (transform, values) = match frame.photometric {
        Photometric::Monochrome { inverted } => {
            let stored = pixels::stored_values(file, dataset, &frame)?;
            if stored.bits != frame.stored.bits {
                notes.push(Note::Bits {
                    pixels: stored.bits,
                    said: frame.stored.bits,
                });
            }
            let transform = transform::of(dataset, stored.format, inverted)?;
            (transform, stored.values)
        }
        Photometric::Colour(samples) => {
            let grey = colour::of_samples(file, dataset, &frame, samples)?;
            notes.extend(grey.notes);
            (GreyscaleTransform::of_picture(8), grey.values)
        }
        Photometric::Palette => {
            let grey = colour::of_palette(file, dataset, &frame)?;
            notes.extend(grey.notes);
            (GreyscaleTransform::of_picture(16), grey.values)
        }
    };
    notes.extend(notes_on(&transform));
    let film = transform.film(width, height, values)?;
    let padded = transform.padding.is_some();
    if let Some(share) = blank_share(&film, padded) {
        if transform.voi == VoiTransform::Percentiles {
            return Err(DecodeError::Blank { share });
        }
        // Is it the window, or the film?
        let stretch = GreyscaleTransform {
            voi: VoiTransform::Percentiles,
            ..transform
        };
        let values = pixels::stored_values(file, dataset, &frame)?.values;
        return Err(
            match blank_share(&stretch.film(width, height, values)?, padded) {
                Some(share) => DecodeError::Blank { share },
                None => DecodeError::NothingShown { share },
            },
        );
    }
    let turn = dataset.text(tags::PATIENT_ORIENTATION);
    let turn = turn
        .and_then(|text| Turn::of_patient(&text))
        .unwrap_or_default();
    Ok(Decoded { film, notes }.turned(turn)?)
}

/// Returns the notes on a transform to grey.
fn notes_on(transform: &GreyscaleTransform) -> impl Iterator<Item = Note> {
    let voi = match &transform.voi {
        VoiTransform::Window {
            centre,
            width,
            function,
        } => Note::Window {
            centre: centre.to_f64(),
            width: width.to_f64(),
            function: *function,
        },
        VoiTransform::Lut(_) => Note::WindowTable,
        VoiTransform::Percentiles => Note::Percentiles,
    };
    let inverted = transform.inverted.then_some(Note::Inverted);
    [voi].into_iter().chain(inverted)
}

/// Refuses the values of a detector before they are processed for display: their window and their
/// direction are not those of a film.
fn require_processed(dataset: &Dataset) -> Result<(), DecodeError> {
    let intent = dataset.text(tags::PRESENTATION_INTENT_TYPE);
    let class = dataset.text(tags::SOP_CLASS_UID).unwrap_or_default();
    match intent.as_deref() == Some("FOR PROCESSING") || FOR_PROCESSING.contains(&&*class) {
        true => Err(DecodeError::ForProcessing),
        false => Ok(()),
    }
}

/// Refuses pixels that are not square by any attribute.
fn require_square(dataset: &Dataset) -> Result<(), DecodeError> {
    let groups = transform::functional_groups(dataset, tags::PIXEL_MEASURES_SEQUENCE)?;
    for dataset in groups.iter().chain([dataset]) {
        for tag in SPACINGS {
            let (rows, columns) = (dataset.decimal(tag, 0)?, dataset.decimal(tag, 1)?);
            if let (Some(rows), Some(columns)) = (rows, columns) {
                require_equal(rows, columns)?;
            }
        }
    }
    Ok(())
}
