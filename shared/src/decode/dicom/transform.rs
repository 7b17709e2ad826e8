//! The transform from stored values to grey that a data set describes (PS3.3 C.11.1, C.11.2 and
//! C.7.5.1.1.2).

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::dataset::{Dataset, name, to_words};
use super::error::damaged;
use crate::decode::error::DecodeError;
use crate::grey::{
    Fixed, GreyscaleTransform, Lut, ModalityTransform, Stored, VoiLutFunction, VoiTransform,
};

/// Most windows of a film that are looked at for one with a centre and a width.
const MOST_WINDOWS: usize = 8;

/// Returns the transform from values as they are `stored` to grey that a data set describes.
///
/// The VR of a number that may be signed or not is not looked at: it depends on the values that the
/// number is compared with, and files that say otherwise are wrong.
///
/// # Errors
/// If a number or a table of it cannot be read.
pub(super) fn of(
    dataset: &Dataset,
    stored: Stored,
    inverted: bool,
) -> Result<GreyscaleTransform, DecodeError> {
    let modality = modality(dataset, stored)?;
    // PS3.3, C.11.2.1.1: the first value mapped is signed if a value before it may be.
    let voi = voi(dataset, modality.may_be_negative(stored))?;
    Ok(GreyscaleTransform {
        stored,
        modality,
        voi,
        inverted,
        padding: padding(dataset, stored.signed)?,
    })
}

/// Returns the functional groups `group` of the only frame, its own before the shared one (PS3.3,
/// C.7.6.16). What they say comes before what the data set itself says.
pub(super) fn functional_groups<'a>(
    dataset: &Dataset<'a>,
    group: Tag,
) -> Result<Vec<Dataset<'a>>, DecodeError> {
    let mut found = Vec::new();
    for groups in [
        tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
        tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    ] {
        if let Some(groups) = dataset.first_item(groups)? {
            found.extend(groups.first_item(group)?);
        }
    }
    Ok(found)
}

fn modality(dataset: &Dataset, stored: Stored) -> Result<ModalityTransform, DecodeError> {
    let groups = functional_groups(dataset, tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE)?;
    for dataset in groups.iter().chain([dataset]) {
        if let Some(lut) = lut(dataset, tags::MODALITY_LUT_SEQUENCE, stored.signed)? {
            return Ok(ModalityTransform::Lut(lut));
        }
        if let Some(rescale) = rescale(dataset)? {
            return Ok(rescale);
        }
    }
    Ok(ModalityTransform::IDENTITY)
}

/// Returns the linear transform of Rescale Slope and Rescale Intercept; none if they are missing.
fn rescale(dataset: &Dataset) -> Result<Option<ModalityTransform>, DecodeError> {
    let slope = fixed(dataset, tags::RESCALE_SLOPE, 0)?;
    let intercept = fixed(dataset, tags::RESCALE_INTERCEPT, 0)?;
    if slope == Some(Fixed::ZERO) {
        return Err(damaged("its Rescale Slope is 0"));
    }
    if slope.is_none() && intercept.is_none() {
        return Ok(None);
    }
    Ok(Some(ModalityTransform::Rescale {
        slope: slope.unwrap_or(Fixed::ONE),
        intercept: intercept.unwrap_or(Fixed::ZERO),
    }))
}

/// Returns the VOI transform; `signed`: its table may begin with a negative value.
fn voi(dataset: &Dataset, signed: bool) -> Result<VoiTransform, DecodeError> {
    let groups = functional_groups(dataset, tags::FRAME_VOILUT_SEQUENCE)?;
    for dataset in groups.iter().chain([dataset]) {
        if let Some(lut) = lut(dataset, tags::VOILUT_SEQUENCE, signed)? {
            return Ok(VoiTransform::Lut(spread_over_own_range(lut)));
        }
        if let Some(window) = window(dataset)? {
            return Ok(window);
        }
    }
    Ok(VoiTransform::Percentiles)
}

/// Returns the table with the bits that its entries have. Writers also name the bits in which they
/// store an entry, 8 or 16, where the number of bits that it uses belongs.
fn spread_over_own_range(lut: Lut) -> Lut {
    let greatest = lut.entries.iter().copied().max().unwrap_or(0);
    let used = (16 - greatest.leading_zeros() as u8).max(1);
    let wrong = used > lut.bits || matches!(lut.bits, 8 | 16);
    Lut {
        bits: if wrong { used } else { lut.bits },
        ..lut
    }
}

/// Returns the first window; none if there is none, or none with a width that its function allows.
fn window(dataset: &Dataset) -> Result<Option<VoiTransform>, DecodeError> {
    let mut found = None;
    for index in 0..MOST_WINDOWS {
        let centre = fixed(dataset, tags::WINDOW_CENTER, index)?;
        let width = fixed(dataset, tags::WINDOW_WIDTH, index)?;
        found = centre.zip(width);
        if found.is_some() {
            break;
        }
    }
    let Some((centre, width)) = found else {
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

/// Returns an element's number at `index`; none if it is missing or empty.
fn fixed(dataset: &Dataset, tag: Tag, index: usize) -> Result<Option<Fixed>, DecodeError> {
    let Some(value) = dataset.decimal(tag, index)? else {
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

/// Returns the lookup table in the first item of `sequence`, if there is one. `signed`: the first
/// value that it maps may be negative.
fn lut(dataset: &Dataset, sequence: Tag, signed: bool) -> Result<Option<Lut>, DecodeError> {
    let Some(item) = dataset.first_item(sequence)? else {
        return Ok(None);
    };
    let descriptor = item.words(tags::LUT_DESCRIPTOR)?;
    if descriptor.is_empty() && item.bytes(tags::LUT_DATA).is_empty() {
        return Ok(None);
    }
    let [count, first, bits] = descriptor[..] else {
        return Err(damaged(
            "its lookup table has no descriptor of three numbers",
        ));
    };
    let entries = entries(&item, tags::LUT_DATA, count, bits)?;
    Ok(Some(Lut {
        first: word_value(first, signed),
        bits: bits as u8,
        entries,
    }))
}

/// Returns the entries of the lookup table in `tag`, `count` of them, each in a word or in a byte; a
/// count of 0 means 2^16.
pub(super) fn entries(
    dataset: &Dataset,
    tag: Tag,
    count: u16,
    bits: u16,
) -> Result<Vec<u16>, DecodeError> {
    let count = match count {
        0 => 1 << 16,
        count => usize::from(count),
    };
    let data = dataset.bytes(tag);
    let mut entries: Vec<u16> = if data.len() >= 2 * count {
        to_words(data, dataset.big_endian())
    } else if dataset.big_endian() {
        // Two bytes in each word.
        let words = to_words(data, true);
        (words.iter().flat_map(|w| w.to_le_bytes()))
            .map(u16::from)
            .collect()
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
    Ok(entries)
}

/// Returns the range from Pixel Padding Value to Pixel Padding Range Limit, if there is one.
fn padding(dataset: &Dataset, signed: bool) -> Result<Option<RangeInclusive<i32>>, DecodeError> {
    let value = |tag| {
        let word = dataset.word(tag)?;
        Ok::<_, DecodeError>(word.map(|word| word_value(word, signed)))
    };
    let Some(one) = value(tags::PIXEL_PADDING_VALUE)? else {
        return Ok(None);
    };
    let other = value(tags::PIXEL_PADDING_RANGE_LIMIT)?.unwrap_or(one);
    Ok(Some(one.min(other)..=one.max(other)))
}

/// Returns the number that a word stands for.
fn word_value(word: u16, signed: bool) -> i32 {
    match signed {
        true => i32::from(word as i16),
        false => i32::from(word),
    }
}
