//! The font of paper, and texts as lines of its glyphs.

use krilla::text::{Font, GlyphId, KrillaGlyph};
use plumbline_shared::printable::printable;
use plumbline_shared::text::FONT;
use rustybuzz::{Direction, Face, UnicodeBuffer};
use unicode_bidi::BidiInfo;

/// What a text that is too long ends in.
const ELLIPSIS: char = '…';

/// The most characters of a text that are looked at: texts come from outside.
const LONGEST: usize = 1000;

/// DejaVu Sans: Latin, Greek, Cyrillic, Arabic, Hebrew and more, though no Chinese, Japanese or Korean.
pub(crate) struct Typeface {
    pub(super) font: Font,
    face: Face<'static>,
}

/// A text of one direction, and its glyphs from left to right.
pub(super) struct Run {
    pub text: String,
    pub glyphs: Vec<KrillaGlyph>,
    /// Its length, in units of the font's size.
    pub length: f32,
}

impl Typeface {
    /// The built-in font.
    pub fn new() -> Self {
        let font = Font::new(FONT.into(), 0).zip(Face::from_slice(FONT, 0));
        let Some((font, face)) = font else {
            unreachable!("the built-in font is read in the tests");
        };
        Self { font, face }
    }

    /// Whether the font has every character of `text`.
    pub fn has(&self, text: &str) -> bool {
        text.chars().all(|c| self.face.glyph_index(c).is_some())
    }

    /// The width of `text`, in points.
    pub fn width(&self, text: &str, size: f32) -> f32 {
        let runs = self.runs(text);
        size * runs.iter().map(|run| run.length).sum::<f32>()
    }

    /// Returns `text` if it is at most `width` points wide, else its start and an ellipsis.
    pub fn fit(&self, text: &str, size: f32, width: f32) -> String {
        let whole = text.chars().count() <= LONGEST;
        if whole && self.width(text, size) <= width {
            return text.to_owned();
        }
        let starts = text.char_indices().take(LONGEST).map(|(end, _)| {
            let start = text[..end].trim_end();
            format!("{start}{ELLIPSIS}")
        });
        let starts: Vec<_> = starts.collect();
        let fitting = starts.partition_point(|start| self.width(start, size) <= width);
        match fitting.checked_sub(1) {
            Some(last) => starts[last].clone(),
            None => String::new(),
        }
    }

    /// Breaks `text` into at most `most` lines of `width` points: between words, or within one that is
    /// too long for a line. What has no room ends in an ellipsis.
    pub fn wrap(&self, text: &str, size: f32, width: f32, most: usize) -> Vec<String> {
        let text = match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}{ELLIPSIS}", &text[..end]),
            None => text.to_owned(),
        };
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in text.split_whitespace() {
            let longer = match line.is_empty() {
                true => word.to_owned(),
                false => format!("{line} {word}"),
            };
            if self.width(&longer, size) <= width {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for c in word.chars() {
                line.push(c);
                if self.width(&line, size) > width && line.chars().count() > 1 {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, c.to_string()));
                }
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
        if lines.len() > most {
            let rest = lines.split_off(most.saturating_sub(1)).join(" ");
            lines.push(self.fit(&rest, size, width));
        }
        lines
    }

    /// The parts of `text` that have one direction each, from left to right (UAX #9), as glyphs.
    pub(super) fn runs(&self, text: &str) -> Vec<Run> {
        // A letter that the font lacks would be a box, which looks like one that it has.
        let known = |c: char| {
            self.face
                .glyph_index(c)
                .map_or(char::REPLACEMENT_CHARACTER, |_| c)
        };
        let text: String = printable(text).chars().map(known).collect();
        let directions = BidiInfo::new(&text, None);
        let mut runs = Vec::new();
        for paragraph in &directions.paragraphs {
            let (levels, ranges) = directions.visual_runs(paragraph, paragraph.range.clone());
            for range in ranges {
                let leftward = levels[range.start].is_rtl();
                runs.push(self.run(text[range].to_owned(), leftward));
            }
        }
        runs
    }

    fn run(&self, text: String, leftward: bool) -> Run {
        let mut buffer = UnicodeBuffer::new();
        buffer.push_str(&text);
        buffer.guess_segment_properties();
        buffer.set_direction(match leftward {
            true => Direction::RightToLeft,
            false => Direction::LeftToRight,
        });
        let shaped = rustybuzz::shape(&self.face, &[], buffer);
        let infos = shaped.glyph_infos();
        // A glyph stands for the bytes from its cluster's start up to the next one's.
        let mut starts: Vec<_> = infos.iter().map(|info| info.cluster as usize).collect();
        starts.sort_unstable();
        starts.dedup();
        let unit = self.font.units_per_em();
        let glyphs = infos.iter().zip(shaped.glyph_positions());
        let glyphs: Vec<_> = glyphs
            .map(|(info, position)| {
                let start = info.cluster as usize;
                let next = starts.partition_point(|other| *other <= start);
                let end = starts.get(next).copied().unwrap_or(text.len());
                KrillaGlyph::new(
                    GlyphId::new(info.glyph_id),
                    position.x_advance as f32 / unit,
                    position.x_offset as f32 / unit,
                    position.y_offset as f32 / unit,
                    position.y_advance as f32 / unit,
                    start..end,
                    None,
                )
            })
            .collect();
        let length = glyphs.iter().map(|glyph| glyph.x_advance).sum();
        Run {
            text,
            glyphs,
            length,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_scripts_that_it_is_said_to_have() {
        let typeface = Typeface::new();
        for text in [
            "Muñoz Łukasz Ğülşen Đặng",
            "Παπαδόπουλος",
            "Жуковська",
            "محمد",
            "כהן",
            "…\u{fffd}",
        ] {
            assert!(typeface.has(text), "{text}");
        }
        for text in ["山田", "やまだ", "홍길동"] {
            assert!(!typeface.has(text), "{text}");
        }
    }

    #[test]
    fn texts_of_both_directions_are_put_in_their_order() {
        let typeface = Typeface::new();
        let order = |text: &str| -> Vec<String> {
            let runs = typeface.runs(text).into_iter();
            runs.map(|run| run.text).collect()
        };
        assert_eq!(order("seen by محمد at 9"), ["seen by ", "محمد", " at 9"]);
        // Arabic letters join: the same one looks otherwise at a word's start and at its end.
        let [run] = &typeface.runs("مم")[..] else {
            panic!()
        };
        assert_eq!(run.glyphs.len(), 2);
        assert_ne!(run.glyphs[0].glyph_id, run.glyphs[1].glyph_id);
    }

    #[test]
    fn no_line_is_too_long_and_no_word_is_lost() {
        let typeface = Typeface::new();
        let text = "Dolores Ibárruri Gómez de la Vega y Sánchez-Aguilera Extraordinariamente";
        let lines = typeface.wrap(text, 11.0, 120.0, 99);
        assert!(lines.len() > 3);
        for line in &lines {
            assert!(typeface.width(line, 11.0) <= 120.0, "{line}");
        }
        assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        let two = typeface.wrap(text, 11.0, 120.0, 2);
        assert_eq!((two.len(), &two[0]), (2, &lines[0]));
        assert!(two[1].ends_with(ELLIPSIS) && typeface.width(&two[1], 11.0) <= 120.0);
        assert_eq!(typeface.wrap(" ", 11.0, 120.0, 2), [""; 0]);
        assert_eq!(typeface.fit("abc", 11.0, 1.0), "");
    }
}
