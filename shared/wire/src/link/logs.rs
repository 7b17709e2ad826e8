//! Pieces of the log, which nobody waits for: those without room, and those that the line loses, are
//! counted.

use crate::frame::BODY;

/// The piece of this side's log that waits for the line, and the numbers of both sides' pieces.
#[derive(Clone, Debug)]
pub(super) struct Logs {
    body: [u8; BODY],
    /// 0 if no piece waits.
    length: u8,
    /// The number of the piece that waits, or of the next one.
    number: u16,
    /// Pieces that were lost since the last one that found room.
    lost: u16,
    /// The number of the other side's next piece.
    expected: u16,
}

impl Logs {
    pub const fn new() -> Self {
        Self {
            body: [0; BODY],
            length: 0,
            number: 0,
            lost: 0,
            expected: 0,
        }
    }

    /// Begins a session; what waits and what was lost is told in it.
    pub fn reset(&mut self) {
        (self.number, self.expected) = (0, 0);
    }

    pub fn has_room(&self) -> bool {
        self.length == 0
    }

    pub fn push(&mut self, piece: &[u8]) -> bool {
        let room = match self.has_room() {
            true => self.body.get_mut(..piece.len()),
            false => None,
        };
        let Some(room) = room else {
            self.lose(1);
            return false;
        };
        room.copy_from_slice(piece);
        // At most BODY, which is less than 256.
        self.length = piece.len() as u8;
        self.number = self.number.wrapping_add(self.lost);
        self.lost = 0;
        true
    }

    pub fn lose(&mut self, pieces: u16) {
        self.lost = self.lost.saturating_add(pieces);
    }

    /// Returns the piece that waits and its number, and takes it as sent.
    pub fn depart(&mut self) -> Option<(u16, &[u8])> {
        let length = usize::from(core::mem::take(&mut self.length));
        if length == 0 {
            return None;
        }
        let number = self.number;
        self.number = number.wrapping_add(1);
        Some((number, &self.body[..length]))
    }

    /// Says how many pieces are missing before the other side's piece `number`; `None` if that came
    /// before.
    pub fn come(&mut self, number: u16) -> Option<u16> {
        let missing = number.wrapping_sub(self.expected);
        if missing >= 1 << 15 {
            return None;
        }
        self.expected = number.wrapping_add(1);
        Some(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_without_room_are_seen_as_a_gap() {
        let mut ours = Logs::new();
        let mut theirs = Logs::new();
        assert!(ours.push(b"one"));
        assert!(!ours.push(b"two"));
        let (number, body) = ours.depart().unwrap();
        assert_eq!((theirs.come(number), body), (Some(0), &b"one"[..]));
        assert!(ours.depart().is_none());
        ours.lose(3);
        assert!(!ours.push(&[1; BODY + 1]));
        assert!(ours.push(b"three"));
        let (number, _) = ours.depart().unwrap();
        assert_eq!(theirs.come(number), Some(5));
        assert_eq!(theirs.come(number), None);
        ours.reset();
        theirs.reset();
        ours.lose(2);
        assert!(ours.push(b"four"));
        let (number, _) = ours.depart().unwrap();
        assert_eq!(theirs.come(number), Some(2));
    }
}
