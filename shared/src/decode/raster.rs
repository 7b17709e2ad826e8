//! PNG, JPEG and TIFF pictures: grey, or grey kept as colour.

use alloc::string::ToString;
use alloc::vec::Vec;
use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Pixel, Primitive,
};

use super::error::DecodeError;
use super::jpeg;
use crate::film::{Film, MAX_PIXELS};
use crate::grey::GreyscaleTransform;

/// Most by which the channels of a grey pixel may differ, of 255: the rounding of JPEG's conversion
/// to luminance and chrominance and back.
const CHANNEL_TOLERANCE: u32 = 4;

/// A picture's file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Png,
    Jpeg,
    Tiff,
}

impl Format {
    /// Returns the format whose signature `bytes` start with.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        const STARTS: [(&[u8], Format); 4] = [
            (b"\x89PNG\r\n\x1a\n", Format::Png),
            (b"\xff\xd8\xff", Format::Jpeg),
            (b"II*\0", Format::Tiff),
            (b"MM\0*", Format::Tiff),
        ];
        let found = STARTS.iter().find(|(start, _)| bytes.starts_with(start))?;
        Some(found.1)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG file",
            Self::Jpeg => "JPEG file",
            Self::Tiff => "TIFF file",
        }
    }

    fn of_library(self) -> ImageFormat {
        match self {
            Self::Png => ImageFormat::Png,
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Tiff => ImageFormat::Tiff,
        }
    }

    fn damaged(self, reason: impl ToString) -> DecodeError {
        DecodeError::Damaged {
            format: self.name(),
            reason: reason.to_string(),
        }
    }
}

/// Reads a picture and stretches it by its robust percentiles.
pub(super) fn decode(format: Format, bytes: &[u8]) -> Result<Film, DecodeError> {
    if format == Format::Jpeg && !jpeg::is_whole(bytes) {
        // The decoder would fill the missing part with grey.
        return Err(format.damaged("it ends before its last line"));
    }
    let refused = |error: ImageError| match error {
        ImageError::Unsupported(error) => DecodeError::Unsupported {
            format: format.name(),
            what: error.to_string(),
            remedy: "give it as 8 or 16-bit grey",
        },
        error => format.damaged(error),
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format.of_library());
    let mut limits = Limits::default();
    // Four channels of 16 bits.
    limits.max_alloc = Some(MAX_PIXELS * 8);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    Film::check_size(width, height)?;
    let orientation = decoder.orientation().map_err(refused)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(refused)?;
    picture.apply_orientation(orientation);
    let (width, height) = (picture.width(), picture.height());
    let (bits, stored) = grey_values(format, picture)?;
    Ok(GreyscaleTransform::of_picture(bits).film(width, height, stored)?)
}

/// Returns the bits of a pixel, and the pixels.
fn grey_values(format: Format, picture: DynamicImage) -> Result<(u8, Vec<u16>), DecodeError> {
    use DynamicImage as Kind;
    let kind = picture.color();
    let (bits, values) = match picture {
        Kind::ImageLuma8(picture) => (8, single(picture.pixels())),
        Kind::ImageLumaA8(picture) => (8, single(picture.pixels())),
        Kind::ImageRgb8(picture) => (8, merged(picture.pixels(), CHANNEL_TOLERANCE)?),
        Kind::ImageRgba8(picture) => (8, merged(picture.pixels(), CHANNEL_TOLERANCE)?),
        Kind::ImageLuma16(picture) => (16, picture.into_raw()),
        Kind::ImageLumaA16(picture) => (16, single(picture.pixels())),
        Kind::ImageRgb16(picture) => (16, merged(picture.pixels(), CHANNEL_TOLERANCE * 257)?),
        Kind::ImageRgba16(picture) => (16, merged(picture.pixels(), CHANNEL_TOLERANCE * 257)?),
        _ => {
            return Err(DecodeError::Unsupported {
                format: format.name(),
                what: alloc::format!("{kind:?}"),
                remedy: "give it as 8 or 16-bit grey",
            });
        }
    };
    Ok((bits, values))
}

/// Returns the first channel; a second one is opacity.
fn single<'a, P: Pixel<Subpixel: Into<u16>> + 'a>(pixels: impl Iterator<Item = &'a P>) -> Vec<u16> {
    pixels.map(|pixel| pixel.channels()[0].into()).collect()
}

/// Returns the mean of the three channels, which must be within `tolerance` of one another.
fn merged<'a, P: Pixel<Subpixel: Into<u16> + Primitive> + 'a>(
    pixels: impl Iterator<Item = &'a P>,
    tolerance: u32,
) -> Result<Vec<u16>, DecodeError> {
    pixels
        .map(|pixel| {
            let [red, green, blue] = [0, 1, 2].map(|c| u32::from(pixel.channels()[c].into()));
            let spread = red.max(green).max(blue) - red.min(green).min(blue);
            if spread > tolerance {
                return Err(DecodeError::Colour);
            }
            // At most the greatest channel, a u16.
            Ok(((red + green + blue + 1) / 3) as u16)
        })
        .collect()
}
