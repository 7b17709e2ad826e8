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
    /// True if the least value is the brightest.
    pub inverted: bool,
}

impl Frame {
    /// Reads the attributes from a data set.
    ///
    /// # Errors
    /// If one is missing, or the frame is no single grey one of 8 or 16 bits allocated.
    pub(super) fn of(dataset: &Dataset) -> Result<Self, DecodeError> {
        let photometric = dataset.text(tags::PHOTOMETRIC_INTERPRETATION);
        // Presentation LUT Shape (PS3.3, C.11.6.1.2) says the same of MONOCHROME1, and is the only
        // one to say it of an inverted MONOCHROME2.
        let shape = dataset.text(tags::PRESENTATION_LUT_SHAPE);
        let inverted = match photometric.as_deref() {
            Some("MONOCHROME1") => true,
            Some("MONOCHROME2") => shape.as_deref() == Some("INVERSE"),
            Some(_) => return Err(DecodeError::Colour),
            None => return Err(damaged("it has no Photometric Interpretation")),
        };
        if dataset.words(None, tags::SAMPLES_PER_PIXEL).first() > Some(&1) {
            return Err(DecodeError::Colour);
        }
        let frames = dataset.decimal(tags::NUMBER_OF_FRAMES, 0)?;
        if let Some(frames) = frames.filter(|frames| *frames > 1.0) {
            return Err(unsupported(
                alloc::format!("{frames} frames"),
                "give a single film",
            ));
        }
        let width = dataset.word(tags::COLUMNS, "Columns")?;
        let height = dataset.word(tags::ROWS, "Rows")?;
        Film::check_size(width.into(), height.into())?;
        let bits_allocated = dataset.word(tags::BITS_ALLOCATED, "Bits Allocated")?;
        let bits = dataset.word(tags::BITS_STORED, "Bits Stored")?;
        let high_bit = (dataset.words(None, tags::HIGH_BIT).first())
            .map_or(bits, |high| high.saturating_add(1));
        if !matches!(bits_allocated, 8 | 16)
            || bits == 0
            || bits > high_bit
            || high_bit > bits_allocated
        {
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
                signed: dataset.words(None, tags::PIXEL_REPRESENTATION).first() == Some(&1),
            },
            inverted,
        })
    }

    /// Number of pixels.
    pub(super) fn pixels(&self) -> usize {
        usize::from(self.width) * usize::from(self.height)
    }
}
