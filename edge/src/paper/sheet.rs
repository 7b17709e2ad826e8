//! One page that is being drawn.

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, Rgb};
use krilla::color::{luma, rgb};
use krilla::geom::{PathBuilder, Point, Rect, Size, Transform};
use krilla::image::Image;
use krilla::paint::{Fill, Paint, Stroke};
use krilla::surface::Surface;

use super::{PaperError, Typeface};

/// The colour of text.
pub(crate) const BLACK: Rgb<u8> = Rgb([0; 3]);
/// The colour of what a text is named by.
pub(crate) const DIM: Rgb<u8> = Rgb([95; 3]);
/// The colour of thin lines.
pub(crate) const FAINT: Rgb<u8> = Rgb([170; 3]);

/// Of 100: fine edges stay, and a film has about 100 KiB.
const JPEG_QUALITY: u8 = 85;

/// One page.
pub(crate) struct Sheet<'a> {
    surface: Surface<'a>,
    /// The font.
    pub typeface: &'a Typeface,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(surface: Surface<'a>, typeface: &'a Typeface) -> Self {
        Self { surface, typeface }
    }

    /// Writes `text` from `x` rightwards, its baseline at `y`.
    pub fn write(&mut self, text: &str, (x, y): (f32, f32), size: f32, colour: Rgb<u8>) {
        self.fill(colour);
        let mut x = x;
        for run in self.typeface.runs(text) {
            let (font, at) = (self.typeface.font.clone(), Point::from_xy(x, y));
            let surface = &mut self.surface;
            surface.draw_glyphs(at, &run.glyphs, font, &run.text, size, false);
            x += size * run.length;
        }
    }

    /// Writes `text` so that it ends at `x`.
    pub fn write_right(&mut self, text: &str, (x, y): (f32, f32), size: f32, colour: Rgb<u8>) {
        let x = x - self.typeface.width(text, size);
        self.write(text, (x, y), size, colour);
    }

    /// Fills a rectangle.
    pub fn fill_box(&mut self, (x, y): (f32, f32), (width, height): (f32, f32), colour: Rgb<u8>) {
        let Some(area) = Rect::from_xywh(x, y, width, height) else {
            return;
        };
        let mut path = PathBuilder::new();
        path.push_rect(area);
        if let Some(path) = path.finish() {
            self.fill(colour);
            self.surface.draw_path(&path);
        }
    }

    /// Draws a line through `points`.
    pub fn line(&mut self, points: &[(f32, f32)], width: f32, colour: Rgb<u8>) {
        let mut path = PathBuilder::new();
        for (index, &(x, y)) in points.iter().enumerate() {
            match index {
                0 => path.move_to(x, y),
                _ => path.line_to(x, y),
            }
        }
        if let Some(path) = path.finish() {
            self.surface.set_fill(None);
            self.surface.set_stroke(Some(Stroke {
                paint: paint(colour),
                width,
                ..Stroke::default()
            }));
            self.surface.draw_path(&path);
        }
    }

    /// Puts a picture, as a JPEG.
    ///
    /// # Errors
    /// [`PaperError::Picture`].
    pub fn picture(
        &mut self,
        picture: &DynamicImage,
        (x, y): (f32, f32),
        (width, height): (f32, f32),
    ) -> Result<(), PaperError> {
        let mut jpeg = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY);
        let encoded = picture.write_with_encoder(encoder);
        encoded.map_err(|error| PaperError::Picture(error.to_string()))?;
        let image = Image::from_jpeg(jpeg.into(), true).map_err(PaperError::Picture)?;
        let size = Size::from_wh(width, height);
        let size = size.ok_or_else(|| PaperError::Picture("it has no size".into()))?;
        self.surface
            .push_transform(&Transform::from_translate(x, y));
        self.surface.draw_image(image, size);
        self.surface.pop();
        Ok(())
    }

    fn fill(&mut self, colour: Rgb<u8>) {
        self.surface.set_stroke(None);
        self.surface.set_fill(Some(Fill {
            paint: paint(colour),
            ..Fill::default()
        }));
    }
}

/// A grey without colour prints black alone.
fn paint(Rgb([red, green, blue]): Rgb<u8>) -> Paint {
    match red == green && green == blue {
        true => luma::Color::new(red).into(),
        false => rgb::Color::new(red, green, blue).into(),
    }
}
