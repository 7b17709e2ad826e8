//! Text by Specific Character Set (PS3.3, C.12.1.1.2; PS3.5, 6.1), with the code extensions of
//! ISO 2022.

use alloc::string::String;
use alloc::vec::Vec;

use encoding_rs::{
    EUC_JP, EUC_KR, Encoding, GB18030, GBK, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5,
    ISO_8859_6, ISO_8859_7, ISO_8859_8, SHIFT_JIS, UTF_8, WINDOWS_874, WINDOWS_1252, WINDOWS_1254,
};

/// The character sets of a data set's text: how its bytes are read.
#[derive(Clone, Debug)]
pub struct Characters {
    first: Set,
    /// True if escape sequences may switch to other sets.
    extended: bool,
}

/// A character set: a part of an encoding that the library knows.
#[derive(Clone, Copy, Debug)]
struct Set {
    encoding: &'static Encoding,
    /// How its bytes stand in the encoding.
    bytes: Bytes,
}

/// How the bytes of a character set stand in an encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bytes {
    /// As they are.
    Plain,
    /// With the highest bit set: pairs of the lower half.
    Raised,
    /// As `Raised`, each pair behind the byte that switches EUC-JP to its third set.
    RaisedBehind8f,
    /// Nobody knows them: those above 127 are shown by their numbers.
    Unknown,
}

const DEFAULT: Set = plain(UTF_8);
const UNKNOWN: Set = Set {
    encoding: UTF_8,
    bytes: Bytes::Unknown,
};

const fn plain(encoding: &'static Encoding) -> Set {
    Set {
        encoding,
        bytes: Bytes::Plain,
    }
}

impl Characters {
    /// Returns the sets that `value`, a value of Specific Character Set (0008,0005), names.
    pub fn of(value: &str) -> Self {
        let mut names = value.split('\\').map(str::trim);
        Self {
            first: names.next().map_or(DEFAULT, Set::of),
            extended: value.contains("2022"),
        }
    }

    /// True if the first set is one that text can be decoded by.
    pub fn is_known(&self) -> bool {
        self.first.bytes != Bytes::Unknown
    }

    /// Decodes text, without padding; none if nothing is left.
    ///
    /// Bytes whose meaning is not known, and control characters, become `\x` and their number: texts
    /// that differ stay different, and none steers a terminal.
    pub fn text(&self, bytes: &[u8]) -> Option<String> {
        let mut text = String::new();
        let mut set = self.first;
        let mut rest = bytes;
        while !rest.is_empty() {
            let escape = match self.extended {
                true => rest.iter().position(|byte| *byte == ESCAPE),
                false => None,
            };
            let (run, after) = rest.split_at(escape.unwrap_or(rest.len()));
            // Bytes of a pair, and those of sets that cannot be switched, are no delimiters.
            let delimited = self.extended && set.bytes == Bytes::Plain;
            for part in run.split_inclusive(|byte| delimited && DELIMITERS.contains(byte)) {
                set.decode(part, &mut text);
                if delimited && part.last().is_some_and(|byte| DELIMITERS.contains(byte)) {
                    // PS3.5, 6.1.2.5.3: the first set is active again.
                    set = self.first;
                }
            }
            let switch = SWITCHES
                .iter()
                .find(|(sequence, _)| after.starts_with(sequence));
            rest = match switch {
                Some((sequence, switched)) => {
                    set = *switched;
                    &after[sequence.len()..]
                }
                // No sequence of DICOM's: a control character.
                None if !after.is_empty() => {
                    text.push(char::from(ESCAPE));
                    &after[1..]
                }
                None => after,
            };
        }
        let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
        let mut shown = String::new();
        for character in text.chars() {
            match character.is_control() {
                true => push_number(&mut shown, u32::from(character)),
                false => shown.push(character),
            }
        }
        (!shown.is_empty()).then_some(shown)
    }
}

fn push_number(text: &mut String, number: u32) {
    text.push_str(&alloc::format!("\\x{number:02X}"));
}

const ESCAPE: u8 = 0x1b;

/// Characters at which the first set becomes active again: those of names and of values, and ends of
/// lines.
const DELIMITERS: &[u8] = b"^=\\\r\n\t";

/// The escape sequences (PS3.3, tables C.12-3 and C.12-4).
const SWITCHES: [(&[u8], Set); 18] = [
    (b"\x1b(B", DEFAULT),
    (b"\x1b(J", plain(SHIFT_JIS)),
    (b"\x1b)I", plain(SHIFT_JIS)),
    (b"\x1b-A", plain(WINDOWS_1252)),
    (b"\x1b-B", plain(ISO_8859_2)),
    (b"\x1b-C", plain(ISO_8859_3)),
    (b"\x1b-D", plain(ISO_8859_4)),
    (b"\x1b-L", plain(ISO_8859_5)),
    (b"\x1b-G", plain(ISO_8859_6)),
    (b"\x1b-F", plain(ISO_8859_7)),
    (b"\x1b-H", plain(ISO_8859_8)),
    (b"\x1b-M", plain(WINDOWS_1254)),
    (b"\x1b-T", plain(WINDOWS_874)),
    (b"\x1b-b", plain(encoding_rs::ISO_8859_15)),
    (b"\x1b$B", raised(EUC_JP, Bytes::Raised)),
    (b"\x1b$(D", raised(EUC_JP, Bytes::RaisedBehind8f)),
    (b"\x1b$)C", plain(EUC_KR)),
    (b"\x1b$)A", plain(GBK)),
];

const fn raised(encoding: &'static Encoding, bytes: Bytes) -> Set {
    Set { encoding, bytes }
}

impl Set {
    /// Returns the set of a defined term of Specific Character Set (PS3.3, tables C.12-2 to C.12-5),
    /// also in spellings that writers have.
    fn of(name: &str) -> Self {
        let number: String = name
            .trim_start_matches("ISO")
            .chars()
            .filter(char::is_ascii_digit)
            .collect();
        match (name, number.trim_start_matches("2022")) {
            ("", _) | (_, "6") => DEFAULT,
            (_, "192") => DEFAULT,
            ("GB18030", _) => plain(GB18030),
            ("GBK" | "GB2312", _) => plain(GBK),
            ("UTF-8" | "UTF8", _) => DEFAULT,
            ("ISO_IR 149", _) => plain(EUC_KR),
            ("ISO_IR 58", _) => plain(GBK),
            (_, "100" | "88591") => plain(WINDOWS_1252),
            (_, "101") => plain(ISO_8859_2),
            (_, "109") => plain(ISO_8859_3),
            (_, "110") => plain(ISO_8859_4),
            (_, "144") => plain(ISO_8859_5),
            (_, "127") => plain(ISO_8859_6),
            (_, "126") => plain(ISO_8859_7),
            (_, "138") => plain(ISO_8859_8),
            (_, "148") => plain(WINDOWS_1254),
            (_, "166") => plain(WINDOWS_874),
            (_, "203") => plain(encoding_rs::ISO_8859_15),
            (_, "13") => plain(SHIFT_JIS),
            // Sets of two bytes are switched to; before that there is ASCII.
            (_, "87" | "159" | "149" | "58") => DEFAULT,
            _ => UNKNOWN,
        }
    }

    /// Adds the text of `bytes`.
    fn decode(self, bytes: &[u8], text: &mut String) {
        let raised = |behind: &[u8]| -> Vec<u8> {
            let mut raised = Vec::new();
            for pair in bytes.chunks(2) {
                // Spaces and delimiters are not of the set.
                if pair.iter().all(|byte| (0x21..0x7f).contains(byte)) {
                    raised.extend(behind);
                    raised.extend(pair.iter().map(|byte| byte | 0x80));
                } else {
                    raised.extend(pair);
                }
            }
            raised
        };
        let converted;
        let bytes = match self.bytes {
            Bytes::Plain | Bytes::Unknown => bytes,
            Bytes::Raised => {
                converted = raised(&[]);
                &converted
            }
            Bytes::RaisedBehind8f => {
                converted = raised(&[0x8f]);
                &converted
            }
        };
        let known = match self.bytes {
            Bytes::Unknown => None,
            _ => self
                .encoding
                .decode_without_bom_handling_and_without_replacement(bytes),
        };
        match known {
            Some(known) => text.push_str(&known),
            None => {
                for byte in bytes {
                    match byte.is_ascii() {
                        true => text.push(char::from(*byte)),
                        false => push_number(text, (*byte).into()),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(set: &str, bytes: &[u8]) -> String {
        Characters::of(set).text(bytes).unwrap_or_default()
    }

    #[test]
    fn names_of_the_standard_are_read() {
        // PS3.5, annexes H, I, J and K, and one name in each other set.
        let names: [(&str, &[u8], &str); 12] = [
            ("", b"Muster^Anna ", "Muster^Anna"),
            ("ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^J\u{e9}r\u{f4}me"),
            ("ISO_IR 144", b"\xbb\xee\xda\xdeceDypG", "\u{41b}\u{44e}\u{43a}\u{43e}ceDypG"),
            ("ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "\u{394}\u{3b9}\u{3bf}\u{3bd}\u{3c5}\u{3c3}\u{3b9}\u{3bf}\u{3c2}"),
            ("ISO_IR 192", "Wang^XiaoDong=王^小东".as_bytes(), "Wang^XiaoDong=王^小东"),
            ("GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东="),
            (
                "\\ISO 2022 IR 87",
                b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
                "Yamada^Tarou=山田^太郎=やまだ^たろう",
            ),
            (
                "ISO 2022 IR 13\\ISO 2022 IR 87",
                b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
                "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
            ),
            (
                "\\ISO 2022 IR 149",
                b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
                "Hong^Gildong=洪^吉洞=홍^길동",
            ),
            (
                "\\ISO 2022 IR 58",
                b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
                "Zhang^XiaoDong=张^小东=",
            ),
            ("ISO 2022 IR 100\\ISO 2022 IR 144", b"\xe4\x1b-L\xbb\xee", "\u{e4}\u{41b}\u{44e}"),
            ("ISO_IR 13", b"\xd4\xcf\xc0\xde", "ﾔﾏﾀﾞ"),
        ];
        for (set, bytes, name) in names {
            assert_eq!(text(set, bytes), name, "{set}");
        }
    }

    #[test]
    fn sets_in_wrong_spellings_are_known() {
        assert_eq!(text("UTF-8", "小".as_bytes()), "小");
        assert_eq!(text("ISO_IR 149", b"\xc8\xab"), "홍");
        assert_eq!(
            text("ISO 2022 IR 13\\ISO 2022 IR 87", b"\x1b$B;3\x1b(J\xd4"),
            "山ﾔ"
        );
    }

    #[test]
    fn texts_of_unknown_sets_stay_different() {
        assert_eq!(text("", b"Mu\xf1oz"), "Mu\\xF1oz");
        assert_eq!(text("", b"Mu\xf2oz"), "Mu\\xF2oz");
        assert_eq!(text("ISO_IR 999", b"Mu\xc3\xb1oz"), "Mu\\xC3\\xB1oz");
        assert_eq!(text("ISO_IR 192", b"\xff\xfe"), "\\xFF\\xFE");
    }

    #[test]
    fn control_characters_do_not_pass() {
        assert_eq!(text("", b" 7\x1b8 "), "7\\x1B8");
        assert_eq!(text("ISO 2022 IR 100", b"7\x1b[2J8"), "7\\x1B[2J8");
        assert_eq!(text("ISO_IR 192", "7\u{9b}8".as_bytes()), "7\\x9B8");
        assert_eq!(Characters::of("").text(b" \0"), None);
    }
}
