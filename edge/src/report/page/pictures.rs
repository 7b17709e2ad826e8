//! The film, and beside it the film with the heat map and its legend.

use image::DynamicImage;
use plumbline_shared::film::Film;
use plumbline_shared::preprocess::letterbox;

use super::{BLACK, DIM, FAINT, Filing, GAP, INNER, MARGIN, Picture, SMALL, Sheet, TEXT};
use crate::overlay::{lay_over, on_film, readable};
use crate::paper::PaperError;
use crate::report::region::hottest;
use crate::store::StoredReading;

/// The pixels of a picture's longer side: about 200 an inch.
const PIXELS: u32 = 720;

/// The greatest width of a picture.
const MOST: f32 = (INNER - GAP) / 2.0;

/// Height of the legend with its words.
const LEGEND: f32 = 42.0;

/// Draws what there is to be shown from `top` down to `bottom`.
pub(super) fn draw(
    sheet: &mut Sheet,
    filing: &Filing,
    picture: Picture,
    top: f32,
    bottom: f32,
) -> Result<(), PaperError> {
    let film = match picture {
        Picture::Film(film) => film,
        Picture::Missing(why) => {
            missing(sheet, why, top);
            return Ok(());
        }
    };
    let room = (bottom - top - LEGEND - 8.0).max(40.0);
    let (columns, rows) = (film.width() as f32, film.height() as f32);
    let scale = (MOST / columns).min(room / rows);
    let size = (columns * scale, rows * scale);
    let y = top + 6.0;
    let plain = readable(film, PIXELS);
    let grey = DynamicImage::from(plain.clone()).into_luma8();
    sheet.picture(&grey.into(), (MARGIN, y), size)?;
    let below = y + size.1 + SMALL + 5.0;
    sheet.write("The film", (MARGIN, below), SMALL, DIM);
    let Some(reading) = filing.reading() else {
        return Ok(());
    };
    let x = MARGIN + MOST + GAP;
    let mut hot = plain;
    lay_over(
        &mut hot,
        &reading.map(),
        letterbox(film.width(), film.height()),
    );
    sheet.picture(&hot.into(), (x, y), size)?;
    if let Some(line) = outline(film, reading) {
        let points = line
            .iter()
            .map(|[column, row]| (x + column * scale, y + row * scale));
        let points: Vec<_> = points.collect();
        // In grey print the colours are faint: the line tells the same.
        sheet.line(&points, 2.0, BLACK);
        sheet.line(&points, 0.9, image::Rgb([255; 3]));
    }
    legend(sheet, x, below);
    Ok(())
}

/// The region at which the network looked most, by the film's columns and rows.
fn outline(film: &Film, reading: &StoredReading) -> Option<Vec<[f32; 2]>> {
    let sides = [film.width(), film.height()];
    hottest(&reading.cam, letterbox(sides[0], sides[1]), sides)
}

/// Draws what the colours mean.
fn legend(sheet: &mut Sheet, x: f32, y: f32) {
    const STEPS: u16 = 64;
    sheet.write(
        "Where the network looked; within the line, most",
        (x, y),
        SMALL,
        DIM,
    );
    let step = MOST / f32::from(STEPS);
    for number in 0..STEPS {
        let colour = on_film((f32::from(number) + 0.5) / f32::from(STEPS));
        // Wider than the step, so that no gap shows between two.
        let width = if number + 1 < STEPS { step + 0.4 } else { step };
        sheet.fill_box(
            (x + f32::from(number) * step, y + 4.0),
            (width, 8.0),
            colour,
        );
    }
    sheet.write("little", (x, y + 21.0), SMALL, DIM);
    sheet.write_right("most", (x + MOST, y + 21.0), SMALL, DIM);
}

fn missing(sheet: &mut Sheet, why: &str, top: f32) {
    let y = top + 22.0;
    sheet.line(
        &[(MARGIN, y - 14.0), (MARGIN + INNER, y - 14.0)],
        0.5,
        FAINT,
    );
    let text = format!("The film is not shown: {why}");
    for (index, line) in sheet
        .typeface
        .wrap(&text, TEXT, INNER, 3)
        .iter()
        .enumerate()
    {
        sheet.write(line, (MARGIN, y + index as f32 * 13.0), TEXT, DIM);
    }
}
