//! A host's connection: what it asks is answered, one question after the other.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use plumbline_dimse::Stream;
use plumbline_wire::conversation::{Conversation, ConversationError};
use plumbline_wire::hello::{Agreement, Version};
use plumbline_wire::host::{FromStation, ToStation};

use super::about::Station;
use super::film::Sent;
use crate::listen::LOOK;

/// How long a new connection may take until the host has said hello.
pub(super) const HELLO: Duration = Duration::from_secs(10);

/// How long a host may take for its next message, and for taking an answer.
const MESSAGE: Duration = Duration::from_secs(30);

/// How long a connection may last. Hosts connect again.
const CONNECTION: Duration = Duration::from_secs(3600);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum LinkError {
    /// The connection could not be set up.
    #[error("the connection could not be set up: {0}")]
    Setup(io::Error),
    /// The host is silent, or speaks or listens too slowly.
    #[error("the host takes too long")]
    TooSlow,
    /// The connection failed, or what came was no message.
    #[error(transparent)]
    Conversation(ConversationError),
    /// The host's program speaks other messages.
    #[error("the host's program has version {version}: {agreement}")]
    OtherMessages {
        /// The host's program.
        version: Version,
        /// Which side is older.
        agreement: Agreement,
    },
    /// The host does not keep to the order of messages.
    #[error("the host does not keep to the order of messages: {0}")]
    OutOfOrder(&'static str),
    /// The film came by another connection.
    #[error("the host sends the same film over another connection")]
    TakenOver,
    /// The station is to stop.
    #[error("the station stops")]
    Stopping,
}

impl From<ConversationError> for LinkError {
    fn from(error: ConversationError) -> Self {
        match error {
            ConversationError::Connection(error) if error.kind() == io::ErrorKind::TimedOut => {
                Self::TooSlow
            }
            error => Self::Conversation(error),
        }
    }
}

/// A host's connection.
pub(super) struct Session<'s> {
    conversation: Conversation<Stream>,
    pub(super) station: &'s Station,
    deadline: Instant,
    stop: &'s AtomicBool,
    /// The film that the host sends.
    pub(super) sent: Sent<'s>,
}

impl<'s> Session<'s> {
    /// A session with a host that has said hello.
    pub(super) fn new(
        conversation: Conversation<Stream>,
        station: &'s Station,
        stop: &'s AtomicBool,
    ) -> Self {
        Self {
            conversation,
            station,
            deadline: Instant::now() + CONNECTION,
            stop,
            sent: Sent::Nothing,
        }
    }

    /// Answers until the host leaves.
    ///
    /// # Errors
    /// [`LinkError`], if it does not leave by itself.
    pub(super) fn run(&mut self) -> Result<(), LinkError> {
        while self.wait()? {
            match self.conversation.hear()? {
                ToStation::Info => self.info()?,
                ToStation::Screen { name, film } => {
                    let name = name.to_owned();
                    self.screen(&name, film)?;
                }
                ToStation::Chunk(chunk) => {
                    let taken = self.sent.take(&chunk);
                    self.taken(taken)?;
                }
                ToStation::Results { after, most } => self.results(after, most)?,
                ToStation::Logs { after, most } => self.logs(after, most)?,
            }
        }
        Ok(())
    }

    /// Answers the host's first question by a refusal.
    ///
    /// # Errors
    /// [`LinkError`].
    pub(super) fn refuse_once(&mut self, sentence: &str) -> Result<(), LinkError> {
        if self.wait()? {
            self.conversation.hear::<ToStation>()?;
            self.refuse(sentence)?;
        }
        Ok(())
    }

    /// Waits for the host's next message; false if it has left.
    fn wait(&mut self) -> Result<bool, LinkError> {
        let until = self.deadline.min(Instant::now() + MESSAGE);
        loop {
            self.require_going_on()?;
            self.conversation.stream().wait(LOOK, until);
            match self.conversation.wait().map_err(LinkError::from) {
                Ok(()) => {
                    // The rest of the message.
                    self.conversation.stream().wait(MESSAGE, until);
                    return Ok(true);
                }
                Err(LinkError::TooSlow) if Instant::now() < until => {}
                Err(LinkError::Conversation(ConversationError::Ended)) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends the connection if the station is to stop, or the connection's time is over.
    pub(super) fn require_going_on(&self) -> Result<(), LinkError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(LinkError::Stopping);
        }
        match Instant::now() < self.deadline {
            true => Ok(()),
            false => Err(LinkError::TooSlow),
        }
    }

    /// Says a message.
    pub(super) fn say(&mut self, message: &FromStation) -> Result<(), LinkError> {
        // An answer may be ready after the question's time.
        let until = Instant::now() + MESSAGE;
        self.conversation.stream().wait(MESSAGE, until);
        Ok(self.conversation.say(message)?)
    }

    /// Says why the station does not do what was asked, and what to do.
    pub(super) fn refuse(&mut self, sentence: &str) -> Result<(), LinkError> {
        self.say(&FromStation::Refused { sentence })
    }
}
