//! The bits of a scan and their Huffman codes.

use alloc::vec::Vec;

use super::error::damaged;
use crate::decode::error::DecodeError;

/// The stuffing that an encoder puts after a 0xff in its data, so that no marker appears there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stuffing {
    /// A byte of 0 (T.81, F.1.2.3).
    Byte,
    /// A bit of 0 (T.87, A.1).
    Bit,
}

/// Reads a scan's data from the highest bit on.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    stuffing: Stuffing,
    /// The next bits, from the highest on.
    window: u64,
    /// Number of them that are read from the data; beyond these the window is 0.
    count: u32,
    after_ff: bool,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8], stuffing: Stuffing) -> Self {
        Self {
            data,
            stuffing,
            window: 0,
            count: 0,
            after_ff: false,
        }
    }

    /// Reads bytes until the window is full or the data end, at a marker or altogether.
    fn fill(&mut self) {
        while self.count <= 56 {
            let (byte, length) = match (self.stuffing, self.data) {
                (Stuffing::Byte, [0xff, 0, ..]) => (0xff, 2),
                (Stuffing::Bit, [0xff, 0..0x80, ..]) => (0xff, 1),
                (_, [0xff, ..] | []) => return,
                (_, [byte, ..]) => (*byte, 1),
            };
            self.data = &self.data[length..];
            let bits = match self.stuffing == Stuffing::Bit && self.after_ff {
                true => 7,
                false => 8,
            };
            self.after_ff = byte == 0xff;
            self.window |= u64::from(byte) << (64 - bits) >> self.count;
            self.count += bits;
        }
    }

    /// Returns the next 16 bits, zeros past the end.
    fn peek(&mut self) -> u16 {
        if self.count < 16 {
            self.fill();
        }
        (self.window >> 48) as u16
    }

    fn skip(&mut self, bits: u32) -> Result<(), DecodeError> {
        if bits > self.count {
            return Err(damaged("its scan ends early"));
        }
        self.window <<= bits;
        self.count -= bits;
        Ok(())
    }

    /// Reads the next `bits` bits, at most 16.
    pub(super) fn take(&mut self, bits: u32) -> Result<u32, DecodeError> {
        let next = u32::from(self.peek()) >> (16 - bits);
        self.skip(bits)?;
        Ok(next)
    }

    /// Reads zeros and the one after them, and returns the number of zeros, at most `most`.
    pub(super) fn zeros(&mut self, most: u32) -> Result<u32, DecodeError> {
        let mut zeros = 0;
        loop {
            let ahead = self.peek().leading_zeros();
            zeros += ahead;
            if zeros > most {
                return Err(damaged("its scan has a code that is too long"));
            }
            if ahead < 16 {
                self.skip(ahead + 1)?;
                return Ok(zeros);
            }
            self.skip(16)?;
        }
    }

    /// Goes to the data after the next restart marker.
    pub(super) fn restart(&mut self) -> Result<(), DecodeError> {
        self.fill();
        // JPEG-LS stuffs a bit after a last 0xff too, which takes a byte more.
        let filling = match self.stuffing {
            Stuffing::Byte => 8,
            Stuffing::Bit => 16,
        };
        match self.data {
            [0xff, 0xd0..=0xd7, rest @ ..] if self.count < filling => self.data = rest,
            _ => return Err(damaged("its scan has no restart marker where one is due")),
        }
        self.window = 0;
        self.count = 0;
        self.after_ff = false;
        Ok(())
    }

    /// Reads the next symbol in the code `table`.
    pub(super) fn symbol(&mut self, table: &Huffman) -> Result<u8, DecodeError> {
        let (length, symbol) = table.codes[usize::from(self.peek())];
        if length == 0 {
            return Err(damaged("its scan has an unknown code"));
        }
        self.skip(length.into())?;
        Ok(symbol)
    }

    /// Reads a number of `bits` bits, at most 15, in T.81's own signed form (F.2.2.1: RECEIVE,
    /// EXTEND).
    pub(super) fn signed(&mut self, bits: u8) -> Result<i32, DecodeError> {
        if bits == 0 {
            return Ok(0);
        }
        let value = self.take(bits.into())? as i32;
        Ok(match value < 1 << (bits - 1) {
            true => value - (1 << bits) + 1,
            false => value,
        })
    }
}

/// A Huffman code (T.81, annex C).
pub(super) struct Huffman {
    /// For every 16 bits the length of the code that they start with and its symbol; length 0 is
    /// no code.
    codes: Vec<(u8, u8)>,
}

impl Huffman {
    /// Makes the code with `counts[n - 1]` symbols of `n` bits; none if they are too many.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut codes = Vec::with_capacity(1 << 16);
        let mut symbols = symbols.iter();
        for (length, count) in (1..).zip(counts) {
            for symbol in symbols.by_ref().take((*count).into()) {
                codes.resize(codes.len() + (1 << (16 - length)), (length, *symbol));
                if codes.len() > 1 << 16 {
                    return None;
                }
            }
        }
        codes.resize(1 << 16, (0, 0));
        Some(Self { codes })
    }
}
