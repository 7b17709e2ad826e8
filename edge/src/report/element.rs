//! Putting elements into data sets.

use std::borrow::Cow;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_object::InMemDicomObject;
use plumbline_dimse::is_uid;

/// Puts elements of one text each; one that is empty, or none of its VR, has no value. Films may say
/// anything, and no report may be invalid for it.
pub(crate) fn put_texts(object: &mut InMemDicomObject, texts: &[(Tag, VR, &str)]) {
    for &(tag, vr, text) in texts {
        let value = match &*fitted(vr, text) {
            "" => PrimitiveValue::Empty,
            text => text.into(),
        };
        object.put(DataElement::new(tag, vr, value));
    }
}

/// The text as a value of this VR (PS3.5, 6.2): without what would part it into several values, cut to what
/// fits, and empty where a part of it would mean something else.
pub(crate) fn fitted(vr: VR, text: &str) -> Cow<'_, str> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let code = |c: char| matches!(c, 'A'..='Z' | '0'..='9' | ' ' | '_');
    let right = match vr {
        VR::AS => {
            let number = text.strip_suffix(['D', 'W', 'M', 'Y']);
            number.is_some_and(|number| number.len() == 3 && digits(number))
        }
        VR::CS => text.len() <= 16 && text.chars().all(code),
        VR::DA => text.len() == 8 && digits(text),
        VR::TM => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
            matches!(whole.len(), 2 | 4 | 6)
                && digits(whole)
                && (1..=6).contains(&fraction.len())
                && digits(fraction)
        }
        VR::UI => is_uid(text),
        VR::IS | VR::DS => text.len() <= 16,
        VR::SH | VR::LO | VR::PN => return line(text, if vr == VR::SH { 16 } else { 64 }),
        _ => true,
    };
    match right {
        true => text.into(),
        false => Cow::Borrowed(""),
    }
}

/// A text of one line. A byte that the film's character set does not explain, told as `\\x` and its number,
/// becomes a question mark.
fn line(text: &str, most: usize) -> Cow<'_, str> {
    let plain = |c: char| c != '\\' && !c.is_control();
    if text.chars().all(plain) && text.chars().count() <= most {
        return text.into();
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let unexplained = (c == '\\' && rest.starts_with('x'))
            .then(|| rest.get(1..3))
            .flatten();
        match unexplained {
            Some(number) if number.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                rest = &rest[3..];
                out.push('?');
            }
            _ => out.push(if plain(c) { c } else { ' ' }),
        }
    }
    out.chars().take(most).collect::<String>().into()
}

/// Puts elements of one text each that is known.
pub(crate) fn put_known(object: &mut InMemDicomObject, texts: &[(Tag, VR, &Option<String>)]) {
    for (tag, vr, text) in texts {
        if let Some(text) = text {
            put_texts(object, &[(*tag, *vr, text)]);
        }
    }
}

/// The text; empty if none is known.
pub(crate) fn known(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

/// Puts a sequence.
pub(super) fn put_sequence(
    object: &mut InMemDicomObject,
    tag: Tag,
    items: impl IntoIterator<Item = InMemDicomObject>,
) {
    let items: Vec<_> = items.into_iter().collect();
    object.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit_their_vr_or_are_left_out() {
        for (vr, text, value) in [
            (VR::PN, "Mu\u{f1}oz^A", "Mu\u{f1}oz^A"),
            (VR::PN, "M\\xFCller^A", "M?ller^A"),
            (VR::LO, "7\\8\n9", "7 8 9"),
            (VR::LO, "\\x", " x"),
            (VR::SH, "12345678901234567", "1234567890123456"),
            (VR::DA, "19800101", "19800101"),
            (VR::DA, "1980.01.01", ""),
            (VR::AS, "034Y", "034Y"),
            (VR::AS, "34", ""),
            (VR::TM, "120000.5", "120000.5"),
            (VR::TM, "12:00", ""),
            (VR::CS, "F", "F"),
            (VR::CS, "female", ""),
            (VR::UI, "1.2.3", "1.2.3"),
            (VR::UI, "../1", ""),
            (VR::UT, "a\\b", "a\\b"),
        ] {
            assert_eq!(fitted(vr, text), value, "{vr} {text}");
        }
        assert_eq!(fitted(VR::LO, &"\u{60a3}".repeat(70)).chars().count(), 64);
    }
}
