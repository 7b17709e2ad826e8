//! A contact sheet: example films of a cohort in one picture, a row for each kind.

use image::{DynamicImage, GrayImage, Rgb, RgbImage};
use plumbline_shared::preprocess::SIDE;
use plumbline_shared::text::Pen;
use rayon::prelude::*;

use super::films::{FilmsError, prepare_file};
use super::manifest::Entry;
use super::opened::Cohort;
use plumbline_shared::clinical::{Convexity, Refusal};

/// Pixels around and between films, and below each for its caption.
const GAP: u32 = 10;
const CAPTION: u32 = 40;
/// Pixels left of the films for the name of their kind.
const MARGIN: u32 = 150;
const BACKGROUND: Rgb<u8> = Rgb([20; 3]);
const BRIGHT: Rgb<u8> = Rgb([240; 3]);
const DIM: Rgb<u8> = Rgb([160; 3]);

/// A row of the sheet: its name, and the test of a film for it.
type Kind = (&'static str, fn(&Entry) -> bool);

/// Returns true of a Cobb angle within [from, to) of a film to be read.
fn cobb(entry: &Entry, from: f32, to: f32) -> bool {
    let angle = entry.cobb_degrees.filter(|_| entry.refusal.is_none());
    angle.is_some_and(|angle| (from..to).contains(&angle))
}

/// Returns true of a label of a film to be read whose Cobb angle is not known.
fn labelled(entry: &Entry, label: Option<bool>) -> bool {
    entry.cobb_degrees.is_none() && entry.refusal.is_none() && entry.label == label
}

const KINDS: [Kind; 20] = [
    ("Cobb below 5°", |e| cobb(e, 0.0, 5.0)),
    ("Cobb 5° to 10°", |e| cobb(e, 5.0, 10.0)),
    ("Cobb 10° to 20°", |e| cobb(e, 10.0, 20.0)),
    ("Cobb 20° to 40°", |e| cobb(e, 20.0, 40.0)),
    ("Cobb from 40°", |e| cobb(e, 40.0, 181.0)),
    ("no scoliosis", |e| labelled(e, Some(false))),
    ("scoliosis", |e| labelled(e, Some(true))),
    ("no label", |e| labelled(e, None)),
    ("lateral", |e| e.refusal == Some(Refusal::Lateral)),
    ("inverted", |e| e.refusal == Some(Refusal::Inverted)),
    ("not a chest", |e| e.refusal == Some(Refusal::NotAChest)),
    ("blank", |e| e.refusal == Some(Refusal::Blank)),
    ("over-exposed", |e| e.refusal == Some(Refusal::OverExposed)),
    ("under-exposed", |e| {
        e.refusal == Some(Refusal::UnderExposed)
    }),
    ("upside down", |e| e.refusal == Some(Refusal::UpsideDown)),
    ("turned left", |e| e.refusal == Some(Refusal::TurnedLeft)),
    ("turned right", |e| e.refusal == Some(Refusal::TurnedRight)),
    ("mirrored", |e| e.refusal == Some(Refusal::Mirrored)),
    ("apices missing", |e| {
        e.refusal == Some(Refusal::ApicesMissing)
    }),
    ("bases missing", |e| {
        e.refusal == Some(Refusal::BasesMissing)
    }),
];

impl Cohort {
    /// Draws up to `columns` films of every kind that the cohort has, the first of each in the
    /// manifest's order, as the networks see them: classes by Cobb angle or by label, then films to
    /// be refused by reason.
    ///
    /// # Errors
    /// The first film that cannot be read.
    pub fn sheet(&self, columns: u32) -> Result<GrayImage, FilmsError> {
        let rows: Vec<(&str, Vec<&Entry>)> = KINDS
            .into_iter()
            .map(|(name, belongs)| {
                let films = self.entries().iter().filter(|entry| belongs(entry));
                (name, films.take(columns as usize).collect())
            })
            .filter(|(_, films): &(_, Vec<_>)| !films.is_empty())
            .collect();
        let cell = SIDE as u32 + GAP;
        let mut sheet = RgbImage::from_pixel(
            MARGIN + columns * cell + GAP,
            rows.len() as u32 * (cell + CAPTION) + GAP,
            BACKGROUND,
        );
        let pen = Pen::new();
        for (row, (name, films)) in rows.iter().enumerate() {
            let top = GAP + row as u32 * (cell + CAPTION);
            let middle = (top + cell / 2) as f32;
            pen.write(&mut sheet, name, GAP as f32, middle, 17.0, BRIGHT);
            let greys: Vec<_> = films
                .par_iter()
                .map(|entry| prepare_file(&entry.film))
                .collect::<Result<_, _>>()?;
            for (column, (entry, film)) in films.iter().zip(greys).enumerate() {
                let left = MARGIN + column as u32 * cell;
                for (at, grey) in (0u32..).zip(film.grey()) {
                    let (x, y) = (at % SIDE as u32, at / SIDE as u32);
                    sheet.put_pixel(left + x, top + y, Rgb([(grey >> 8) as u8; 3]));
                }
                let below = (top + SIDE as u32) as f32;
                for (line, (text, colour)) in
                    caption(entry).into_iter().zip([BRIGHT, DIM]).enumerate()
                {
                    let text = pen.fit(&text, 13.0, SIDE as f32);
                    let y = below + 15.0 * (line + 1) as f32;
                    pen.write(&mut sheet, &text, left as f32, y, 13.0, colour);
                }
            }
        }
        Ok(DynamicImage::from(sheet).into_luma8())
    }
}

/// Returns two lines: the curve and the patient, as far as known, and the findings.
fn caption(entry: &Entry) -> [String; 2] {
    let mut known = Vec::new();
    if let Some(angle) = entry.cobb_degrees {
        let side = match entry.convexity {
            Some(Convexity::Left) => " left",
            Some(Convexity::Right) => " right",
            _ => "",
        };
        let apex = entry.apex.as_ref().map(|apex| format!(" at {apex}"));
        known.push(format!("{angle:.1}°{side}{}", apex.unwrap_or_default()));
    }
    if let Some(sex) = entry.sex {
        let age = entry.age.map(|age| format!(" {age}"));
        known.push(format!("{}{}", sex.name(), age.unwrap_or_default()));
    }
    known.extend(
        entry
            .projection
            .map(|projection| projection.name().to_owned()),
    );
    let findings = entry.findings.as_deref().unwrap_or_default();
    [known.join(", "), findings.join(", ").replace('_', " ")]
}

#[cfg(test)]
mod tests {
    use super::super::phantom::tests::options;
    use super::super::phantom::{Frame, PhantomOptions, generate};
    use super::*;

    #[test]
    fn every_kind_has_a_row_of_its_films() {
        let folder = tempfile::tempdir().unwrap();
        let options = PhantomOptions {
            refused: 5,
            prevalence: 0.5,
            side: 64,
            frame: Frame::SquareChest,
            ..options(folder.path(), 20, 3)
        };
        generate(&options, |_| {}).unwrap();
        let cohort = Cohort::open(folder.path()).unwrap();
        let sheet = cohort.sheet(3).unwrap();
        let kinds = KINDS
            .iter()
            .filter(|kind| cohort.entries().iter().any(kind.1))
            .count() as u32;
        let cell = SIDE as u32 + GAP;
        assert!(kinds >= 9, "{kinds}");
        assert_eq!(sheet.width(), MARGIN + 3 * cell + GAP);
        assert_eq!(sheet.height(), kinds * (cell + CAPTION) + GAP);
        // The first negative's film is in the first cell.
        let first = cohort.entries().iter().find(|e| cobb(e, 0.0, 5.0)).unwrap();
        let grey = prepare_file(&first.film).unwrap();
        for (x, y) in [(0u32, 0u32), (100, 30), (128, 200), (255, 255)] {
            let expected = (grey.grey()[(y * SIDE as u32 + x) as usize] >> 8) as u8;
            assert_eq!(sheet.get_pixel(MARGIN + x, GAP + y).0, [expected]);
        }
    }
}
