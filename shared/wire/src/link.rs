//! One end of a serial line between two programs: sessions, acknowledgements, resending.
//!
//! A link is a state machine without clock, port or allocator: its owner gives it bytes and the time
//! and takes bytes. What it promises while both ends live, whatever the line does:
//!
//! - in a session messages come in order, none twice, and all of them once the line heals;
//! - when either end starts again a new session begins, of which both are told. Messages of the old
//!   one that were not yet taken may be lost or not: their owner says them again.
//!
//! Time is in microseconds of any clock that never goes back.

use serde::Serialize;

use crate::frame::FRAME;
use crate::hello::{Agreement, Hello, Identity};

/// The times of a link, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The longest time without a frame to the other side.
    pub heartbeat: u32,
    /// The time without a frame from the other side after which it counts as silent.
    pub silence: u32,
    /// The time between hellos while no session is open.
    pub hello: u32,
    /// The least time after which an unacknowledged message is sent again.
    pub resend_least: u32,
    /// The longest such time, however often it was in vain.
    pub resend_most: u32,
}

impl Timing {
    /// For a line of 921,600 baud between a panel and a station.
    pub const DEFAULT: Self = Self {
        heartbeat: 250_000,
        silence: 1_500_000,
        hello: 100_000,
        resend_least: 20_000,
        resend_most: 500_000,
    };
}

/// What a link tells of the bytes that it was given, beside messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News<'a> {
    /// A new session with this other side has begun. Whatever was not taken or acknowledged of the
    /// last one is gone: say states and unacknowledged events again.
    Opened(Identity),
    /// The other side speaks other messages. There is no session with it, and any there was is gone.
    /// Told once for each of its starts.
    Refused(Identity, Agreement),
    /// Whole defmt frames of the other side.
    Log {
        /// The frames.
        frames: &'a [u8],
        /// How many pieces before this one are missing.
        missing: u16,
    },
}

/// Why a message cannot be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No session is open.
    #[error("the other side is not there")]
    Closed,
    /// All places are taken by messages that are not yet acknowledged.
    #[error("too many messages wait for their acknowledgement")]
    Full,
    /// The message has more than [`BODY`](crate::frame::BODY) bytes.
    #[error("the message has more bytes than a frame")]
    TooLong,
}

/// What a link has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that came damaged.
    pub bad_frames: u32,
    /// Sessions that were opened.
    pub sessions: u32,
    /// Messages sent for the first time.
    pub sent: u32,
    /// Messages sent again.
    pub resent: u32,
    /// Messages that came again and were left out.
    pub repeated: u32,
    /// Logs of this side that found no room, and of the other side that are missing.
    pub logs_missing: u32,
}

/// One end of a line, with room for `SEND` messages that wait for their acknowledgement and for
/// `RECEIVE` messages that wait to be taken: each 1, 2, 4, 8 or 16.
#[derive(Clone, Debug)]
pub struct Link<const SEND: usize, const RECEIVE: usize> {}

impl<const SEND: usize, const RECEIVE: usize> Link<SEND, RECEIVE> {
    /// Makes this end of a line; it begins with hellos.
    pub const fn new(me: Identity, timing: Timing) -> Self {
        todo!()
    }

    /// Takes bytes that came from the line, as many as there are before something is to be told; the
    /// rest stays in `bytes`. Call it until it tells nothing.
    ///
    /// Messages are kept for [`Link::message`]; those without room are left out, and the other side
    /// sends them again.
    pub fn receive<'a>(&'a mut self, now: u64, bytes: &mut &[u8]) -> Option<News<'a>> {
        todo!()
    }

    /// Takes the next message of the session, in the order in which they were sent. Room for another
    /// one is made by taking it: leave it where it is while there is nowhere to put it.
    pub fn message(&mut self) -> Option<&[u8]> {
        todo!()
    }

    /// Sends a message, or rather keeps it until the other side has acknowledged it.
    ///
    /// # Errors
    /// [`SendError`]; nothing was sent.
    pub fn send<T: Serialize>(&mut self, message: &T) -> Result<(), SendError> {
        todo!()
    }

    /// How many messages [`Link::send`] would keep now: 0 without a session.
    pub fn room(&self) -> usize {
        todo!()
    }

    /// Sends whole defmt frames, at most [`BODY`](crate::frame::BODY) bytes, when no message has to
    /// go first. Returns false if there is no room or no session: then they are lost and counted.
    pub fn log(&mut self, frames: &[u8]) -> bool {
        todo!()
    }

    /// Whether [`Link::log`] has room.
    pub fn log_room(&self) -> bool {
        todo!()
    }

    /// Counts `pieces` of the log that were lost before they came here.
    pub fn log_lost(&mut self, pieces: u16) {
        todo!()
    }

    /// Returns what goes to the line next: a whole frame, or the 0x00 before the first. Call it when
    /// the line has room for [`FRAME`] bytes, until it returns nothing, and again at [`Link::wake`].
    pub fn transmit<'b>(&mut self, now: u64, out: &'b mut [u8; FRAME]) -> Option<&'b [u8]> {
        todo!()
    }

    /// When [`Link::transmit`] has something to send, if nothing comes before: a time in the past if
    /// it has something now.
    pub fn wake(&self) -> u64 {
        todo!()
    }

    /// The other side, while a session with it is open.
    pub fn peer(&self) -> Option<&Identity> {
        todo!()
    }

    /// Whether the other side has not been heard in a session for [`Timing::silence`], or never.
    ///
    /// The session goes on all the same, and with it what waits for its acknowledgement.
    pub fn silent(&self, now: u64) -> bool {
        todo!()
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        todo!()
    }
}
