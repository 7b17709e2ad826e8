//! Lists of text as Python prints them, which PadChest keeps in its cells.

use std::iter::Peekable;
use std::str::Chars;

/// Reads the texts of a list such as `['a', " b's", '']`, trimmed, empty ones left out; `None` if it is
/// no such list.
pub(super) fn parse(text: &str) -> Option<Vec<String>> {
    let mut rest = text.chars().peekable();
    let mut texts = Vec::new();
    skip_blanks(&mut rest);
    if rest.next()? != '[' {
        return None;
    }
    loop {
        skip_blanks(&mut rest);
        match rest.next()? {
            ']' => break,
            quote @ ('\'' | '"') => {
                let text = quoted(&mut rest, quote)?;
                if !text.trim().is_empty() {
                    texts.push(text.trim().to_owned());
                }
            }
            _ => return None,
        }
        skip_blanks(&mut rest);
        match rest.next()? {
            ',' => {}
            ']' => break,
            _ => return None,
        }
    }
    skip_blanks(&mut rest);
    rest.next().is_none().then_some(texts)
}

fn skip_blanks(rest: &mut Peekable<Chars>) {
    while rest.next_if(|c| c.is_whitespace()).is_some() {}
}

/// Reads the text up to its closing quotation mark. Of escapes, those of quotation marks and of
/// backslashes occur.
fn quoted(rest: &mut Peekable<Chars>, quote: char) -> Option<String> {
    let mut text = String::new();
    loop {
        match rest.next()? {
            '\\' => text.push(rest.next()?),
            c if c == quote => return Some(text),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_others_refused() {
        for (text, texts) in [
            (
                "['scoliosis', ' aortic elongation ']",
                &["scoliosis", "aortic elongation"][..],
            ),
            ("[ \"Chilaiditi's sign\" ,'', ' ']", &["Chilaiditi's sign"]),
            ("['it\\'s', 'a,]b',]", &["it's", "a,]b"]),
            ("[]", &[]),
            (" [ ] ", &[]),
        ] {
            let read = parse(text).unwrap_or_else(|| panic!("{text} is a list"));
            assert_eq!(read, texts);
        }
        for text in [
            "",
            "nan",
            "scoliosis",
            "['a'",
            "['a",
            "['a\\",
            "['a' 'b']",
            "['a']]",
            "[,]",
            "[1]",
            "['a'],",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
