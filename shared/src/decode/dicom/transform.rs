//! The transform from stored values to grey that a data set describes (PS3.3 C.11.1, C.11.2 and
//! C.7.5.1.1.2).

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::dataset::{Dataset, name};
use super::error::damaged;
use super::frame::Frame;
use crate::decode::error::DecodeError;
use crate::grey::{
    Fixed, GreyscaleTransform, Lut, ModalityTransform, VoiLutFunction, VoiTransform,
};

/// Returns the transform from stored values to grey that a data set describes.
///
/// # Errors
/// If a number or a table of it cannot be read.
pub(super) fn of(dataset: &Dataset, frame: &Frame) -> Result<GreyscaleTransform, DecodeError> {
    let signed = frame.stored.signed;
    Ok(GreyscaleTransform {
        stored: frame.stored,
        modality: match lut(dataset, tags::MODALITY_LUT_SEQUENCE, signed)? {
            Some(lut) => ModalityTransform::Lut(lut),
            None => rescale(dataset)?,
        },
        voi: match lut(dataset, tags::VOILUT_SEQUENCE, signed)? {
            Some(lut) => VoiTransform::Lut(lut),
            None => window(dataset)?.unwrap_or(VoiTransform::Percentiles),
        },
        inverted: frame.inverted,
        padding: padding(dataset, signed),
    })
}

/// Returns the linear transform of Rescale Slope and Rescale Intercept; no change if they are
/// missing.
fn rescale(dataset: &Dataset) -> Result<ModalityTransform, DecodeError> {
    let slope = fixed(dataset, tags::RESCALE_SLOPE)?.unwrap_or(Fixed::ONE);
    if slope == Fixed::ZERO {
        return Err(damaged("its Rescale Slope is 0"));
    }
    let intercept = fixed(dataset, tags::RESCALE_INTERCEPT)?.unwrap_or(Fixed::ZERO);
    Ok(ModalityTransform::Rescale { slope, intercept })
}

/// Returns the first window; none if there is none, or none with a width that its function allows.
fn window(dataset: &Dataset) -> Result<Option<VoiTransform>, DecodeError> {
    let centre = fixed(dataset, tags::WINDOW_CENTER)?;
    let width = fixed(dataset, tags::WINDOW_WIDTH)?;
    let (Some(centre), Some(width)) = (centre, width) else {
        return Ok(None);
    };
    let function = match dataset.text(tags::VOILUT_FUNCTION).as_deref() {
        Some("LINEAR_EXACT") => VoiLutFunction::LinearExact,
        Some("SIGMOID") => VoiLutFunction::Sigmoid,
        _ => VoiLutFunction::Linear,
    };
    let allowed = match function {
        VoiLutFunction::Linear => width >= Fixed::ONE,
        VoiLutFunction::LinearExact | VoiLutFunction::Sigmoid => width > Fixed::ZERO,
    };
    Ok(allowed.then_some(VoiTransform::Window {
        centre,
        width,
        function,
    }))
}

/// Returns an element's first number; none if it is missing or empty.
fn fixed(dataset: &Dataset, tag: Tag) -> Result<Option<Fixed>, DecodeError> {
    let Some(value) = dataset.decimal(tag, 0)? else {
        return Ok(None);
    };
    match Fixed::from_f64(value) {
        Some(value) => Ok(Some(value)),
        None => Err(damaged(alloc::format!(
            "its {} {tag} is {value}, which is out of range",
            name(tag)
        ))),
    }
}

/// Returns the lookup table in the first item of `sequence`, if there is one.
fn lut(dataset: &Dataset, sequence: Tag, signed: bool) -> Result<Option<Lut>, DecodeError> {
    let descriptor = dataset.words(Some(sequence), tags::LUT_DESCRIPTOR);
    let [count, first, bits] = descriptor[..] else {
        return Ok(None);
    };
    let count = match count {
        0 => 1 << 16,
        count => usize::from(count),
    };
    let data = dataset.bytes(Some(sequence), tags::LUT_DATA);
    let mut entries: Vec<u16> = if data.len() >= 2 * count {
        dataset.to_words(data)
    } else {
        data.iter().map(|byte| u16::from(*byte)).collect()
    };
    if entries.len() < count || !(1..=16).contains(&bits) {
        return Err(damaged(alloc::format!(
            "its lookup table has {} entries of {bits} bits where {count} are announced",
            entries.len()
        )));
    }
    entries.truncate(count);
    Ok(Some(Lut {
        first: word_value(
            first,
            dataset.signed(Some(sequence), tags::LUT_DESCRIPTOR, signed),
        ),
        bits: bits as u8,
        entries,
    }))
}

/// Returns the range from Pixel Padding Value to Pixel Padding Range Limit, if there is one.
fn padding(dataset: &Dataset, signed: bool) -> Option<RangeInclusive<i32>> {
    let value = |tag| {
        let word = *dataset.words(None, tag).first()?;
        Some(word_value(word, dataset.signed(None, tag, signed)))
    };
    let one = value(tags::PIXEL_PADDING_VALUE)?;
    let other = value(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(one);
    Some(one.min(other)..=one.max(other))
}

/// Returns the number that a word stands for.
fn word_value(word: u16, signed: bool) -> i32 {
    match signed {
        true => i32::from(word as i16),
        false => i32::from(word),
    }
}
