//! One page of paper about a result: film, heat map, result in words and what it was read with, for
//! those who have no viewer.

mod details;
mod name;
mod pictures;

use plumbline_shared::film::Film;

use super::words::{AID, numbers, verdict};
use super::{ReportError, Station};
use crate::paper::{BLACK, DIM, FAINT, HEIGHT, Paper, Sheet, WIDTH};
use crate::store::{Came, Filing, Finding, StoredReading};

/// Space around what is printed: printers leave less.
const MARGIN: f32 = 42.0;
/// The width of what is printed.
const INNER: f32 = WIDTH - 2.0 * MARGIN;
/// Space between columns.
const GAP: f32 = 12.0;

const TITLE: f32 = 15.0;
const TEXT: f32 = 9.5;
const SMALL: f32 = 7.5;

/// From one line of text to the next, in sizes of the font.
const LEADING: f32 = 1.3;

/// The most lines of what the gate found.
const MOST_FINDING_LINES: usize = 9;

/// What is on a page beside its result.
#[derive(Clone, Copy, Debug)]
pub enum Picture<'a> {
    /// The film.
    Film(&'a Film),
    /// Why it cannot be shown, as a sentence.
    Missing(&'a str),
}

/// Makes the page of a result, as a PDF. Equal results make equal bytes.
///
/// # Errors
/// [`ReportError`].
pub fn page(station: &Station, filing: &Filing, picture: Picture) -> Result<Vec<u8>, ReportError> {
    let mut paper = Paper::new("Screening for scoliosis", &filing.entered);
    let drawn = paper.page(|sheet| draw(sheet, station, filing, picture));
    drawn.map_err(ReportError::Paper)?;
    let mut pdf = paper.finish().map_err(ReportError::Paper)?;
    // The value of a DICOM element has an even length, and whoever takes the file out again should have
    // the very same file.
    if !pdf.len().is_multiple_of(2) {
        pdf.push(b'\n');
    }
    Ok(pdf)
}

fn draw(
    sheet: &mut Sheet,
    station: &Station,
    filing: &Filing,
    picture: Picture,
) -> Result<(), crate::paper::PaperError> {
    let mut y = head(sheet, station);
    y = details::patient(sheet, filing, y);
    y = result(sheet, filing, y + 10.0);
    y = findings(sheet, filing, y);
    let bottom = foot(sheet, station, filing);
    pictures::draw(sheet, filing, picture, y + 6.0, bottom)
}

/// Draws the page's head, and returns where it ends.
fn head(sheet: &mut Sheet, station: &Station) -> f32 {
    let y = MARGIN + TITLE;
    sheet.write("Screening for scoliosis", (MARGIN, y), TITLE, BLACK);
    let name = format!("Station {}", station.name);
    sheet.write_right(&name, (WIDTH - MARGIN, y), TEXT, DIM);
    rule(sheet, y + 8.0, 1.0);
    y + 8.0
}

/// Draws the result in words, and the probability against the operating point.
fn result(sheet: &mut Sheet, filing: &Filing, y: f32) -> f32 {
    rule(sheet, y, 1.0);
    let mut y = y + 8.0;
    for line in sheet.typeface.wrap(verdict(&filing.came), TITLE, INNER, 2) {
        y += TITLE * LEADING;
        sheet.write(&line, (MARGIN, y - 4.0), TITLE, BLACK);
    }
    match filing.reading() {
        Some(reading) => gauge(sheet, reading, y + 6.0),
        None => y,
    }
}

/// Draws the probability on a scale of 0 to 1, with a mark at the operating point.
fn gauge(sheet: &mut Sheet, reading: &StoredReading, y: f32) -> f32 {
    const LENGTH: f32 = 250.0;
    const THICK: f32 = 9.0;
    let left = MARGIN + 10.0;
    let along = |share: f64| left + LENGTH * share.clamp(0.0, 1.0) as f32;
    sheet.write("0", (MARGIN, y + THICK - 1.0), SMALL, DIM);
    sheet.write("1", (left + LENGTH + 5.0, y + THICK - 1.0), SMALL, DIM);
    sheet.fill_box((left, y), (LENGTH, THICK), FAINT);
    let filled = along(reading.probability) - left;
    sheet.fill_box((left, y), (filled, THICK), BLACK);
    // White around the mark, so that it is seen on both.
    let mark = along(reading.threshold);
    sheet.fill_box(
        (mark - 2.0, y - 3.0),
        (4.0, THICK + 6.0),
        image::Rgb([255; 3]),
    );
    sheet.fill_box((mark - 0.75, y - 3.0), (1.5, THICK + 6.0), BLACK);
    let words = numbers(reading);
    let x = left + LENGTH + 22.0;
    sheet.write(&words, (x, y + THICK - 1.0), TEXT, BLACK);
    y + THICK + 6.0
}

/// Draws what the gate found wrong with the film.
fn findings(sheet: &mut Sheet, filing: &Filing, y: f32) -> f32 {
    let findings = &filing.film.findings;
    if findings.is_empty() {
        return y;
    }
    let heading = match filing.came {
        Came::Read(_) => "What makes the result doubtful",
        Came::Refused | Came::Failed => "Why, and what to do",
    };
    let mut y = y + 16.0;
    sheet.write(heading, (MARGIN, y), SMALL, DIM);
    y += 2.0;
    let mut left = MOST_FINDING_LINES;
    for sentence in findings.iter().map(Finding::as_sentence) {
        let lines = sheet.typeface.wrap(&sentence, TEXT, INNER, left);
        left -= lines.len();
        for line in lines {
            y += TEXT * LEADING;
            sheet.write(&line, (MARGIN, y), TEXT, BLACK);
        }
        if left == 0 {
            break;
        }
    }
    y + 4.0
}

/// Draws the page's foot, and returns where it begins.
fn foot(sheet: &mut Sheet, station: &Station, filing: &Filing) -> f32 {
    let bottom = HEIGHT - MARGIN;
    sheet.write(AID, (MARGIN, bottom), 12.0, BLACK);
    let version = format!("Plumbline {}", env!("CARGO_PKG_VERSION"));
    sheet.write_right(&version, (WIDTH - MARGIN, bottom), SMALL, DIM);
    rule(sheet, bottom - 18.0, 1.0);
    // For a specialist's pen.
    let line = bottom - 34.0;
    let pen = [
        ("Seen by", 0.0, 190.0),
        ("Date", 210.0, 80.0),
        ("Signature", 310.0, INNER - 310.0),
    ];
    for (what, x, length) in pen {
        let start = MARGIN + x + sheet.typeface.width(what, SMALL) + 5.0;
        sheet.write(what, (MARGIN + x, line), SMALL, DIM);
        sheet.line(
            &[(start, line + 1.5), (MARGIN + x + length, line + 1.5)],
            0.5,
            BLACK,
        );
    }
    let fields = details::reading(sheet, station, filing);
    let top = line - 28.0 - details::height(sheet, &fields);
    rule(sheet, top, 0.5);
    details::rows_below(sheet, &fields, top + 4.0);
    top
}

fn rule(sheet: &mut Sheet, y: f32, width: f32) {
    sheet.line(&[(MARGIN, y), (WIDTH - MARGIN, y)], width, BLACK);
}
