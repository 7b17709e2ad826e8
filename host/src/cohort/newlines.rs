//! Line ends of all systems.

use std::io::{self, Read};

/// Text with the line ends of Windows and of old Macs made those of Unix, so that a CSV reader
/// counts lines alike: it counts a line from before the second character of its end.
pub(crate) struct Newlines<R> {
    reader: R,
    after_return: bool,
}

impl<R> Newlines<R> {
    /// The text of `reader`.
    pub(crate) fn of(reader: R) -> Self {
        Self {
            reader,
            after_return: false,
        }
    }
}

impl<R: Read> Read for Newlines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.reader.read(buffer)?;
            let mut kept = 0;
            for at in 0..read {
                let byte = buffer[at];
                if byte != b'\n' || !self.after_return {
                    buffer[kept] = if byte == b'\r' { b'\n' } else { byte };
                    kept += 1;
                }
                self.after_return = byte == b'\r';
            }
            // Nothing would mean the end.
            if kept > 0 || read == 0 {
                return Ok(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_become_one_character_however_the_text_is_cut() {
        let text = b"a\r\nb\rc\n\r\n\r\rd\n\ne\r\n";
        for size in 1..text.len() {
            let mut reader = Newlines::of(&text[..]);
            let mut whole = Vec::new();
            let mut piece = vec![0; size];
            loop {
                match reader.read(&mut piece).unwrap() {
                    0 => break,
                    read => whole.extend_from_slice(&piece[..read]),
                }
            }
            assert_eq!(whole, b"a\nb\nc\n\n\n\nd\n\ne\n");
        }
    }
}
