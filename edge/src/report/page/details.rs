//! The patient, the examination and the reading, in rows of named texts.

use super::{BLACK, DIM, Filing, GAP, INNER, LEADING, MARGIN, SMALL, Sheet, Station, TEXT, name};
use crate::store::Came;

/// The most lines of a text.
const MOST_LINES: usize = 3;

/// The size of the patient's name.
const NAME: f32 = 13.0;

/// A named text of a row, which takes so many of its twelve columns.
pub(super) struct Field {
    name: &'static str,
    columns: f32,
    size: f32,
    text: String,
}

impl Field {
    fn new(name: &'static str, columns: u8, text: impl Into<String>) -> Self {
        Self {
            name,
            columns: columns.into(),
            size: TEXT,
            text: text.into(),
        }
    }

    fn width(&self) -> f32 {
        (INNER + GAP) / 12.0 * self.columns - GAP
    }

    fn lines(&self, sheet: &Sheet) -> Vec<String> {
        sheet
            .typeface
            .wrap(&self.text, self.size, self.width(), MOST_LINES)
    }

    fn height(&self, sheet: &Sheet) -> f32 {
        SMALL + 4.0 + self.lines(sheet).len().max(1) as f32 * self.size * LEADING
    }
}

/// Draws who the patient is and which examination it was, and returns where that ends.
pub(super) fn patient(sheet: &mut Sheet, filing: &Filing, y: f32) -> f32 {
    let header = &filing.film.header;
    let typeface = sheet.typeface;
    let text = |text: &Option<String>| name::text(text.as_deref(), typeface);
    let mut sex = name::sex(header.patient_sex.as_deref(), typeface);
    if let Some(age) = name::age(header.patient_age.as_deref()) {
        sex += &format!(", {age}");
    }
    let mut study = name::date(header.study_date.as_deref(), typeface);
    if let Some(time) = name::time(header.study_time.as_deref()) {
        study += &format!(", {time}");
    }
    let birth = name::date(header.patient_birth_date.as_deref(), typeface);
    let patient = Field {
        size: NAME,
        ..Field::new(
            "Patient",
            12,
            name::person(header.patient_name.as_deref(), typeface),
        )
    };
    let rows = vec![
        vec![patient],
        vec![
            Field::new("Patient ID", 6, text(&header.patient_id)),
            Field::new("Born", 3, birth),
            Field::new("Sex, age", 3, sex),
        ],
        vec![
            Field::new("Institution", 6, text(&header.institution_name)),
            Field::new("X-ray unit", 6, text(&header.station_name)),
        ],
        vec![
            Field::new("Accession number", 6, text(&header.accession_number)),
            Field::new("Examined", 6, study),
        ],
    ];
    rows_below(sheet, &rows, y + 4.0)
}

/// What the film was read with, and when.
pub(super) fn reading(sheet: &Sheet, station: &Station, filing: &Filing) -> Vec<Vec<Field>> {
    let film = &filing.film;
    let when = match filing.came {
        Came::Read(_) => "Read",
        Came::Refused => "Refused",
        Came::Failed => "Failed",
    };
    let short = |digest: &str| digest.chars().take(16).collect::<String>();
    let seen = match (filing.acknowledged, &filing.acknowledged_by) {
        (false, _) => "not yet".into(),
        (true, None) => format!("{}, at the panel", moment(&filing.entered)),
        (true, Some(person)) => {
            let person = name::text(Some(person), sheet.typeface);
            format!("{}, by {person}", moment(&filing.entered))
        }
    };
    let mut rows = vec![vec![
        Field::new(when, 4, moment(&filing.came_at)),
        Field::new("Acknowledged", 8, seen),
    ]];
    if let Some(reading) = filing.reading() {
        let text = |text: &str| name::text(Some(text), sheet.typeface);
        rows.push(vec![
            Field::new("Model", 4, text(&reading.model)),
            Field::new("Version", 4, text(&reading.model_version)),
            Field::new("Bundle (SHA-256 begins)", 4, short(&reading.bundle)),
        ]);
    }
    rows.push(vec![
        Field::new("Film", 4, film.film.to_string()),
        Field::new("Film's file (SHA-256 begins)", 4, short(&film.hash)),
        Field::new("Station's serial number", 4, station.serial()),
    ]);
    rows
}

/// A time of the audit log (RFC 3339), to the second and with its zone.
fn moment(wall: &str) -> String {
    let (Some(date), Some(time)) = (wall.get(..10), wall.get(11..19)) else {
        return wall.to_owned();
    };
    // Behind the fractions of the second.
    let zone = wall
        .rfind(['+', '-', 'Z'])
        .map_or("", |start| &wall[start..]);
    format!("{date} {time} {zone}")
}

/// The height of rows.
pub(super) fn height(sheet: &Sheet, rows: &[Vec<Field>]) -> f32 {
    rows.iter().map(|row| row_height(sheet, row)).sum::<f32>() + 4.0
}

fn row_height(sheet: &Sheet, row: &[Field]) -> f32 {
    let heights = row.iter().map(|field| field.height(sheet));
    heights.fold(0.0, f32::max) + 5.0
}

/// Draws rows from `y` downwards, and returns where they end.
pub(super) fn rows_below(sheet: &mut Sheet, rows: &[Vec<Field>], mut y: f32) -> f32 {
    for row in rows {
        let mut x = MARGIN;
        for field in row {
            sheet.write(field.name, (x, y + SMALL + 2.0), SMALL, DIM);
            let mut line_y = y + SMALL + 3.0;
            for line in field.lines(sheet) {
                line_y += field.size * LEADING;
                sheet.write(&line, (x, line_y), field.size, BLACK);
            }
            x += field.width() + GAP;
        }
        y += row_height(sheet, row);
    }
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_zone() {
        assert_eq!(
            moment("2026-11-26T23:05:09.012345-03:30"),
            "2026-11-26 23:05:09 -03:30"
        );
        assert_eq!(moment("2026-11-26T23:05:09Z"), "2026-11-26 23:05:09 Z");
        assert_eq!(moment("never"), "never");
    }
}
