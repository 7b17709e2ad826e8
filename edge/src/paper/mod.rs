//! Paper: A4 pages of text, lines and pictures, as a PDF whose bytes depend on its content alone.
//!
//! Lengths are points (1/72 inch), from a page's upper left corner rightwards and downwards; colours are
//! told apart in grey as well. The font's glyphs that are used are embedded.

mod sheet;
mod typeface;

use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;
use krilla::metadata::{DateTime as PdfTime, Metadata};
use krilla::page::PageSettings;
use krilla::{Document, SerializeSettings};

pub(crate) use sheet::{BLACK, DIM, FAINT, Sheet};
pub(crate) use typeface::Typeface;

/// A4, upright.
pub(crate) const WIDTH: f32 = 595.28;
/// A4, upright.
pub(crate) const HEIGHT: f32 = 841.89;

/// Why there is no paper.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PaperError {
    /// A picture cannot be encoded.
    #[error("a picture cannot be put on paper: {0}")]
    Picture(String),
    /// The PDF cannot be written.
    #[error("the PDF cannot be written: {0}")]
    Pdf(String),
}

/// A document that is being made.
pub(crate) struct Paper {
    document: Document,
    typeface: Typeface,
}

impl Paper {
    /// A document of this title that tells `made` (RFC 3339) as the time when it was made.
    pub fn new(title: &str, made: &str) -> Self {
        let settings = SerializeSettings {
            enable_tagging: false,
            ..SerializeSettings::default()
        };
        let mut document = Document::new_with(settings);
        let mut about = Metadata::new()
            .title(title.to_owned())
            .language("en".to_owned())
            .creator(format!("plumbline-edge {}", env!("CARGO_PKG_VERSION")));
        if let Some(time) = pdf_time(made) {
            about = about.creation_date(time);
        }
        document.set_metadata(about);
        Self {
            document,
            typeface: Typeface::new(),
        }
    }

    /// Adds a page, on which `draw` draws.
    pub fn page<T>(&mut self, draw: impl FnOnce(&mut Sheet) -> T) -> T {
        let Some(settings) = PageSettings::from_wh(WIDTH, HEIGHT) else {
            unreachable!("A4 has a width and a height");
        };
        let mut page = self.document.start_page_with(settings);
        let mut sheet = Sheet::new(page.surface(), &self.typeface);
        draw(&mut sheet)
    }

    /// Writes the PDF.
    ///
    /// # Errors
    /// [`PaperError::Pdf`].
    pub fn finish(self) -> Result<Vec<u8>, PaperError> {
        let pdf = self.document.finish();
        pdf.map_err(|error| PaperError::Pdf(error.to_string()))
    }
}

/// The time `wall` (RFC 3339) in the terms of PDF.
fn pdf_time(wall: &str) -> Option<PdfTime> {
    let pieces = Pieces::parse(wall).ok()?;
    let time = DateTime::from_parts(pieces.date(), pieces.time()?);
    let minutes = pieces.to_numeric_offset()?.seconds() / 60;
    let small = |number: i8| number.unsigned_abs();
    let time = PdfTime::new(time.year().unsigned_abs())
        .month(small(time.month()))
        .day(small(time.day()))
        .hour(small(time.hour()))
        .minute(small(time.minute()))
        .second(small(time.second()))
        .utc_offset_hour((minutes / 60) as i8)
        .utc_offset_minute((minutes % 60).unsigned_abs() as u8);
    Some(time)
}
