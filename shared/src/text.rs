//! Anti-aliased text on pictures, in any language the font has.

use alloc::string::String;
use alloc::vec::Vec;

use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont, point};
use image::{Rgb, RgbImage};

/// The built-in font, a TrueType file: DejaVu Sans; its licence is beside it.
pub const FONT: &[u8] = include_bytes!("../fonts/DejaVuSans.ttf");

/// A pen that writes with the built-in font.
pub struct Pen {
    font: FontRef<'static>,
}

impl Default for Pen {
    fn default() -> Self {
        Self::new()
    }
}

impl Pen {
    /// Makes a pen with the built-in font.
    pub fn new() -> Self {
        match FontRef::try_from_slice(FONT) {
            Ok(font) => Self { font },
            Err(_) => unreachable!("the built-in font is read in the tests"),
        }
    }

    /// Returns the width of `text` in pixels at `size`.
    pub fn width(&self, text: &str, size: f32) -> f32 {
        self.glyphs(text, size).map(|(_, _, advance)| advance).sum()
    }

    /// Writes `text` from `x` rightwards, its baseline at `y`.
    pub fn write(
        &self,
        canvas: &mut RgbImage,
        text: &str,
        x: f32,
        y: f32,
        size: f32,
        colour: Rgb<u8>,
    ) {
        let mut x = x;
        for (id, kern, advance) in self.glyphs(text, size) {
            let glyph = id.with_scale_and_position(PxScale::from(size), point(x + kern, y));
            if let Some(outline) = self.font.outline_glyph(glyph) {
                let bounds = outline.px_bounds();
                outline.draw(|column, row, coverage| {
                    let (x, y) = (bounds.min.x + column as f32, bounds.min.y + row as f32);
                    if x >= 0.0
                        && y >= 0.0
                        && let Some(pixel) = canvas.get_pixel_mut_checked(x as u32, y as u32)
                    {
                        *pixel = blend(*pixel, colour, coverage.clamp(0.0, 1.0));
                    }
                });
            }
            x += advance;
        }
    }

    /// Returns `text` if it is at most `width` pixels wide, else its ends with an ellipsis between.
    pub fn fit(&self, text: &str, size: f32, width: f32) -> String {
        // Each character is at least a pixel wide, so longer names need not be measured whole.
        let characters: Vec<char> = text.chars().map(visible).collect();
        let whole: String = characters.iter().collect();
        if characters.len() <= width as usize && self.width(&whole, size) <= width {
            return whole;
        }
        let ends = |kept: usize| -> String {
            let (start, end) = (kept.div_ceil(2), characters.len() - kept / 2);
            let start = characters[..start].iter();
            start
                .chain(['…'].iter())
                .chain(&characters[end..])
                .collect()
        };
        let most = characters.len().min(width as usize);
        let fitting = (0..most)
            .rev()
            .map(ends)
            .find(|text| self.width(text, size) <= width);
        fitting.unwrap_or_default()
    }

    /// Returns each glyph, the kerning before it, and its advance to the next one.
    fn glyphs(&self, text: &str, size: f32) -> impl Iterator<Item = (GlyphId, f32, f32)> {
        let font = self.font.as_scaled(PxScale::from(size));
        let mut before = None;
        text.chars().map(move |c| {
            let id = font.glyph_id(c);
            let kern = before.map_or(0.0, |before| font.kern(before, id));
            before = Some(id);
            (id, kern, kern + font.h_advance(id))
        })
    }
}

/// Blends `over` upon `under`, by `alpha` from 0 to 1.
pub fn blend(under: Rgb<u8>, over: Rgb<u8>, alpha: f32) -> Rgb<u8> {
    let mix = |i: usize| {
        let (under, over) = (f32::from(under.0[i]), f32::from(over.0[i]));
        libm::roundf(under + (over - under) * alpha) as u8
    };
    Rgb([mix(0), mix(1), mix(2)])
}

/// Replaces control characters, which have no glyph of their own.
fn visible(c: char) -> char {
    if c.is_control() { '\u{fffd}' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_keeps_both_ends() {
        let pen = Pen::new();
        let name = "a-very-long-name-of-a-film-from-the-archive-00001234.dcm";
        let fitted = pen.fit(name, 16.0, 200.0);
        assert!(pen.width(&fitted, 16.0) <= 200.0);
        assert!(
            fitted.starts_with("a-very") && fitted.ends_with("4.dcm"),
            "{fitted}"
        );
        assert_eq!(pen.fit("short.png", 16.0, 200.0), "short.png");
        assert_eq!(pen.fit("a\u{1b}b", 16.0, 200.0), "a\u{fffd}b");
        assert!(pen.fit(&"患".repeat(100_000), 16.0, 200.0).contains('…'));
    }

    #[test]
    fn ink_is_where_the_text_is() {
        let pen = Pen::new();
        let mut canvas = RgbImage::new(100, 40);
        pen.write(&mut canvas, "Hg", 10.0, 25.0, 20.0, Rgb([255; 3]));
        let inked = |x: core::ops::Range<u32>, y: core::ops::Range<u32>| {
            x.flat_map(|x| y.clone().map(move |y| (x, y)))
                .any(|(x, y)| canvas.get_pixel(x, y).0[0] > 128)
        };
        let end = 10 + pen.width("Hg", 20.0).ceil() as u32;
        assert!(inked(10..end, 8..25) && inked(10..end, 25..32));
        assert!(!inked(0..10, 0..40) && !inked(end..100, 0..40) && !inked(0..100, 32..40));
    }
}
