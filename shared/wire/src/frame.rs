//! Frames on a serial line: COBS( plain | CRC-32 ) 0x00.
//!
//! A frame's plain bytes are a hello ([`crate::hello`]), or a header and a body:
//!
//! | bytes | |
//! |---|---|
//! | 1 | [`Kind`] |
//! | 4 | name of the session, from its sender to its receiver |
//! | 2 | sequence number |
//! | 2 | acknowledgement: the number of the first message that has not come |
//! | 2 | bit i: the message of that number + 1 + i has come |
//! | 1 | window: how many messages from that number on have room |
//! | at most [`BODY`] | body |
//!
//! Numbers are little endian. The CRC-32 (ISO-HDLC, as in Ethernet and zip) covers all plain bytes. It
//! finds every burst of up to 32 bits; of random bytes one frame in 2^32 passes, so a body must be
//! read with the same care as one from a stranger.

use crate::hello::{HELLO, Hello, LENGTH};

/// The most bytes of a body.
pub const BODY: usize = 238;

/// The most bytes of a frame on the line, its end included.
pub const FRAME: usize = 256;

const HEADER: usize = 12;
const SUM: usize = 4;
const PLAIN: usize = HEADER + BODY + SUM;

// COBS adds one byte to at most 254, and the end another.
const _: () = assert!(PLAIN == 254 && cobs::max_encoding_length(PLAIN) + 1 == FRAME);

// The smallest table, 1 KiB: one of 16 KiB would take a quarter of a board's flash memory, and a
// serial line is thousands of times slower than either.
const CRC: crc::Crc<u32, crc::Table<1>> =
    crc::Crc::<u32, crc::Table<1>>::new(&crc::CRC_32_ISO_HDLC);

/// What a frame with a header is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message, which is acknowledged.
    Message = 1,
    /// An acknowledgement alone, which also says that its sender lives. Without body; its sequence
    /// number means nothing.
    Acknowledgement = 2,
    /// Whole defmt frames, which nobody acknowledges. Sequence numbers count all pieces, also those
    /// that were never sent, so that a gap says how many are missing.
    Log = 3,
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is for.
    pub kind: Kind,
    /// The name of the session, from the sender to the receiver.
    pub session: u32,
    /// The number of the message or log.
    pub sequence: u16,
    /// The number of the first message that the sender has not got.
    pub acknowledgement: u16,
    /// Bit i: the sender has got the message `acknowledgement + 1 + i`.
    pub selective: u16,
    /// How many messages from `acknowledgement` on the sender has room for.
    pub window: u8,
}

/// A frame that came whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A hello.
    Hello(Hello),
    /// A header and a body.
    Body(Header, &'a [u8]),
}

/// Writes a hello as a frame and returns the frame.
pub fn write_hello<'b>(hello: &Hello, out: &'b mut [u8; FRAME]) -> &'b [u8] {
    let mut plain = [0; LENGTH + SUM];
    plain[..LENGTH].copy_from_slice(&hello.write());
    seal(&mut plain, out)
}

/// Writes a frame of `header` and `body`, of which at most [`BODY`] bytes are taken, and returns the
/// frame.
pub fn write<'b>(header: &Header, body: &[u8], out: &'b mut [u8; FRAME]) -> &'b [u8] {
    let body = &body[..body.len().min(BODY)];
    let mut plain = [0; PLAIN];
    let end = HEADER + body.len();
    plain[0] = header.kind as u8;
    plain[1..5].copy_from_slice(&header.session.to_le_bytes());
    plain[5..7].copy_from_slice(&header.sequence.to_le_bytes());
    plain[7..9].copy_from_slice(&header.acknowledgement.to_le_bytes());
    plain[9..11].copy_from_slice(&header.selective.to_le_bytes());
    plain[11] = header.window;
    plain[HEADER..end].copy_from_slice(body);
    seal(&mut plain[..end + SUM], out)
}

/// Sums up `plain`, whose last bytes are free for that, and encodes it.
fn seal<'b>(plain: &mut [u8], out: &'b mut [u8; FRAME]) -> &'b [u8] {
    let end = plain.len() - SUM;
    let sum = CRC.checksum(&plain[..end]);
    plain[end..].copy_from_slice(&sum.to_le_bytes());
    let used = cobs::encode(plain, out);
    out[used] = 0;
    &out[..=used]
}

/// Collects bytes into frames. What is damaged is left out and counted.
///
/// ```
/// use plumbline_wire::frame::{FRAME, Frame, Frames, Header, Kind, write};
///
/// let header = Header {
///     kind: Kind::Message,
///     session: 7,
///     sequence: 1,
///     acknowledgement: 0,
///     selective: 0,
///     window: 4,
/// };
/// let mut out = [0; FRAME];
/// let mut bytes = write(&header, b"body", &mut out);
/// let mut frames = Frames::new();
/// assert_eq!(frames.next(&mut bytes), Some(Frame::Body(header, b"body")));
/// assert_eq!(frames.next(&mut bytes), None);
/// ```
#[derive(Clone, Debug)]
pub struct Frames {
    buffer: [u8; FRAME],
    /// Bytes of the frame so far. A whole one, its end left out, never fills the buffer.
    length: usize,
    bad: u32,
}

impl Frames {
    /// Begins with no bytes.
    pub const fn new() -> Self {
        Self {
            buffer: [0; FRAME],
            length: 0,
            bad: 0,
        }
    }

    /// Takes bytes up to the end of the next whole frame and returns it; `None` when all bytes are
    /// taken.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Option<Frame<'_>> {
        Some(match self.advance(bytes)? {
            Opened::Hello(hello) => Frame::Hello(hello),
            Opened::Body(header, body) => Frame::Body(header, self.body(body)),
        })
    }

    /// Does as [`Frames::next`], without keeping hold of the frame.
    pub(crate) fn advance(&mut self, bytes: &mut &[u8]) -> Option<Opened> {
        while let Some(end) = bytes.iter().position(|&byte| byte == 0) {
            self.collect(&bytes[..end]);
            *bytes = &bytes[end + 1..];
            let opened = self.open();
            if opened.is_some() {
                return opened;
            }
        }
        self.collect(bytes);
        *bytes = &[];
        None
    }

    /// The body of the frame that came last.
    pub(crate) fn body(&self, body: Body) -> &[u8] {
        &self.buffer[HEADER..body.end]
    }

    /// How many frames came damaged, cut, too long or of an unknown kind. A stretch of noise without
    /// a 0x00 counts once.
    pub fn bad(&self) -> u32 {
        self.bad
    }

    fn collect(&mut self, bytes: &[u8]) {
        let room = &mut self.buffer[self.length..];
        let taken = bytes.len().min(room.len());
        room[..taken].copy_from_slice(&bytes[..taken]);
        self.length += taken;
    }

    /// Decodes in place what was collected, and begins anew behind it.
    fn open(&mut self) -> Option<Opened> {
        let length = core::mem::take(&mut self.length);
        if length == 0 {
            return None;
        }
        let opened = match length < FRAME {
            true => open(&mut self.buffer[..length]),
            false => None,
        };
        if opened.is_none() {
            self.bad = self.bad.saturating_add(1);
        }
        opened
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self::new()
    }
}

/// A frame whose body is still in its buffer.
pub(crate) enum Opened {
    Hello(Hello),
    Body(Header, Body),
}

/// Where the body of a frame is: behind the header.
#[derive(Clone, Copy)]
pub(crate) struct Body {
    end: usize,
}

fn open(encoded: &mut [u8]) -> Option<Opened> {
    let length = cobs::decode_in_place(encoded).ok()?;
    let (plain, sum) = encoded[..length].split_last_chunk::<SUM>()?;
    if CRC.checksum(plain).to_le_bytes() != *sum {
        return None;
    }
    if plain.first() == Some(&HELLO) {
        return Hello::read(plain).map(Opened::Hello);
    }
    let header: &[u8; HEADER] = plain.first_chunk()?;
    let two = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let header = Header {
        kind: match header[0] {
            1 => Kind::Message,
            2 => Kind::Acknowledgement,
            3 => Kind::Log,
            _ => return None,
        },
        session: u32::from(two(1)) | u32::from(two(3)) << 16,
        sequence: two(5),
        acknowledgement: two(7),
        selective: two(9),
        window: header[11],
    };
    // A longer one was summed up by nobody who keeps to this layout.
    let body = Body { end: plain.len() };
    (body.end <= HEADER + BODY).then_some(Opened::Body(header, body))
}

/// The name of the session from the side `sender` to the side `receiver`, each its half. It is
/// another one in each direction: a line that echoes brings nothing but frames of no session.
pub fn session_name(sender: u32, receiver: u32) -> u32 {
    let mut halves = [0; 8];
    halves[..4].copy_from_slice(&sender.to_le_bytes());
    halves[4..].copy_from_slice(&receiver.to_le_bytes());
    CRC.checksum(&halves)
}

/// A half of a session's name that the start `boot` of a program has not used before: `count` says
/// how many it has. Never 0, which stands for none.
pub fn session_half(boot: u64, count: u32) -> u32 {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&boot.to_le_bytes());
    bytes[8..].copy_from_slice(&count.to_le_bytes());
    CRC.checksum(&bytes).max(1)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;
    use std::vec::Vec;

    use super::*;

    fn headers() -> impl Strategy<Value = Header> {
        let kinds = prop_oneof![
            Just(Kind::Message),
            Just(Kind::Acknowledgement),
            Just(Kind::Log)
        ];
        (kinds, any::<(u32, u16, u16, u16, u8)>()).prop_map(|(kind, numbers)| {
            let (session, sequence, acknowledgement, selective, window) = numbers;
            Header {
                kind,
                session,
                sequence,
                acknowledgement,
                selective,
                window,
            }
        })
    }

    /// Bodies of all lengths, with many and with few zeros.
    fn bodies() -> impl Strategy<Value = Vec<u8>> {
        let bytes = prop_oneof![any::<u8>().boxed(), Just(0).boxed(), (1..=255u8).boxed()];
        bytes.prop_flat_map(|byte| {
            let one = prop_oneof![Just(byte), any::<u8>()];
            proptest::collection::vec(one, 0..=BODY)
        })
    }

    proptest! {
        #[test]
        fn frames_survive_their_way_in_pieces(
            sent in proptest::collection::vec((headers(), bodies()), 1..5),
            piece in 1..300usize,
        ) {
            let mut line = std::vec![0];
            for (header, body) in &sent {
                let mut out = [0; FRAME];
                let frame = write(header, body, &mut out);
                let (end, encoded) = frame.split_last().unwrap();
                prop_assert_eq!(*end, 0);
                prop_assert!(!encoded.contains(&0));
                line.extend_from_slice(frame);
            }
            let (mut frames, mut heard) = (Frames::new(), Vec::new());
            for mut bytes in line.chunks(piece) {
                while let Some(frame) = frames.next(&mut bytes) {
                    let Frame::Body(header, body) = frame else { panic!("{frame:?}") };
                    heard.push((header, body.to_vec()));
                }
            }
            prop_assert_eq!(heard, sent);
            prop_assert_eq!(frames.bad(), 0);
        }

        #[test]
        fn a_damaged_frame_is_counted_and_the_next_one_is_whole(
            (header, body) in (headers(), bodies()),
            at in any::<proptest::sample::Index>(),
            flip in 1..=255u8,
        ) {
            let mut out = [0; FRAME];
            let whole = write(&header, &body, &mut out).to_vec();
            let mut line = whole.clone();
            let at = at.index(line.len());
            line[at] ^= flip;
            // A flip may make an end of a byte or a byte of an end: the 0x00 closes either.
            line.push(0);
            line.extend_from_slice(&whole);
            let (mut frames, mut bytes) = (Frames::new(), &line[..]);
            prop_assert_eq!(frames.next(&mut bytes), Some(Frame::Body(header, &body[..])));
            prop_assert_eq!(bytes.len(), 0);
            prop_assert!((1..=2).contains(&frames.bad()), "{}", frames.bad());
        }

        #[test]
        fn any_bytes_are_taken_without_a_panic(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0)], 0..2000),
        ) {
            let (mut frames, mut rest) = (Frames::new(), &bytes[..]);
            while frames.next(&mut rest).is_some() {}
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn a_frame_too_long_does_not_become_its_end() {
        let header = Header {
            kind: Kind::Message,
            session: 1,
            sequence: 2,
            acknowledgement: 3,
            selective: 4,
            window: 5,
        };
        let mut out = [0; FRAME];
        let frame = write(&header, &[9; BODY], &mut out);
        assert_eq!(frame.len(), FRAME);
        let mut line = std::vec![7; 3 * FRAME];
        line.extend_from_slice(frame);
        let (mut frames, mut bytes) = (Frames::new(), &line[..]);
        assert_eq!(frames.next(&mut bytes), None);
        assert_eq!(frames.bad(), 1);
        let mut bytes = frame;
        assert!(frames.next(&mut bytes).is_some());
    }
}
