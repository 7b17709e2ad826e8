//! A sheet on paper.

use super::sheet::Sheet;
use super::told::Told;
use crate::paper::{BLACK, DIM, HEIGHT, Paper, PaperError, WIDTH};

const MARGIN: f32 = 42.0;
/// Where the texts begin, behind their names.
const INDENT: f32 = 78.0;
const TEXT: f32 = 8.5;
const HEADING: f32 = 12.0;
const LEADING: f32 = 1.35;

/// The most lines of one text.
const MOST_LINES: usize = 12;

/// Makes the sheet as a PDF.
///
/// # Errors
/// [`PaperError`].
pub(super) fn pdf(sheet: &Sheet) -> Result<Vec<u8>, PaperError> {
    let mut paper = Paper::new("Proof sheet", &sheet.made);
    let told = sheet.told();
    let mut left = &told[..];
    let mut number = 1;
    while !left.is_empty() {
        left = paper.page(|page| {
            let foot = format!("Page {number}");
            page.write_right(&foot, (WIDTH - MARGIN, HEIGHT - 24.0), 7.5, DIM);
            let width = WIDTH - 2.0 * MARGIN - INDENT;
            let mut y = MARGIN;
            for (index, line) in left.iter().enumerate() {
                let (name, text) = match line {
                    Told::Heading(text) => {
                        // Never alone at a page's end.
                        if y + 4.0 * HEADING > HEIGHT - MARGIN {
                            return &left[index..];
                        }
                        y += 2.0 * HEADING;
                        page.write(text, (MARGIN, y - 3.0), HEADING, BLACK);
                        let ends = [(MARGIN, y), (WIDTH - MARGIN, y)];
                        page.line(&ends, 0.5, BLACK);
                        y += 2.0;
                        continue;
                    }
                    Told::Field(name, text) => (&**name, text),
                    Told::More(text) => ("", text),
                };
                let lines = page.typeface.wrap(text, TEXT, width, MOST_LINES);
                let height = lines.len() as f32 * TEXT * LEADING;
                if y + height > HEIGHT - MARGIN {
                    return &left[index..];
                }
                page.write(name, (MARGIN, y + TEXT * LEADING), TEXT, DIM);
                for line in lines {
                    y += TEXT * LEADING;
                    page.write(&line, (MARGIN + INDENT, y), TEXT, BLACK);
                }
            }
            &[]
        });
        number += 1;
    }
    paper.finish()
}
