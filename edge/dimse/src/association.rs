//! An association as its acceptor: PDUs in and out, and messages made of them.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use dicom_ul::pdu::{
    AbortRQServiceProviderReason, AbortRQSource, PDU_HEADER_SIZE, PDV_HEADER_SIZE, PDataValue,
    PDataValueType, Pdu, read_pdu, write_pdu,
};

use super::command::{self, CommandError, Request};
use super::negotiation::{Agreement, Context, Rejection, Rules};
use super::service::MOST_PDU;
use super::stream::{Patience, Stream};

/// How often an idle association looks whether the station is to stop.
const LOOK: Duration = Duration::from_millis(250);

/// Bytes that are read from the connection at once.
const CHUNK: usize = 64 << 10;

/// The end of an association before its release.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssociationError {
    /// The peer has closed the connection, or aborted the association.
    #[error("the peer has ended it")]
    Ended,
    /// The peer takes too long.
    #[error("the peer takes too long")]
    TooSlow,
    /// The station is to stop.
    #[error("the station stops")]
    Stopping,
    /// There is no association.
    #[error("it was rejected: {0}")]
    Rejected(Rejection),
    /// The peer does not keep to the protocol.
    #[error("the peer does not keep to the protocol: {0}")]
    Protocol(String),
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Connection(io::Error),
}

impl From<CommandError> for AssociationError {
    fn from(error: CommandError) -> Self {
        Self::Protocol(error.to_string())
    }
}

/// A message that was received, up to its data set.
#[derive(Debug)]
pub struct Message {
    /// The command.
    pub request: Request,
    /// The SOP Class of its presentation context.
    pub sop_class: String,
    /// The transfer syntax of its data set.
    pub transfer_syntax: String,
    context: u8,
}

/// An association that was accepted.
#[derive(Debug)]
pub struct Association<'a> {
    stream: Stream,
    buffer: BytesMut,
    values: VecDeque<PDataValue>,
    agreement: Agreement,
    patience: Patience,
    deadline: Instant,
    stop: &'a AtomicBool,
}

impl<'a> Association<'a> {
    /// Waits for a request on a new connection, and answers it. `has_room` is asked once the request
    /// is one that would be accepted; if it says no, the caller is told to come again. `stop` becomes
    /// true when the station is to stop.
    ///
    /// # Errors
    /// If no request comes in time, or it is rejected.
    pub fn accept(
        mut stream: Stream,
        rules: &Rules,
        patience: Patience,
        deadline: Instant,
        has_room: impl FnOnce() -> bool,
        stop: &'a AtomicBool,
    ) -> Result<Self, AssociationError> {
        let mut buffer = BytesMut::new();
        stream.wait(patience.read, deadline.min(Instant::now() + patience.read));
        let request = match next_pdu(&mut stream, &mut buffer)? {
            Pdu::AssociationRQ(request) => request,
            Pdu::AbortRQ { .. } => return Err(AssociationError::Ended),
            other => {
                abort(&mut stream, AbortRQServiceProviderReason::UnexpectedPdu);
                let other = other.short_description();
                return Err(AssociationError::Protocol(format!("{other} came first")));
            }
        };
        let negotiated = rules.negotiate(&request);
        let negotiated = negotiated.and_then(|agreed| match has_room() {
            true => Ok(agreed),
            false => Err(Rejection::Busy),
        });
        match negotiated {
            Ok((accepted, agreement)) => {
                send(&mut stream, &Pdu::AssociationAC(accepted))?;
                Ok(Self {
                    stream,
                    buffer,
                    values: VecDeque::new(),
                    agreement,
                    patience,
                    deadline,
                    stop,
                })
            }
            Err(rejection) => {
                send(&mut stream, &rejection.pdu())?;
                // The peer closes; if it does not, the connection is closed here.
                let until = Instant::now() + Duration::from_secs(1);
                stream.wait(Duration::from_secs(1), until);
                next_pdu(&mut stream, &mut buffer).ok();
                Err(AssociationError::Rejected(rejection))
            }
        }
    }

    /// The caller's AE title.
    pub fn caller(&self) -> &str {
        &self.agreement.caller
    }

    /// Waits for the next message; none if the peer has released the association.
    ///
    /// # Errors
    /// If the association ends otherwise, or the station is to stop.
    pub fn next_message(&mut self) -> Result<Option<Message>, AssociationError> {
        let mut command = Vec::new();
        let mut context = None;
        loop {
            let value = match self.values.pop_front() {
                Some(value) => value,
                None => match self.pdu(command.is_empty())? {
                    Pdu::PData { data } => {
                        self.values.extend(data);
                        continue;
                    }
                    Pdu::ReleaseRQ if command.is_empty() => {
                        send(&mut self.stream, &Pdu::ReleaseRP)?;
                        return Ok(None);
                    }
                    other => return Err(self.unexpected(&other)),
                },
            };
            if value.value_type != PDataValueType::Command {
                return Err(self.violated("a data set came without a command"));
            }
            let id = value.presentation_context_id;
            if *context.get_or_insert(id) != id {
                return Err(self.violated("a command came in two presentation contexts"));
            }
            command.extend(value.data);
            if command.len() > command::MOST {
                return Err(self.violated("a command is too long"));
            }
            if value.is_last {
                return self.message(&command, id).map(Some);
            }
        }
    }

    fn message(&mut self, command: &[u8], id: u8) -> Result<Message, AssociationError> {
        let context = self.agreement.contexts.iter().find(|c| c.id == id);
        let Some(Context {
            sop_class,
            transfer_syntax,
            ..
        }) = context.cloned()
        else {
            return Err(
                self.violated("a message came in a presentation context that was not accepted")
            );
        };
        let request = match Request::parse(command) {
            Ok(request) => request,
            Err(error) => return Err(self.violated(&error.to_string())),
        };
        Ok(Message {
            request,
            sop_class,
            transfer_syntax,
            context: id,
        })
    }

    /// Receives the data set of `message`, piece by piece. What `take` does with a piece cannot stop
    /// it: the data set must be read to its end before it can be answered.
    ///
    /// # Errors
    /// If the association ends meanwhile.
    pub fn data(
        &mut self,
        message: &Message,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), AssociationError> {
        // An object that has begun may end, also after the association's time.
        let association = self.deadline;
        self.deadline = Instant::now() + self.patience.object;
        let received = loop {
            match self.data_value(message.context) {
                Ok(value) => {
                    take(&value.data);
                    if value.is_last {
                        break Ok(());
                    }
                }
                Err(error) => break Err(error),
            }
        };
        self.deadline = association;
        received
    }

    fn data_value(&mut self, context: u8) -> Result<PDataValue, AssociationError> {
        loop {
            if let Some(value) = self.values.pop_front() {
                if value.value_type != PDataValueType::Data
                    || value.presentation_context_id != context
                {
                    return Err(self.violated("a data set was interrupted by another message"));
                }
                return Ok(value);
            }
            match self.pdu(false)? {
                Pdu::PData { data } => self.values.extend(data),
                other => return Err(self.unexpected(&other)),
            }
        }
    }

    /// Answers `message`.
    ///
    /// # Errors
    /// If the connection fails.
    pub fn respond(&mut self, message: &Message, response: &[u8]) -> Result<(), AssociationError> {
        // The object's time may be over, and its sender must still learn that it was stored.
        let until = Instant::now() + self.patience.write;
        self.stream.wait(self.patience.write, until);
        let most = (self.agreement.most_pdu - PDV_HEADER_SIZE) as usize;
        let last = response.len().div_ceil(most) - 1;
        for (index, data) in response.chunks(most).enumerate() {
            let value = PDataValue {
                presentation_context_id: message.context,
                value_type: PDataValueType::Command,
                is_last: index == last,
                data: data.to_vec(),
            };
            send(&mut self.stream, &Pdu::PData { data: vec![value] })?;
        }
        Ok(())
    }

    /// Ends the association at once.
    pub fn abort(&mut self) {
        abort(
            &mut self.stream,
            AbortRQServiceProviderReason::ReasonNotSpecified,
        );
    }

    /// Reads a PDU. Between messages the peer may take its time, and the station may be stopped.
    fn pdu(&mut self, between_messages: bool) -> Result<Pdu, AssociationError> {
        let idle_since = Instant::now();
        loop {
            if !between_messages || !self.buffer.is_empty() {
                let Self {
                    stream, patience, ..
                } = self;
                stream.wait(patience.read, self.deadline);
                return next_pdu(stream, &mut self.buffer);
            }
            if self.stop.load(Ordering::Relaxed) {
                self.abort();
                return Err(AssociationError::Stopping);
            }
            self.stream
                .wait(LOOK.min(self.patience.read), self.deadline);
            match fill(&mut self.stream, &mut self.buffer) {
                Ok(()) => {}
                Err(AssociationError::TooSlow) => {
                    let now = Instant::now();
                    if now >= self.deadline || now - idle_since >= self.patience.read {
                        self.abort();
                        return Err(AssociationError::TooSlow);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn violated(&mut self, what: &str) -> AssociationError {
        self.abort();
        AssociationError::Protocol(what.to_owned())
    }

    fn unexpected(&mut self, pdu: &Pdu) -> AssociationError {
        match pdu {
            Pdu::AbortRQ { .. } => AssociationError::Ended,
            pdu => {
                abort(
                    &mut self.stream,
                    AbortRQServiceProviderReason::UnexpectedPdu,
                );
                AssociationError::Protocol(format!("{} was not expected", kind(pdu)))
            }
        }
    }
}

/// A PDU's name, without its content.
fn kind(pdu: &Pdu) -> &'static str {
    match pdu {
        Pdu::AssociationRQ(_) => "A-ASSOCIATE-RQ",
        Pdu::AssociationAC(_) => "A-ASSOCIATE-AC",
        Pdu::AssociationRJ(_) => "A-ASSOCIATE-RJ",
        Pdu::PData { .. } => "P-DATA-TF",
        Pdu::ReleaseRQ => "A-RELEASE-RQ",
        Pdu::ReleaseRP => "A-RELEASE-RP",
        Pdu::AbortRQ { .. } => "A-ABORT",
        Pdu::Unknown { .. } => "an unknown PDU",
    }
}

/// Reads the next PDU, of at most [`MOST_PDU`] bytes.
fn next_pdu(stream: &mut Stream, buffer: &mut BytesMut) -> Result<Pdu, AssociationError> {
    loop {
        let mut unread = Cursor::new(&buffer[..]);
        match read_pdu(&mut unread, MOST_PDU, true) {
            Ok(Some(pdu)) => {
                let read = unread.position() as usize;
                buffer.advance(read);
                return Ok(pdu);
            }
            Ok(None) => fill(stream, buffer)?,
            Err(error) => {
                abort(stream, AbortRQServiceProviderReason::InvalidPduParameter);
                return Err(AssociationError::Protocol(error.to_string()));
            }
        }
    }
}

/// Reads some bytes into the buffer.
fn fill(stream: &mut Stream, buffer: &mut BytesMut) -> Result<(), AssociationError> {
    let before = buffer.len();
    buffer.resize(before + CHUNK, 0);
    let read = stream.read(&mut buffer[before..]);
    buffer.truncate(before + *read.as_ref().unwrap_or(&0));
    match read {
        Ok(0) => Err(AssociationError::Ended),
        Ok(_) => Ok(()),
        Err(error) => Err(connection(error)),
    }
}

fn send(stream: &mut Stream, pdu: &Pdu) -> Result<(), AssociationError> {
    let mut bytes = Vec::with_capacity(PDU_HEADER_SIZE as usize + 512);
    write_pdu(&mut bytes, pdu).map_err(|error| AssociationError::Protocol(error.to_string()))?;
    stream.write_all(&bytes).map_err(connection)?;
    stream.flush().map_err(connection)
}

/// Tells the peer that the association is over, if it still listens.
fn abort(stream: &mut Stream, reason: AbortRQServiceProviderReason) {
    let source = AbortRQSource::ServiceProvider(reason);
    send(stream, &Pdu::AbortRQ { source }).ok();
}

fn connection(error: io::Error) -> AssociationError {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    match error.kind() {
        TimedOut => AssociationError::TooSlow,
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => AssociationError::Ended,
        _ => AssociationError::Connection(error),
    }
}
