//! A film's texts as they are written on paper.

use crate::paper::Typeface;

/// What stands for a text that there is none of.
const NONE: &str = "–";

/// What stands for a text whose letters the font lacks.
const ANOTHER_SCRIPT: &str = "in a script that this page cannot print";

/// A text as it is.
pub(super) fn text(text: Option<&str>, typeface: &Typeface) -> String {
    match text {
        None => NONE.into(),
        Some(text) if typeface.has(text) => text.into(),
        Some(_) => ANOTHER_SCRIPT.into(),
    }
}

/// A person's name (VR PN, PS3.5, 6.2.1): its component groups that the font has the letters of, each
/// with the family name first.
pub(super) fn person(name: Option<&str>, typeface: &Typeface) -> String {
    let Some(name) = name else {
        return NONE.into();
    };
    let groups = name.split('=').map(in_order);
    let groups: Vec<_> = groups.filter(|group| !group.is_empty()).collect();
    let mut printable: Vec<_> = groups.iter().filter(|group| typeface.has(group)).collect();
    printable.dedup();
    match (&printable[..], &groups[..]) {
        ([], []) => NONE.into(),
        ([], _) => ANOTHER_SCRIPT.into(),
        ([first], _) => (*first).clone(),
        ([first, others @ ..], _) => {
            let others: Vec<_> = others.iter().map(|group| group.as_str()).collect();
            format!("{first} ({})", others.join(", "))
        }
    }
}

/// A component group: `Family, Prefix Given Middle, Suffix`.
fn in_order(group: &str) -> String {
    let mut parts = group.split('^').map(str::trim);
    let mut part = || parts.next().unwrap_or_default();
    let (family, given, middle, prefix, suffix) = (part(), part(), part(), part(), part());
    let joined = |parts: &[&str], by: &str| {
        let given: Vec<_> = parts
            .iter()
            .filter(|part| !part.is_empty())
            .copied()
            .collect();
        given.join(by)
    };
    let own = joined(&[prefix, given, middle], " ");
    joined(&[family, &own, suffix], ", ")
}

/// A date (VR DA).
pub(super) fn date(date: Option<&str>, typeface: &Typeface) -> String {
    match date.map(|date| (date, date.len())) {
        Some((date, 8)) if date.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..])
        }
        _ => text(date, typeface),
    }
}

/// A time (VR TM), to the minute.
pub(super) fn time(time: Option<&str>) -> Option<String> {
    let time = time?;
    let digits = time.get(..4)?;
    let right = digits.bytes().all(|byte| byte.is_ascii_digit());
    right.then(|| format!("{}:{}", &digits[..2], &digits[2..]))
}

/// The patient's sex (0010,0040).
pub(super) fn sex(sex: Option<&str>, typeface: &Typeface) -> String {
    match sex {
        Some("F") => "female".into(),
        Some("M") => "male".into(),
        Some("O") => "other".into(),
        sex => text(sex, typeface),
    }
}

/// An age (VR AS).
pub(super) fn age(age: Option<&str>) -> Option<String> {
    let age = age?;
    let unit = match age.chars().last()? {
        'D' => "days",
        'W' => "weeks",
        'M' => "months",
        'Y' => "years",
        _ => return None,
    };
    let number: u16 = age[..age.len() - 1].parse().ok()?;
    Some(format!("{number} {unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_people_read_them() {
        let typeface = Typeface::new();
        for (name, written) in [
            ("Muñoz^Ana^María^Dra.^PhD", "Muñoz, Dra. Ana María, PhD"),
            ("Παπαδόπουλος^Νίκος", "Παπαδόπουλος, Νίκος"),
            ("Smith", "Smith"),
            ("^Ana", "Ana"),
            ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou"),
            (
                "Ivanova^Olga=Иванова^Ольга",
                "Ivanova, Olga (Иванова, Ольга)",
            ),
            ("山田^太郎", ANOTHER_SCRIPT),
            ("=Жук", "Жук"),
            ("^^^", NONE),
        ] {
            assert_eq!(person(Some(name), &typeface), written);
        }
        assert_eq!(person(None, &typeface), NONE);
    }

    #[test]
    fn what_is_no_date_is_written_as_it_is() {
        let typeface = Typeface::new();
        assert_eq!(date(Some("20110305"), &typeface), "2011-03-05");
        assert_eq!(date(Some("2011.03.05"), &typeface), "2011.03.05");
        assert_eq!(date(Some("дата1234"), &typeface), "дата1234");
        assert_eq!(date(None, &typeface), NONE);
        assert_eq!(time(Some("093015.5")).as_deref(), Some("09:30"));
        assert_eq!(
            (time(Some("9")), time(Some("\u{e9}\u{e9}\u{e9}"))),
            (None, None)
        );
        assert_eq!(age(Some("034Y")).as_deref(), Some("34 years"));
        assert_eq!((age(Some("Y")), age(Some("\u{e9}"))), (None, None));
        assert_eq!(sex(Some("X"), &typeface), "X");
    }
}
