//! [Messages on a stream](crate::stream) by the standard library's `Read` and `Write`.

extern crate std;

use std::boxed::Box;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::vec;

use serde::{Deserialize, Serialize};

use crate::hello::{Hello, Identity};
use crate::message;
use crate::stream::{self, BUFFER, MOST, Messages, StreamError};

/// Why a conversation cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConversationError {
    /// The other side has closed the connection.
    #[error("the other side has closed the connection")]
    Ended,
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Connection(#[source] io::Error),
    /// The other side's bytes are no messages, or a message has too many.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// A message came that these messages do not have.
    #[error("the other side said something that is no message")]
    NoMessage,
    /// The other side did not say hello first.
    #[error("the other side did not say hello first: it is no program of Plumbline's")]
    NoHello,
}

impl From<io::Error> for ConversationError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Ended,
            _ => Self::Connection(error),
        }
    }
}

/// One side of a connection.
///
/// ```
/// use plumbline_wire::conversation::Conversation;
/// use plumbline_wire::host::ToStation;
///
/// // What is written comes back: a station that only echoes.
/// let mut line = std::io::Cursor::new(Vec::new());
/// Conversation::new(&mut line).say(&ToStation::Info)?;
/// line.set_position(0);
/// assert_eq!(Conversation::new(&mut line).hear::<ToStation>()?, ToStation::Info);
/// # Ok::<(), plumbline_wire::conversation::ConversationError>(())
/// ```
#[derive(Debug)]
pub struct Conversation<S> {
    stream: BufReader<S>,
    heard: Box<[u8]>,
    said: Box<[u8]>,
}

impl<S: Read + Write> Conversation<S> {
    /// A conversation on a stream that nothing was said on yet.
    pub fn new(stream: S) -> Self {
        Self {
            stream: BufReader::with_capacity(BUFFER, stream),
            heard: vec![0; MOST].into(),
            said: vec![0; BUFFER].into(),
        }
    }

    /// The stream, to set its times.
    pub fn stream(&mut self) -> &mut S {
        self.stream.get_mut()
    }

    /// Says hello: what each side says first.
    ///
    /// # Errors
    /// [`ConversationError::Connection`].
    pub fn say_hello(&mut self, from: Identity) -> Result<(), ConversationError> {
        let hello = stream::write_hello(&Hello {
            from,
            session: 0,
            heard: 0,
            answer: false,
        });
        self.write(|_| Ok(&hello))
    }

    /// Waits for the other side's hello.
    ///
    /// # Errors
    /// [`ConversationError::NoHello`] if something else comes, and those of the connection.
    pub fn hear_hello(&mut self) -> Result<Identity, ConversationError> {
        let hello = match self.next() {
            Err(ConversationError::Stream(_)) => None,
            bytes => Hello::read(bytes?),
        };
        Ok(hello.ok_or(ConversationError::NoHello)?.from)
    }

    /// Says a message.
    ///
    /// # Errors
    /// If it is too long, or the connection fails.
    pub fn say(&mut self, message: &impl Serialize) -> Result<(), ConversationError> {
        self.write(|room| stream::write(message, room))
    }

    fn write<'a>(
        &'a mut self,
        message: impl FnOnce(&'a mut [u8]) -> Result<&'a [u8], StreamError>,
    ) -> Result<(), ConversationError> {
        let bytes = message(&mut self.said)?;
        let stream = self.stream.get_mut();
        stream.write_all(bytes)?;
        Ok(stream.flush()?)
    }

    /// Waits for the first bytes of a message.
    ///
    /// # Errors
    /// If the connection ends or fails; after a time-out it may be asked again.
    pub fn wait(&mut self) -> Result<(), ConversationError> {
        match self.stream.fill_buf()? {
            [] => Err(ConversationError::Ended),
            _ => Ok(()),
        }
    }

    /// Waits for a message.
    ///
    /// # Errors
    /// If what comes is no such message, or the connection ends or fails.
    pub fn hear<'a, T: Deserialize<'a>>(&'a mut self) -> Result<T, ConversationError> {
        message::read(self.next()?).ok_or(ConversationError::NoMessage)
    }

    fn next(&mut self) -> Result<&[u8], ConversationError> {
        let mut messages = Messages::new(&mut self.heard);
        let length = loop {
            let bytes = match self.stream.fill_buf() {
                Ok([]) => return Err(ConversationError::Ended),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                bytes => bytes?,
            };
            let mut rest = bytes;
            let length = messages.next(&mut rest)?.map(<[u8]>::len);
            let taken = bytes.len() - rest.len();
            self.stream.consume(taken);
            if let Some(length) = length {
                break length;
            }
        };
        Ok(&self.heard[..length])
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::hello::Version;
    use crate::host::{self, FromStation, ToStation};

    fn hearing(bytes: &[u8]) -> Conversation<Cursor<std::vec::Vec<u8>>> {
        Conversation::new(Cursor::new(bytes.to_vec()))
    }

    #[test]
    fn what_is_said_is_heard_in_its_order() {
        let ours = host::identity(Version::of("1.2.3"), 7);
        let mut line = Cursor::new(std::vec::Vec::new());
        let mut side = Conversation::new(&mut line);
        side.say_hello(ours).unwrap();
        side.say(&ToStation::Info).unwrap();
        side.say(&ToStation::Results { after: 3, most: 4 }).unwrap();
        line.set_position(0);
        let mut side = Conversation::new(line);
        assert_eq!(side.hear_hello().unwrap(), ours);
        side.wait().unwrap();
        assert_eq!(side.hear::<ToStation>().unwrap(), ToStation::Info);
        let results = ToStation::Results { after: 3, most: 4 };
        assert_eq!(side.hear::<ToStation>().unwrap(), results);
        assert!(matches!(side.wait(), Err(ConversationError::Ended)));
    }

    #[test]
    fn what_is_no_message_is_told_apart() {
        let heard = |bytes: &[u8]| hearing(bytes).hear::<FromStation>().map(|_| ());
        assert!(matches!(
            heard(b"GET / HTTP/1.1\r\n"),
            Err(ConversationError::Stream(_))
        ));
        assert!(matches!(
            heard(&[1, 0, 0, 0, 99]),
            Err(ConversationError::NoMessage)
        ));
        assert!(matches!(
            heard(&[9, 0, 0, 0, 2]),
            Err(ConversationError::Ended)
        ));
        for bytes in [&b"GET / HTTP/1.1\r\n"[..], &[1, 0, 0, 0, 2]] {
            let heard = hearing(bytes).hear_hello();
            assert!(matches!(heard, Err(ConversationError::NoHello)));
        }
    }
}
