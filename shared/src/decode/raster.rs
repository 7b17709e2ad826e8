//! PNG, JPEG and TIFF pictures: grey, or grey kept as colour.

use alloc::string::ToString;
use alloc::vec::Vec;
use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Pixel, Primitive,
};

use super::{DecodeError, jpeg};
use crate::film::{Film, MAX_PIXELS};
use crate::grey::Grey;

/// How far apart the channels of a grey pixel may be, of 255: the rounding of JPEG's conversion
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
    /// The format that `bytes` start like.
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
    let (bits, codes) = grey_values(format, picture)?;
    Ok(Grey::of_picture(bits).film(width, height, codes)?)
}

/// Bits a pixel, and the pixels.
fn grey_values(format: Format, picture: DynamicImage) -> Result<(u8, Vec<u16>), DecodeError> {
    use DynamicImage as Kind;
    let kind = picture.color();
    let (bits, codes) = match picture {
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
    Ok((bits, codes))
}

/// The first channel; what may follow is opacity.
fn single<'a, P: Pixel<Subpixel: Into<u16>> + 'a>(pixels: impl Iterator<Item = &'a P>) -> Vec<u16> {
    pixels.map(|pixel| pixel.channels()[0].into()).collect()
}

/// The mean of the three channels, which must be within `tolerance` of one another.
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

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;

    use image::{ColorType, ImageEncoder, codecs};

    use super::*;
    use crate::decode::decode;

    fn png(pixels: &[u8], width: u32, height: u32, kind: ColorType) -> Vec<u8> {
        let mut bytes = vec![];
        codecs::png::PngEncoder::new(&mut bytes)
            .write_image(pixels, width, height, kind.into())
            .unwrap();
        bytes
    }

    fn message(bytes: &[u8]) -> String {
        decode(bytes).unwrap_err().to_string()
    }

    #[test]
    fn grey_and_grey_as_colour_are_one_film() {
        let grey: Vec<u8> = (0..200).collect();
        let film = decode(&png(&grey, 20, 10, ColorType::L8)).unwrap();
        assert_eq!((film.width(), film.height()), (20, 10));
        // Ranks 1 and 198 of 200.
        let stretched = |grey: u64| ((grey.clamp(1, 198) - 1) * 65535 + 98) / 197;
        for (pixel, grey) in film.pixels().iter().zip(&grey) {
            assert_eq!(u64::from(*pixel), stretched((*grey).into()));
        }
        let colour: Vec<u8> = grey.iter().flat_map(|g| [*g, *g, *g]).collect();
        assert_eq!(
            decode(&png(&colour, 20, 10, ColorType::Rgb8)).unwrap(),
            film
        );
        let opaque: Vec<u8> = grey.iter().flat_map(|g| [*g, *g, *g, 7]).collect();
        assert_eq!(
            decode(&png(&opaque, 20, 10, ColorType::Rgba8)).unwrap(),
            film
        );
        let deep: Vec<u8> = (grey.iter())
            .flat_map(|g| (u16::from(*g) * 257).to_ne_bytes())
            .collect();
        assert_eq!(decode(&png(&deep, 20, 10, ColorType::L16)).unwrap(), film);
        let mut tiff = Cursor::new(vec![]);
        codecs::tiff::TiffEncoder::new(&mut tiff)
            .write_image(&deep, 20, 10, ColorType::L16.into())
            .unwrap();
        assert_eq!(decode(tiff.get_ref()).unwrap(), film);
    }

    #[test]
    fn grey_jpegs_in_colour_are_read() {
        let colour: Vec<u8> = (0..64 * 64).flat_map(|i| [(i / 32) as u8; 3]).collect();
        let mut bytes = vec![];
        codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 80)
            .write_image(&colour, 64, 64, ColorType::Rgb8.into())
            .unwrap();
        assert!(decode(&bytes).is_ok());
        for length in 3..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn what_is_no_film_is_refused_in_a_sentence() {
        assert!(message(b"").contains("empty"));
        assert!(message(b"0123456789").contains("starts like none of"));
        let red: Vec<u8> = (0..100).flat_map(|i| [i, 0, 0]).collect();
        let colour = png(&red, 10, 10, ColorType::Rgb8);
        assert!(message(&colour).contains("in colour"));
        let mut huge = png(&[0], 1, 1, ColorType::L8);
        huge[16..24].copy_from_slice(&[0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20]);
        huge.splice(29..33, crc(&huge[12..29]).to_be_bytes());
        assert!(
            message(&huge).contains("20000 x 20000"),
            "{}",
            message(&huge)
        );
        let whole = png(&[0; 100], 10, 10, ColorType::L8);
        for length in 8..whole.len() - 12 {
            assert!(message(&whole[..length]).contains("PNG"), "{length}");
        }
        assert!(decode(&png(&[5], 1, 1, ColorType::L8)).is_ok());
    }

    /// PNG's checksum (ISO 3309), bit by bit.
    fn crc(bytes: &[u8]) -> u32 {
        let byte = |crc: u32, byte: &u8| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
            })
        };
        !bytes.iter().fold(u32::MAX, byte)
    }
}
