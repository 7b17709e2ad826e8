//! Cells of foreign tables and headers, read.

use super::rejects::Reason;
use super::table::shortened;
use crate::cohort::manifest::Split;
use plumbline_shared::clinical::{Projection, Sex};

/// No patient is older; greater ages are slips of the pen, of which ChestX-ray14 has some.
const OLDEST: f64 = 120.0;

/// Reads an age in whole years: `58`, `58.0`, `058Y`, `018M`, `012W` or `010D`.
pub(super) fn age(cell: &str) -> Option<u8> {
    let (number, years) = match cell.chars().last()? {
        'Y' | 'y' => (&cell[..cell.len() - 1], 1.0),
        'M' | 'm' => (&cell[..cell.len() - 1], 1.0 / 12.0),
        'W' | 'w' => (&cell[..cell.len() - 1], 7.0 / 365.25),
        'D' | 'd' => (&cell[..cell.len() - 1], 1.0 / 365.25),
        _ => (cell, 1.0),
    };
    let years = number.parse::<f64>().ok()? * years;
    (0.0..=OLDEST).contains(&years).then_some(years as u8)
}

/// Returns the age on `day`, from a birth day or year: dates are `yyyymmdd` or `yyyy`, perhaps with `.0`.
/// With a year alone it may be one too many.
pub(super) fn age_on(day: &str, birth: &str) -> Option<u8> {
    let (year, month_and_day) = date(day)?;
    let (birth_year, birth_month_and_day) = date(birth)?;
    let not_yet = matches!((month_and_day, birth_month_and_day), (Some(d), Some(b)) if d < b);
    let years = year - birth_year - i32::from(not_yet);
    (0.0..=OLDEST)
        .contains(&f64::from(years))
        .then_some(years as u8)
}

/// Returns a date's year, and its month and day as `mmdd`.
fn date(text: &str) -> Option<(i32, Option<u32>)> {
    let text = text.strip_suffix(".0").unwrap_or(text);
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match text.len() {
        4 => Some((text.parse().ok()?, None)),
        8 => Some((text[..4].parse().ok()?, Some(text[4..].parse().ok()?))),
        _ => None,
    }
}

/// Reads a sex.
pub(super) fn sex(cell: &str) -> Option<Sex> {
    match cell.to_ascii_lowercase().as_str() {
        "f" | "female" => Some(Sex::Female),
        "m" | "male" => Some(Sex::Male),
        _ => None,
    }
}

/// Reads a projection; `None` where the cell says that it is not known.
pub(super) fn projection(cell: &str) -> Result<Option<Projection>, Reason> {
    let name = cell.to_ascii_uppercase().replace([' ', '-'], "_");
    match name.as_str() {
        "" | "UNK" | "UNKNOWN" => Ok(None),
        "PA" => Ok(Some(Projection::Pa)),
        "AP" | "AP_HORIZONTAL" | "AP_SUPINE" | "AP_ERECT" => Ok(Some(Projection::Ap)),
        "FRONTAL" => Ok(Some(Projection::Frontal)),
        "L" | "LL" | "RL" | "LAT" | "LLAT" | "RLAT" | "LATERAL" | "LEFT_LATERAL"
        | "RIGHT_LATERAL" => Ok(Some(Projection::Lateral)),
        _ => Err(Reason::View(shortened(cell))),
    }
}

/// Reads a label.
pub(super) fn label(cell: &str) -> Result<bool, Reason> {
    match cell.to_lowercase().as_str() {
        "1" | "1.0" | "yes" | "true" | "positive" | "scoliosis" => Ok(true),
        "0" | "0.0" | "no" | "false" | "negative" | "normal" => Ok(false),
        _ => Err(Reason::Row(format!(
            "the label is {:?}, but must be 1 or 0, yes or no, true or false, positive or negative, \
             scoliosis or normal",
            shortened(cell)
        ))),
    }
}

/// Reads a split.
pub(super) fn split(cell: &str) -> Result<Split, Reason> {
    match cell.to_lowercase().as_str() {
        "train" | "training" => Ok(Split::Train),
        "val" | "valid" | "validation" | "dev" => Ok(Split::Val),
        "test" | "testing" => Ok(Split::Test),
        _ => Err(Reason::Row(format!(
            "the split is {:?}, but must be train, val or test",
            shortened(cell)
        ))),
    }
}

/// Returns findings as the manifest holds them.
pub(super) fn findings<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut once: Vec<String> = Vec::new();
    for name in names.map(|name| name.replace('|', "/")) {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once.join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_in_whole_years() {
        for (cell, years) in [
            ("58", Some(58)),
            ("58.0", Some(58)),
            ("058Y", Some(58)),
            ("018M", Some(1)),
            ("104W", Some(1)),
            ("010D", Some(0)),
            ("414", None),
            ("-3", None),
            ("NaN", None),
            ("old", None),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(age(cell), years, "{cell}");
        }
        for (day, birth, years) in [
            ("20140702", "1950.0", Some(64)),
            ("20140702.0", "1950", Some(64)),
            ("20040304", "19400305", Some(63)),
            ("20040305", "19400305", Some(64)),
            ("19010101", "19400305", None),
            ("2014-07-02", "1950", None),
            ("20140702", "", None),
            ("9999", "0000", None),
        ] {
            assert_eq!(age_on(day, birth), years, "{day} {birth}");
        }
    }

    #[test]
    fn words_are_understood_or_cited() {
        assert_eq!(projection("AP_horizontal"), Ok(Some(Projection::Ap)));
        assert_eq!(projection("ll"), Ok(Some(Projection::Lateral)));
        assert_eq!(projection("UNK"), Ok(None));
        assert_eq!(projection("COSTAL"), Err(Reason::View("COSTAL".into())));
        assert_eq!(label("Yes"), Ok(true));
        assert_eq!(label("normal"), Ok(false));
        let message = label(&"maybe\n".repeat(100)).unwrap_err().to_string();
        assert!(
            message.contains("maybe maybe") && message.len() < 300,
            "{message}"
        );
        assert_eq!(split("Validation"), Ok(Split::Val));
        assert!(split("practice").is_err());
        assert_eq!(sex("male"), Some(Sex::Male));
        assert_eq!(sex("O"), None);
        assert_eq!(findings(["a|b", "c"].into_iter()), "a/b|c");
    }
}
