//! Rules on what a DICOM file says of itself. What it does not say breaks no rule.

use plumbline_shared::decode::Header;

use super::finding::{Code, Finding};
use super::intended_use::IntendedUse;

/// Digital X-Ray Image Storage - For Processing (DICOM PS3.4, B.5).
const DX_FOR_PROCESSING: &str = "1.2.840.10008.5.1.4.1.1.1.1.1";

/// Returns all rules that a file's header breaks.
pub(super) fn check(header: &Header, intended: &IntendedUse) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_one_of = |list: &[String], word: &str| list.iter().any(|w| w.eq_ignore_ascii_case(word));
    if let Some(modality) = &header.modality
        && !is_one_of(&intended.modalities, modality)
    {
        findings.push(Finding::because(
            Code::WrongModality,
            format!(
                "was taken by a device of another kind (modality {}), not by one of {}",
                quoted(modality),
                intended.modalities.join(", ")
            ),
        ));
    }
    if let Some(part) = &header.body_part_examined {
        let words = || part.split(|c: char| !c.is_alphanumeric());
        let chest = words().any(|word| is_one_of(&intended.body_parts, word));
        if !chest && words().any(|word| is_one_of(&intended.other_body_parts, word)) {
            findings.push(Finding::because(
                Code::WrongBodyPart,
                format!("is of another part of the body ({})", quoted(part)),
            ));
        }
    }
    if let Some(view) = &header.view_position
        && is_one_of(&intended.other_views, view)
    {
        findings.push(Finding::because(
            Code::Lateral,
            format!("was taken from the side (view {})", quoted(view)),
        ));
    }
    if header.sop_class_uid.as_deref() == Some(DX_FOR_PROCESSING) && !intended.for_processing {
        findings.push(Finding::new(Code::ForProcessing));
    }
    if let Some(years) = age(header) {
        let (youngest, oldest) = (intended.youngest, intended.oldest);
        if years < youngest || years > oldest {
            let ages =
                format!("is of a patient of {years} years; {youngest} to {oldest} are screened");
            findings.push(Finding::because(Code::Age, ages));
        }
    }
    findings
}

/// A value of a file in a sentence: short, and nothing of it steers a terminal.
fn quoted(value: &str) -> String {
    let plain = value.chars().filter(|c| !c.is_control());
    plain.take(40).collect()
}

/// The patient's age in whole years at the examination: by Patient's Age, else by the dates of birth
/// and of the study. None if they are missing or no dates.
fn age(header: &Header) -> Option<u32> {
    let said = header.patient_age.as_deref().and_then(years);
    said.or_else(|| {
        let birth = date(header.patient_birth_date.as_deref()?)?;
        let study = date(header.study_date.as_deref()?)?;
        let birthday_to_come = (study.1, study.2) < (birth.1, birth.2);
        study
            .0
            .checked_sub(birth.0)?
            .checked_sub(u32::from(birthday_to_come))
    })
}

/// Whole years of an Age String (PS3.5, 6.2): three digits and D, W, M or Y. Without a letter they
/// are years, as some archives write them.
fn years(age: &str) -> Option<u32> {
    let age = age.trim();
    let (digits, unit) = match age.char_indices().last()? {
        (_, last) if last.is_ascii_digit() => (age, 'Y'),
        (at, last) => (&age[..at], last.to_ascii_uppercase()),
    };
    let number: u32 = match digits.len() {
        1..=3 => digits.parse().ok()?,
        _ => return None,
    };
    match unit {
        'Y' => Some(number),
        'M' => Some(number / 12),
        'W' => Some(number / 52),
        'D' => Some(number / 365),
        _ => None,
    }
}

/// Year, month and day of a date, `YYYYMMDD`, or of the form before DICOM 3, `YYYY.MM.DD`.
fn date(text: &str) -> Option<(u32, u32, u32)> {
    let digits: String = text.chars().filter(|c| *c != '.').collect();
    if digits.len() != 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| digits[range].parse().ok();
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    ((1..=12).contains(&month) && (1..=31).contains(&day)).then_some((year, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(change: impl FnOnce(&mut Header)) -> Vec<Code> {
        let mut header = Header::default();
        change(&mut header);
        let findings = check(&header, &IntendedUse::default());
        findings.iter().map(|finding| finding.code).collect()
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn what_is_not_said_breaks_no_rule() {
        assert_eq!(codes(|_| {}), []);
        assert_eq!(codes(|h| h.body_part_examined = some("ROOM 3")), []);
        assert_eq!(codes(|h| h.view_position = some("AP")), []);
        assert_eq!(codes(|h| h.patient_age = some("unknown")), []);
        assert_eq!(codes(|h| h.patient_birth_date = some("19700101")), []);
    }

    #[test]
    fn every_rule_that_is_broken_is_told() {
        let all = codes(|h| {
            h.modality = some("CT");
            h.body_part_examined = some("KNEE");
            h.view_position = some("LL");
            h.sop_class_uid = some(DX_FOR_PROCESSING);
            h.patient_age = some("003Y");
        });
        let expected = [
            Code::WrongModality,
            Code::WrongBodyPart,
            Code::Lateral,
            Code::ForProcessing,
            Code::Age,
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn body_parts_are_words() {
        let part = |text: &str| codes(|h| h.body_part_examined = some(text)).is_empty();
        for chest in ["CHEST", "Chest PA", "chest_ap", "THORAX", "CHEST/ABDOMEN"] {
            assert!(part(chest), "{chest}");
        }
        for other in ["ABDOMEN", "LSPINE", "left knee", "WSPINE", "HAND^L"] {
            assert!(!part(other), "{other}");
        }
    }

    #[test]
    fn ages_are_said_or_reckoned() {
        let said = |text: &str| {
            let mut header = Header::default();
            header.patient_age = some(text);
            age(&header)
        };
        let ages = ["034Y", "018M", "062", "7y", "030D", "060W"].map(said);
        let expected = [Some(34), Some(1), Some(62), Some(7), Some(0), Some(1)];
        assert_eq!(ages, expected);
        for text in ["Y", "", "03é", "1234Y", "-5Y", "3Q"] {
            assert_eq!(said(text), None, "{text:?}");
        }
        let reckoned = |birth: &str, study: &str| {
            let mut header = Header::default();
            header.patient_birth_date = some(birth);
            header.study_date = some(study);
            age(&header)
        };
        assert_eq!(reckoned("19400305", "20040826"), Some(64));
        assert_eq!(reckoned("19400827", "20040826"), Some(63));
        assert_eq!(reckoned("1940.03.05", "20040826"), Some(64));
        assert_eq!(reckoned("20040827", "20040826"), None);
        assert_eq!(reckoned("19401305", "20040826"), None);
        assert_eq!(reckoned("1940é305", "20040826"), None);
    }
}
