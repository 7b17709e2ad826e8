//! One direction of a line on which the sender's program seems to be of another protocol.

use plumbline_wire::frame::{self, FRAME, Frame, Frames};

/// Changes the protocol number in each hello that passes.
pub struct Disguise {
    /// How much newer the sender seems to be than it is.
    newer: i16,
    frames: Frames,
}

impl Disguise {
    /// A sender that seems to be so much newer than it is, or older.
    pub fn new(newer: i16) -> Self {
        Self {
            newer,
            frames: Frames::new(),
        }
    }

    /// The bytes that the receiver gets in the place of these. Frames pass when they are whole.
    pub fn pass(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        // What a reset has cut off must not swallow the next frame: see `plumbline_wire::frame`.
        let mut passed = vec![0];
        let mut out = [0; FRAME];
        while let Some(frame) = self.frames.next(&mut bytes) {
            let frame = match frame {
                Frame::Hello(mut hello) => {
                    hello.from.protocol = hello.from.protocol.wrapping_add_signed(self.newer);
                    frame::write_hello(&hello, &mut out)
                }
                Frame::Body(header, body) => frame::write(&header, body, &mut out),
            };
            passed.extend_from_slice(frame);
        }
        passed
    }
}

#[cfg(test)]
mod tests {
    use plumbline_wire::hello::{Hello, Version};
    use plumbline_wire::panel::{PROTOCOL, identity};

    use super::*;

    #[test]
    fn only_the_number_changes() {
        let hello = Hello {
            from: identity(Version::of("1.2.3"), 7),
            session: 1,
            heard: 2,
            answer: true,
        };
        let mut out = [0; FRAME];
        let sent = frame::write_hello(&hello, &mut out);
        let mut disguise = Disguise::new(1);
        let (first, rest) = sent.split_at(10);
        assert_eq!(disguise.pass(first), [0]);
        let passed = disguise.pass(rest);
        let mut expected = hello;
        expected.from.protocol = PROTOCOL + 1;
        assert_eq!(
            Frames::new().next(&mut &*passed),
            Some(Frame::Hello(expected))
        );
    }
}
