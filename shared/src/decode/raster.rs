//! PNG, JPEG, TIFF, BMP and WebP pictures: grey, or grey kept as colour.

use alloc::string::ToString;
use alloc::vec::Vec;
use std::io::Cursor;

use image::metadata::Orientation;
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Pixel, Primitive,
};

use super::blank::blank_share;
use super::colour::{Grey, to_grey};
use super::error::DecodeError;
use super::file::Decoded;
use super::note::Note;
use super::orientation::Turn;
use super::square::require_equal;
use super::{jpeg, tiff};
use crate::film::{Film, MAX_PIXELS};
use crate::grey::GreyscaleTransform;

/// A picture's file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Png,
    Jpeg,
    Tiff,
    Bmp,
    WebP,
}

impl Format {
    /// Returns the format whose signature `bytes` start with.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        const STARTS: [(&[u8], Format); 7] = [
            (b"\x89PNG\r\n\x1a\n", Format::Png),
            (b"\xff\xd8\xff", Format::Jpeg),
            (b"II*\0", Format::Tiff),
            (b"MM\0*", Format::Tiff),
            // BigTIFF.
            (b"II+\0", Format::Tiff),
            (b"MM\0+", Format::Tiff),
            (b"BM", Format::Bmp),
        ];
        if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            return Some(Self::WebP);
        }
        let found = STARTS.iter().find(|(start, _)| bytes.starts_with(start))?;
        Some(found.1)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG file",
            Self::Jpeg => "JPEG file",
            Self::Tiff => "TIFF file",
            Self::Bmp => "BMP file",
            Self::WebP => "WebP file",
        }
    }

    fn of_library(self) -> ImageFormat {
        match self {
            Self::Png => ImageFormat::Png,
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Tiff => ImageFormat::Tiff,
            Self::Bmp => ImageFormat::Bmp,
            Self::WebP => ImageFormat::WebP,
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
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, DecodeError> {
    let format = Format::of(bytes).ok_or_else(|| unknown(bytes))?;
    let named = match format {
        Format::Jpeg => jpeg::with_named_components(bytes, false),
        _ => None,
    };
    let bytes = named.as_deref().unwrap_or(bytes);
    if format == Format::Jpeg && !jpeg::is_whole(bytes) {
        // The decoder would fill the missing part with grey.
        return Err(format.damaged("it ends before its last line"));
    }
    if let Some((rows, columns)) = pixel_sides(format, bytes) {
        require_equal(rows, columns)?;
    }
    let mut notes = Vec::from([Note::Percentiles]);
    let (film, turn) = match format {
        Format::Tiff => tiff::read(bytes)?,
        _ => (None, None),
    };
    let (film, turn) = match film {
        Some(film) => (film, turn),
        None => {
            let picture = picture(format, bytes)?;
            notes.extend(picture.grey.notes);
            let transform = GreyscaleTransform::of_picture(picture.bits);
            let film = transform.film(picture.width, picture.height, picture.grey.values)?;
            (film, turn.or(picture.turn))
        }
    };
    if let Some(share) = blank_share(&film, false) {
        return Err(DecodeError::Blank { share });
    }
    Ok(Decoded { film, notes }.turned(turn.unwrap_or_default())?)
}

/// A picture as it is stored, in grey.
struct Picture {
    width: u32,
    height: u32,
    /// Bits of a value.
    bits: u8,
    grey: Grey,
    /// How it is to be turned, if its file says so.
    turn: Option<Turn>,
}

/// Reads a picture by the library, but for JPEG pictures of separate scans.
fn picture(format: Format, bytes: &[u8]) -> Result<Picture, DecodeError> {
    let apart = match format {
        Format::Jpeg => jpeg::read_apart(bytes)?,
        _ => None,
    };
    let (decoder, turn) = opened(format, bytes)?;
    let (width, height) = decoder.dimensions();
    let (bits, grey) = match apart {
        Some(apart) => (8, apart.grey()?),
        None => {
            let picture = DynamicImage::from_decoder(decoder);
            grey_values(format, picture.map_err(|error| refused(format, error))?)?
        }
    };
    Ok(Picture {
        width,
        height,
        bits,
        grey,
        turn,
    })
}

/// Returns the decoder of a picture, and how the picture is to be turned.
fn opened(
    format: Format,
    bytes: &[u8],
) -> Result<(impl ImageDecoder + '_, Option<Turn>), DecodeError> {
    let refused = |error| refused(format, error);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format.of_library());
    let mut limits = Limits::default();
    // Four channels of 16 bits.
    limits.max_alloc = Some(MAX_PIXELS * 8);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    Film::check_size(width, height)?;
    let mut orientation = decoder.orientation().map_err(refused)?;
    if format == Format::Png {
        // The decoder has not come to what follows the pixels.
        let exif = png_chunk(bytes, b"eXIf").and_then(Orientation::from_exif_chunk);
        orientation = exif.unwrap_or(orientation);
    }
    Ok((decoder, Turn::of_exif(orientation.to_exif().into())))
}

/// Returns the content of a PNG file's first chunk of a type.
fn png_chunk<'a>(bytes: &'a [u8], of: &[u8; 4]) -> Option<&'a [u8]> {
    let mut rest = bytes.get(8..)?;
    loop {
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        // Length, type and checksum have 4 bytes each.
        let content = rest.get(8..)?.get(..length)?;
        if rest.get(4..8)? == of {
            return Some(content);
        }
        rest = rest.get(8 + length + 4..)?;
    }
}

fn refused(format: Format, error: ImageError) -> DecodeError {
    match error {
        ImageError::Unsupported(error) => DecodeError::Unsupported {
            format: format.name(),
            what: error.to_string(),
            remedy: "give it as 8 or 16-bit grey",
        },
        error => format.damaged(error),
    }
}

/// Returns the height and the width of a pixel in a common unit, where a picture's file says so.
fn pixel_sides(format: Format, bytes: &[u8]) -> Option<(f64, f64)> {
    // Pixels a length; the sides are the other way round.
    let (across, down) = match format {
        Format::Png => {
            let reader = png::Decoder::new(Cursor::new(bytes)).read_info().ok()?;
            let dimensions = reader.info().pixel_dims?;
            (dimensions.xppu, dimensions.yppu)
        }
        Format::Jpeg => {
            // JFIF's density (ITU-T T.871, 10.1).
            let density = bytes.get(2..)?.strip_prefix(b"\xff\xe0")?.get(2..)?;
            let &[_, _, _, x0, x1, y0, y1, ..] = density.strip_prefix(b"JFIF\0")? else {
                return None;
            };
            let density = [[x0, x1], [y0, y1]].map(u16::from_be_bytes);
            (density[0].into(), density[1].into())
        }
        Format::Bmp => {
            let number = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
            // Of OS/2's short header only the sides are known.
            if number(14)? < 40 {
                return None;
            }
            (number(38)?, number(42)?)
        }
        Format::Tiff | Format::WebP => return None,
    };
    Some((f64::from(across), f64::from(down)))
}

/// Returns the bits of a pixel, and the grey.
fn grey_values(format: Format, picture: DynamicImage) -> Result<(u8, Grey), DecodeError> {
    use DynamicImage as Kind;
    let kind = picture.color();
    let plain = |bits, values| {
        let notes = Vec::new();
        Ok((bits, Grey { values, notes }))
    };
    match picture {
        Kind::ImageLuma8(picture) => plain(8, single(picture.pixels())),
        Kind::ImageLumaA8(picture) => plain(8, single(picture.pixels())),
        Kind::ImageRgb8(picture) => merged(picture.pixels(), 8),
        Kind::ImageRgba8(picture) => merged(picture.pixels(), 8),
        Kind::ImageLuma16(picture) => plain(16, picture.into_raw()),
        Kind::ImageLumaA16(picture) => plain(16, single(picture.pixels())),
        Kind::ImageRgb16(picture) => merged(picture.pixels(), 16),
        Kind::ImageRgba16(picture) => merged(picture.pixels(), 16),
        _ => Err(DecodeError::Unsupported {
            format: format.name(),
            what: alloc::format!("{kind:?}"),
            remedy: "give it as 8 or 16-bit grey",
        }),
    }
}

/// Returns the first channel; a second one is opacity.
fn single<'a, P: Pixel<Subpixel: Into<u16>> + 'a>(pixels: impl Iterator<Item = &'a P>) -> Vec<u16> {
    pixels.map(|pixel| pixel.channels()[0].into()).collect()
}

/// Returns the grey of the first three channels; a fourth one is opacity.
fn merged<'a, P: Pixel<Subpixel: Into<u16> + Primitive> + 'a>(
    pixels: impl Iterator<Item = &'a P> + Clone,
    bits: u8,
) -> Result<(u8, Grey), DecodeError> {
    let colours = pixels.map(|pixel| [0, 1, 2].map(|c: usize| pixel.channels()[c].into()));
    Ok((bits, to_grey(colours, bits)?))
}

/// Names a file of a known format that is no film's.
fn unknown(bytes: &[u8]) -> DecodeError {
    const UNPACK: &str = "unpack it and give the folder of its films";
    const EXPORT: &str = "export the film as DICOM or PNG";
    const STARTS: [(&[u8], &str, &str); 11] = [
        (b"%PDF", "a PDF document", EXPORT),
        (b"PK\x03\x04", "a ZIP archive", UNPACK),
        (b"\x1f\x8b", "a gzip archive", UNPACK),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
        (b"Rar!", "a RAR archive", UNPACK),
        (b"GIF8", "a GIF picture", EXPORT),
        (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture", EXPORT),
        (b"\xff\x4f\xff\x51", "a JPEG 2000 picture", EXPORT),
        (b"\0\0\0\x0cJXL ", "a JPEG XL picture", EXPORT),
        (b"\xff\x0a", "a JPEG XL picture", EXPORT),
        (b"\x93NUMPY", "a NumPy array", EXPORT),
    ];
    /// Where the first volume descriptor of ISO 9660 begins, after a byte of its kind.
    const ISO_9660: usize = 16 * 2048 + 1;
    if bytes.get(4..8) == Some(b"ftyp") {
        return DecodeError::Other("a HEIF or AVIF picture, or a film that moves", EXPORT);
    }
    if (bytes.get(ISO_9660..)).is_some_and(|descriptor| descriptor.starts_with(b"CD001")) {
        return DecodeError::Other(
            "the ISO image of a CD",
            "mount it and give the folder of its films",
        );
    }
    let known = STARTS.iter().find(|(start, ..)| bytes.starts_with(start));
    known.map_or(DecodeError::Unknown, |(_, what, remedy)| {
        DecodeError::Other(what, remedy)
    })
}
