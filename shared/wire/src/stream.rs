//! Messages on a stream that loses nothing, as TCP and TLS are.
//!
//! | bytes | |
//! |---|---|
//! | 4 | length n of the message, little endian, from 1 to [`MOST`] |
//! | n | the message in postcard's format; the first one of each side is a hello ([`crate::hello`]) |
//!
//! A stream that says anything else cannot be read on: it is closed.

use serde::Serialize;

use crate::hello::{Hello, LENGTH};

/// The most bytes of a message.
pub const MOST: usize = 64 << 10;

/// The bytes before a message.
const PREFIX: usize = 4;

/// The bytes of a buffer that has room for every message with its length.
pub const BUFFER: usize = PREFIX + MOST;

/// An error of a message on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The message has more bytes than [`MOST`], or than its buffer.
    #[error("the message has more bytes than a stream's message may have")]
    TooLong,
    /// The stream announces a message without bytes.
    #[error("the stream announces a message without bytes")]
    Empty,
}

/// Writes a message with its length into `buffer` and returns both.
///
/// # Errors
/// [`StreamError::TooLong`].
pub fn write<'b, T: Serialize>(message: &T, buffer: &'b mut [u8]) -> Result<&'b [u8], StreamError> {
    let room = buffer.len().min(BUFFER);
    let (prefix, body) = buffer[..room]
        .split_first_chunk_mut::<PREFIX>()
        .ok_or(StreamError::TooLong)?;
    let Ok(body) = postcard::to_slice(message, body) else {
        return Err(StreamError::TooLong);
    };
    let length = body.len();
    // At most MOST.
    *prefix = (length as u32).to_le_bytes();
    Ok(&buffer[..PREFIX + length])
}

/// Writes a hello with its length: what each side says first.
pub fn write_hello(hello: &Hello) -> [u8; PREFIX + LENGTH] {
    let mut bytes = [0; PREFIX + LENGTH];
    bytes[..PREFIX].copy_from_slice(&(LENGTH as u32).to_le_bytes());
    bytes[PREFIX..].copy_from_slice(&hello.write());
    bytes
}

/// Collects the bytes of a stream into messages.
///
/// ```
/// use plumbline_wire::host::ToStation;
/// use plumbline_wire::message::read;
/// use plumbline_wire::stream::{Messages, write};
///
/// let mut out = [0; 100];
/// let sent = write(&ToStation::Info, &mut out)?;
/// let mut buffer = [0; 100];
/// let mut messages = Messages::new(&mut buffer);
/// let (mut first, mut rest) = sent.split_at(3);
/// assert_eq!(messages.next(&mut first)?, None);
/// assert_eq!(messages.next(&mut rest)?.and_then(read), Some(ToStation::Info));
/// # Ok::<(), plumbline_wire::stream::StreamError>(())
/// ```
#[derive(Debug)]
pub struct Messages<'b> {
    buffer: &'b mut [u8],
    prefix: [u8; PREFIX],
    /// Bytes that were taken of the length and of the message.
    taken: usize,
}

impl<'b> Messages<'b> {
    /// Collects messages in `buffer`, no longer ones than it has room for; [`MOST`] bytes hold any.
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self {
            buffer,
            prefix: [0; PREFIX],
            taken: 0,
        }
    }

    /// Takes bytes up to the end of the next message and returns it; `None` when all bytes are taken.
    ///
    /// # Errors
    /// [`StreamError`]: the stream cannot be read on.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<&[u8]>, StreamError> {
        if self.taken < PREFIX {
            take(bytes, &mut self.prefix, &mut self.taken, 0);
            if self.taken < PREFIX {
                return Ok(None);
            }
        }
        let length = usize::try_from(u32::from_le_bytes(self.prefix));
        let length = length.map_err(|_| StreamError::TooLong)?;
        if length == 0 {
            return Err(StreamError::Empty);
        }
        if length > MOST {
            return Err(StreamError::TooLong);
        }
        let room = self.buffer.get_mut(..length).ok_or(StreamError::TooLong)?;
        take(bytes, room, &mut self.taken, PREFIX);
        if self.taken < PREFIX + length {
            return Ok(None);
        }
        self.taken = 0;
        Ok(Some(room))
    }
}

/// Fills `room`, whose first byte is the byte `from` of what was `taken`, as far as `bytes` go.
fn take(bytes: &mut &[u8], room: &mut [u8], taken: &mut usize, from: usize) {
    let rest = &mut room[*taken - from..];
    let (now, later) = bytes.split_at(rest.len().min(bytes.len()));
    rest[..now.len()].copy_from_slice(now);
    *taken += now.len();
    *bytes = later;
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    use super::*;

    proptest! {
        #[test]
        fn messages_survive_their_way_in_pieces(
            sent in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..5),
            piece in 1..400usize,
        ) {
            let mut line = Vec::new();
            let mut out = vec![0; BUFFER];
            for message in &sent {
                line.extend_from_slice(write(&&message[..], &mut out).unwrap());
            }
            let (mut buffer, mut heard) = (vec![0; MOST], Vec::new());
            let mut messages = Messages::new(&mut buffer);
            for mut bytes in line.chunks(piece) {
                while let Some(message) = messages.next(&mut bytes).unwrap() {
                    heard.push(crate::message::read::<&[u8]>(message).unwrap().to_vec());
                }
                prop_assert!(bytes.is_empty());
            }
            prop_assert_eq!(heard, sent);
        }

        #[test]
        fn any_bytes_are_taken_without_a_panic(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0)], 0..2000),
            room in 0..100usize,
        ) {
            let mut buffer = vec![0; room];
            let mut messages = Messages::new(&mut buffer);
            let mut rest = &bytes[..];
            while let Ok(Some(message)) = messages.next(&mut rest) {
                prop_assert!(!message.is_empty() && message.len() <= room);
            }
        }
    }

    #[test]
    fn a_stream_that_cannot_be_read_on_stays_so() {
        let mut buffer = [0; 8];
        for (start, error) in [
            ([0, 0, 0, 0], StreamError::Empty),
            ([9, 0, 0, 0], StreamError::TooLong),
            ([255; 4], StreamError::TooLong),
        ] {
            let mut messages = Messages::new(&mut buffer);
            assert_eq!(messages.next(&mut &start[..]), Err(error));
            assert_eq!(messages.next(&mut &[1, 2, 3][..]), Err(error));
        }
        assert_eq!(write(&[0u8; 5], &mut [0; 8]), Err(StreamError::TooLong));
        assert_eq!(write(&[0u8; 5], &mut [0; 3]), Err(StreamError::TooLong));
        // Three bytes tell the length of the bytes.
        let (all, mut out) = (vec![0u8; MOST], vec![0; 2 * BUFFER]);
        assert_eq!(write(&&all[..], &mut out), Err(StreamError::TooLong));
        assert!(write(&&all[3..], &mut out).is_ok());
    }

    #[test]
    fn the_first_message_is_a_hello() {
        let from = crate::host::identity(crate::hello::Version::of("1.2.3"), 9);
        let hello = Hello {
            from,
            session: 0,
            heard: 0,
            answer: false,
        };
        let (bytes, mut buffer) = (write_hello(&hello), [0; 64]);
        let mut messages = Messages::new(&mut buffer);
        let message = messages.next(&mut &bytes[..]).unwrap().unwrap();
        assert_eq!(Hello::read(message), Some(hello));
    }
}
