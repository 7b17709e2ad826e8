//! File IDs (PS3.10, 8.2): at most 8 components of at most 8 characters A-Z, 0-9 and _. Upper and lower case,
//! long names and extensions are not the same everywhere.

use plumbline_shared::manifest::sha256;

use crate::store::Kind;

/// The folder of all stations' files.
pub(super) const FOLDER: &str = "PLUMB";

/// A seal's file in a station's folder.
pub(super) const SEAL: &str = "SEAL";

/// The digits of a hash in a component.
const DIGITS: usize = 7;

/// A component that stands for a text of any length.
pub(super) fn component(letter: char, text: &str) -> String {
    let hash = sha256(text.as_bytes());
    format!("{letter}{}", hash[..DIGITS].to_ascii_uppercase())
}

/// The name of the file of an instance; another one for each `turn`, as two instances may have the same.
pub(super) fn file_name(kind: Kind, instance: &str, turn: u32) -> String {
    match turn {
        0 => component(letter(kind), instance),
        turn => component(letter(kind), &format!("{instance} {turn}")),
    }
}

/// True for names that [`component`] makes with this letter.
pub(super) fn is_component(letter: char, name: &str) -> bool {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    name.strip_prefix(letter)
        .is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(digit))
}

/// True for the paths that files of a station may have below its folder.
pub(super) fn is_file(path: &str) -> bool {
    let of_kind = |name: &str| kind(name).is_some_and(|kind| is_component(letter(kind), name));
    path.split_once('/')
        .is_some_and(|(study, name)| is_component('T', study) && of_kind(name))
}

/// What is in the file of this name.
pub(super) fn kind(name: &str) -> Option<Kind> {
    let letter_of = |kind: &Kind| name.starts_with(letter(*kind));
    Kind::ALL.into_iter().find(letter_of)
}

/// The first letter of files of a kind.
const fn letter(kind: Kind) -> char {
    match kind {
        Kind::Original => 'F',
        Kind::Report => 'R',
        Kind::Capture => 'C',
        Kind::Page => 'P',
        Kind::Deidentified => 'D',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_file_ids_and_nothing_else_is() {
        let study = component('T', "1.2.3");
        for kind_of in Kind::ALL {
            for turn in 0..3 {
                let name = file_name(kind_of, "1.2.3.4", turn);
                assert_eq!(name.len(), 8);
                assert!(is_file(&format!("{study}/{name}")), "{name}");
                assert_eq!(kind(&name), Some(kind_of));
            }
        }
        assert_ne!(
            file_name(Kind::Report, "1.2", 0)[1..],
            file_name(Kind::Report, "1.2", 1)[1..]
        );
        for other in [
            "F1234567",
            "T1234567/../F1234567",
            "../T1234567/F1234567",
            "T1234567/F123456",
            "T1234567/f1234567",
            "T1234567/X1234567",
            "T1234567/F1234567/F1234567",
            "/T1234567/F1234567",
            "T1234567/F123456\u{e9}",
            "",
        ] {
            assert!(!is_file(other), "{other}");
        }
    }
}
