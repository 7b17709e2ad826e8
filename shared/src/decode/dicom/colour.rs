//! Grey films that DICOM files keep in colour: three samples a pixel, or numbers in a palette (PS3.3
//! C.7.6.3.1.2 and C.7.9).

use alloc::vec::Vec;
use std::io::Cursor;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use image::ImageFormat;

use super::dataset::{Dataset, Pixels};
use super::error::{damaged, unsupported};
use super::file::File;
use super::frame::{ColourLayout, Frame};
use super::pixels::{Compression, native, require_size, stored_values};
use super::{rle, transform};
use crate::decode::colour::{Grey, to_grey};
use crate::decode::error::DecodeError;
use crate::decode::{jpeg, jpeg_2000};

/// Descriptors and data of the palette's red, green and blue.
const PALETTE: [(Tag, Tag); 3] = [
    (
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    ),
    (
        tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    ),
    (
        tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    ),
];

/// Returns the 8-bit grey of a frame of three samples a pixel.
pub(super) fn of_samples(
    file: &File,
    dataset: &Dataset,
    frame: &Frame,
    ColourLayout {
        ybr,
        halved,
        planar,
    }: ColourLayout,
) -> Result<Grey, DecodeError> {
    if frame.bits_allocated != 8 || frame.stored.bits != 8 {
        return Err(unsupported(
            alloc::format!("three samples of {} bits", frame.stored.bits),
            "export it in grey",
        ));
    }
    let interleaved = |planar: bool, samples: Vec<u16>| -> Vec<[u16; 3]> {
        match planar {
            true => {
                let (first, rest) = samples.split_at(frame.pixels());
                let (second, third) = rest.split_at(frame.pixels());
                let planes = first.iter().zip(second).zip(third);
                planes.map(|((r, g), b)| [*r, *g, *b]).collect()
            }
            false => samples.as_chunks().0.to_vec(),
        }
    };
    let fragments = match dataset.pixels()? {
        Pixels::Native { bytes, words } => {
            file.require_known()?;
            if halved {
                let samples = native(frame, bytes, *words, dataset.big_endian(), 2)?;
                return grey(with_whole_chrominance(&samples), ybr);
            }
            let samples = native(frame, bytes, *words, dataset.big_endian(), 3)?;
            return grey(interleaved(planar, samples), ybr);
        }
        Pixels::Encapsulated(fragments) => fragments,
    };
    let stream = fragments.concat();
    match Compression::of(file.syntax(), &stream)? {
        Compression::Rle => {
            let planes = rle::planes(&stream, frame.pixels(), 3)?;
            let samples = planes
                .iter()
                .flatten()
                .map(|byte| u16::from(*byte))
                .collect();
            grey(interleaved(true, samples), ybr)
        }
        Compression::Jpeg => {
            if !jpeg::is_whole(&stream) {
                return Err(damaged("its JPEG stream ends before its last line"));
            }
            let Some(size) = jpeg::size_by_dct(&stream) else {
                let what = "colours in lossless JPEG or JPEG-LS";
                return Err(unsupported(what, "export it in grey"));
            };
            require_size(frame, size)?;
            let named = jpeg::with_named_components(&stream, !ybr);
            let stream = named.as_deref().unwrap_or(&stream);
            if let Some(apart) = jpeg::read_apart(stream)? {
                return apart.grey();
            }
            // The decoder turns luminance and chrominance into colours.
            let picture = image::load(Cursor::new(stream), ImageFormat::Jpeg);
            let picture = picture
                .map_err(|error| unsupported(error, "export it in grey"))?
                .into_rgb8();
            require_size(frame, picture.dimensions())?;
            to_grey(picture.pixels().map(|p| p.0.map(u16::from)), 8)
        }
        Compression::Jpeg2000 => {
            let picture = jpeg_2000::decode_colours(&stream)?;
            require_size(frame, (picture.width, picture.height))?;
            grey(picture.colours, ybr && !picture.transformed)
        }
        Compression::Deflate => Err(unsupported("deflated colours", "export it in grey")),
    }
}

/// Returns the three samples of each pixel from those of pairs of pixels, which share their
/// chrominance (PS3.3, C.7.6.3.1.2: YBR_FULL_422).
fn with_whole_chrominance(samples: &[u16]) -> Vec<[u16; 3]> {
    let pairs = samples.as_chunks().0.iter();
    pairs
        .flat_map(|[first, second, blue, red]| [[*first, *blue, *red], [*second, *blue, *red]])
        .collect()
}

/// Returns the grey of colours, or of luminance and two of chrominance.
fn grey(pixels: Vec<[u16; 3]>, ybr: bool) -> Result<Grey, DecodeError> {
    match ybr {
        true => to_grey(pixels.iter().map(|pixel| rgb(*pixel)), 8),
        false => to_grey(pixels.iter().copied(), 8),
    }
}

/// Returns the colour of luminance and two of chrominance (PS3.3, C.7.6.3.1.2).
fn rgb(ybr: [u16; 3]) -> [u16; 3] {
    let [y, blue, red] = ybr.map(|sample| i32::from(sample) * 1000);
    let (blue, red) = ((blue - 128_000) / 1000, (red - 128_000) / 1000);
    let colour = [y + 1402 * red, y - 344 * blue - 714 * red, y + 1772 * blue];
    colour.map(|channel| ((channel + 500).div_euclid(1000)).clamp(0, 255) as u16)
}

/// Returns the 16-bit grey of a frame of numbers in a palette.
pub(super) fn of_palette(
    file: &File,
    dataset: &Dataset,
    frame: &Frame,
) -> Result<Grey, DecodeError> {
    if !dataset
        .bytes(tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA)
        .is_empty()
    {
        return Err(unsupported("a palette in segments", "export it in grey"));
    }
    let mut tables = Vec::with_capacity(3);
    for (descriptor, data) in PALETTE {
        let [count, first, bits] = dataset.words(descriptor)?[..] else {
            return Err(damaged("its palette has no descriptor of three numbers"));
        };
        tables.push((first, transform::entries(dataset, data, count, bits)?));
    }
    // Writers also name the bits in which they store an entry where those that it uses belong.
    let entries = tables.iter().flat_map(|(_, entries)| entries);
    let scale = match entries.max() {
        Some(..=255) => 257,
        _ => 1,
    };
    let stored = stored_values(file, dataset, frame)?;
    let colour = |value: &u16| {
        let channel = |(first, entries): &(u16, Vec<u16>)| {
            let at = usize::from(value.saturating_sub(*first)).min(entries.len() - 1);
            entries[at] * scale
        };
        [0, 1, 2].map(|table: usize| channel(&tables[table]))
    };
    to_grey(stored.values.iter().map(colour), 16)
}
