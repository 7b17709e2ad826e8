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
#[derive(Clone, Debug)]
pub struct Frames {
    buffer: [u8; FRAME],
    length: usize,
    overlong: bool,
    bad: u32,
}

impl Frames {
    /// Begins with no bytes.
    pub const fn new() -> Self {
        Self {
            buffer: [0; FRAME],
            length: 0,
            overlong: false,
            bad: 0,
        }
    }

    /// Takes bytes up to the end of the next whole frame and returns it; `None` when all bytes are
    /// taken.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Option<Frame<'_>> {
        while let Some(end) = bytes.iter().position(|&byte| byte == 0) {
            self.collect(&bytes[..end]);
            *bytes = &bytes[end + 1..];
            if self.open() {
                // Read again for the borrow checker, which does not let a loop return what it
                // borrowed.
                return read(&self.buffer[..self.length]);
            }
        }
        self.collect(bytes);
        *bytes = &[];
        None
    }

    /// How many frames came damaged, cut, too long or of an unknown kind. A stretch of noise without
    /// a 0x00 counts once.
    pub fn bad(&self) -> u32 {
        self.bad
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self::new()
    }
}

impl Frames {
    fn collect(&mut self, bytes: &[u8]) {
        let room = &mut self.buffer[self.length..];
        let taken = bytes.len().min(room.len());
        room[..taken].copy_from_slice(&bytes[..taken]);
        self.length += taken;
        self.overlong |= taken < bytes.len();
    }
    fn open(&mut self) -> bool {
        todo!()
    }
}
fn read(_: &[u8]) -> Option<Frame<'_>> {
    let _ = HELLO;
    todo!()
}
