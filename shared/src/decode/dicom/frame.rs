//! The frame of a DICOM file: its size, and how its values are stored.

use dicom_dictionary_std::tags;

use super::dataset::Dataset;
use super::error::{damaged, unsupported};
use crate::decode::error::DecodeError;
use crate::film::Film;
use crate::grey::Stored;

/// The attributes of the Image Pixel module (PS3.3 C.7.6.3).
pub(super) struct Frame {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// Bits Allocated: 8 or 16.
    pub bits_allocated: u16,
    /// Number of bits below the stored ones.
    pub shift: u16,
    /// The format of a stored value.
    pub stored: Stored,
    /// What the stored values stand for.
    pub photometric: Photometric,
}

/// Photometric Interpretation (PS3.3 C.7.6.3.1.2), as far as films have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Photometric {
    /// Grey.
    Monochrome {
        /// True if the least value is the brightest.
        inverted: bool,
    },
    /// Numbers of entries in a table of colours.
    Palette,
    /// Three samples a pixel.
    Colour(ColourLayout),
}

/// What the three samples of a pixel are, and how they are stored where they are not compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ColourLayout {
    /// True if they are luminance and two of chrominance.
    pub ybr: bool,
    /// True if two pixels beside one another share their chrominance.
    pub halved: bool,
    /// Planar Configuration 1: one plane of each.
    pub planar: bool,
}

impl Frame {
    /// Reads the attributes from a data set.
    ///
    /// # Errors
    /// If one is missing, or the frame is no single one of 8 or 16 bits allocated.
    pub(super) fn of(dataset: &Dataset) -> Result<Self, DecodeError> {
        let photometric = photometric(dataset)?;
        let frames = dataset.decimal(tags::NUMBER_OF_FRAMES, 0)?;
        if let Some(frames) = frames.filter(|frames| *frames > 1.0) {
            return Err(unsupported(
                alloc::format!("{frames} frames"),
                "give a single film",
            ));
        }
        let width = dataset.required_word(tags::COLUMNS, "Columns")?;
        let height = dataset.required_word(tags::ROWS, "Rows")?;
        Film::check_size(width.into(), height.into())?;
        let bits_allocated = dataset.required_word(tags::BITS_ALLOCATED, "Bits Allocated")?;
        let bits = dataset.required_word(tags::BITS_STORED, "Bits Stored")?;
        // One below Bits Stored - 1 cannot be.
        let high_bit = dataset.word(tags::HIGH_BIT)?;
        let high_bit = high_bit.map_or(bits, |high| high.saturating_add(1).max(bits));
        if !matches!(bits_allocated, 8 | 16) || bits == 0 || high_bit > bits_allocated {
            return Err(unsupported(
                alloc::format!("{bits} bits stored in {bits_allocated}"),
                "export it with 8 to 16 bits a pixel",
            ));
        }
        Ok(Self {
            width,
            height,
            bits_allocated,
            shift: high_bit - bits,
            stored: Stored {
                bits: bits as u8,
                signed: dataset.word(tags::PIXEL_REPRESENTATION)? == Some(1),
            },
            photometric,
        })
    }

    /// Number of pixels.
    pub(super) fn pixels(&self) -> usize {
        usize::from(self.width) * usize::from(self.height)
    }
}

fn photometric(dataset: &Dataset) -> Result<Photometric, DecodeError> {
    let name = dataset.text(tags::PHOTOMETRIC_INTERPRETATION);
    let name = name
        .map(|name| name.to_uppercase())
        .filter(|name| !name.is_empty());
    let samples = dataset.word(tags::SAMPLES_PER_PIXEL)?.unwrap_or(1);
    let planar = dataset.word(tags::PLANAR_CONFIGURATION)? == Some(1);
    // Presentation LUT Shape (PS3.3, C.11.6.1.2) says the same of MONOCHROME1, and is the only
    // one to say it of an inverted MONOCHROME2.
    let shape = dataset.text(tags::PRESENTATION_LUT_SHAPE);
    match (name.as_deref(), samples) {
        (Some("MONOCHROME1"), 1) => Ok(Photometric::Monochrome { inverted: true }),
        (Some("MONOCHROME2"), 1) => Ok(Photometric::Monochrome {
            inverted: shape.as_deref() == Some("INVERSE"),
        }),
        (Some("PALETTE COLOR"), 1) => Ok(Photometric::Palette),
        (Some(name @ ("RGB" | "YBR_RCT" | "YBR_ICT" | "YBR_FULL" | "YBR_FULL_422")), 3) => {
            Ok(Photometric::Colour(ColourLayout {
                ybr: name.starts_with("YBR_FULL"),
                halved: name == "YBR_FULL_422",
                planar,
            }))
        }
        (Some(name), ..=1) if name.starts_with("MONOCHROME") => Err(unsupported(
            alloc::format!("photometric interpretation {name}"),
            "export it as MONOCHROME2",
        )),
        (Some(_), _) => Err(DecodeError::Colour),
        (None, _) => Err(damaged("it has no Photometric Interpretation")),
    }
}
