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

mod handshake;
mod incoming;
mod logs;
mod outgoing;
mod round_trip;

use serde::Serialize;

use self::handshake::{Belonging, Handshake};
use self::incoming::Incoming;
use self::logs::Logs;
use self::outgoing::Outgoing;
use crate::frame::{self, Body, FRAME, Frames, Header, Kind, Opened};
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
/// `RECEIVE` messages that wait to be taken: each 1, 2, 4, 8 or 16. Four each way take 2.8 kB and fill
/// nine tenths of the line; 16 each way take 8.7 kB, for slow USB adapters.
///
/// ```
/// use plumbline_wire::frame::FRAME;
/// use plumbline_wire::hello::Version;
/// use plumbline_wire::link::{Link, News, Timing};
/// use plumbline_wire::message::read;
/// use plumbline_wire::panel::{self, Question, ToPanel};
///
/// let version = Version::of("1.0.0");
/// let mut station = Link::<16, 16>::new(panel::identity(version, 11), Timing::DEFAULT);
/// let mut panel = Link::<4, 4>::new(panel::identity(version, 22), Timing::DEFAULT);
///
/// let question = ToPanel::Ask(Question::Build);
/// let (mut now, mut out) = (0, [0; FRAME]);
/// while panel.message().and_then(read) != Some(question) {
///     now += 1_000;
///     while let Some(mut bytes) = station.transmit(now, &mut out) {
///         while panel.receive(now, &mut bytes).is_some() {}
///     }
///     while let Some(mut bytes) = panel.transmit(now, &mut out) {
///         while let Some(news) = station.receive(now, &mut bytes) {
///             if let News::Opened(_) = news {
///                 station.send(&question)?;
///             }
///         }
///     }
/// }
/// # Ok::<(), plumbline_wire::link::SendError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Link<const SEND: usize, const RECEIVE: usize> {
    me: Identity,
    timing: Timing,
    started: bool,
    frames: Frames,
    handshake: Handshake,
    outgoing: Outgoing<SEND>,
    incoming: Incoming<RECEIVE>,
    logs: Logs,
    /// When a frame of the session last came.
    heard: u64,
    /// When a frame of the session was last sent.
    spoke: u64,
    /// The other side is to be told what came, and what has room.
    acknowledge: bool,
    /// The start of a program to which [`News::Refused`] was told.
    refused: Option<u64>,
    counts: Counts,
}

impl<const SEND: usize, const RECEIVE: usize> Link<SEND, RECEIVE> {
    /// Makes this end of a line; it begins with hellos.
    pub const fn new(me: Identity, timing: Timing) -> Self {
        Self {
            me,
            timing,
            started: false,
            frames: Frames::new(),
            handshake: Handshake::new(me.boot),
            outgoing: Outgoing::new(&timing),
            incoming: Incoming::new(),
            logs: Logs::new(),
            heard: 0,
            spoke: 0,
            acknowledge: false,
            refused: None,
            counts: Counts {
                bad_frames: 0,
                sessions: 0,
                sent: 0,
                resent: 0,
                repeated: 0,
                logs_missing: 0,
            },
        }
    }

    /// Takes bytes that came from the line, as many as there are before something is to be told; the
    /// rest stays in `bytes`. Call it until it tells nothing.
    ///
    /// Messages are kept for [`Link::message`]; those without room are left out, and the other side
    /// sends them again.
    pub fn receive<'a>(&'a mut self, now: u64, bytes: &mut &[u8]) -> Option<News<'a>> {
        let told = loop {
            let frame = self.frames.advance(bytes)?;
            let told = match frame {
                Opened::Hello(hello) => self.hear_hello(now, &hello),
                Opened::Body(header, body) => self.hear(now, &header, body),
            };
            if let Some(told) = told {
                break told;
            }
        };
        Some(match told {
            Told::Opened(peer) => News::Opened(peer),
            Told::Refused(peer, disagreement) => News::Refused(peer, disagreement),
            Told::Log(body, missing) => News::Log {
                frames: self.frames.body(body),
                missing,
            },
        })
    }

    fn hear_hello(&mut self, now: u64, hello: &Hello) -> Option<Told> {
        match self.me.agreement(&hello.from) {
            Agreement::Same => {
                let opened = self.handshake.hear(hello);
                opened.then(|| self.open(now, hello.from))
            }
            disagreement => {
                self.handshake.refuse(hello.answer);
                let told = self.refused.replace(hello.from.boot) == Some(hello.from.boot);
                (!told).then_some(Told::Refused(hello.from, disagreement))
            }
        }
    }

    fn hear(&mut self, now: u64, header: &Header, body: Body) -> Option<Told> {
        let opened = match self.handshake.belonging(header.session) {
            Belonging::Foreign => return None,
            Belonging::Open => None,
            Belonging::Opened(peer) => Some(self.open(now, peer)),
        };
        self.heard = now;
        self.outgoing.acknowledged(now, header);
        match header.kind {
            Kind::Acknowledgement => opened,
            Kind::Message => {
                let body = self.frames.body(body);
                if self.incoming.keep(header.sequence, body) {
                    self.counts.repeated = self.counts.repeated.saturating_add(1);
                }
                self.acknowledge = true;
                opened
            }
            Kind::Log => {
                let missing = self.logs.come(header.sequence)?;
                self.count_lost_logs(missing);
                // One that opens the session gives way to that.
                opened.or(Some(Told::Log(body, missing)))
            }
        }
    }

    fn open(&mut self, now: u64, peer: Identity) -> Told {
        self.outgoing.reset(&self.timing);
        self.incoming.reset();
        self.logs.reset();
        self.heard = now;
        // The other side may know by this alone that the session is open.
        self.acknowledge = true;
        self.refused = None;
        self.counts.sessions = self.counts.sessions.saturating_add(1);
        Told::Opened(peer)
    }

    /// Takes the next message of the session, in the order in which they were sent. Room for another
    /// one is made by taking it: leave it where it is while there is nowhere to put it.
    pub fn message(&mut self) -> Option<&[u8]> {
        self.incoming.take()
    }

    /// Sends a message, or rather keeps it until the other side has acknowledged it.
    ///
    /// # Errors
    /// [`SendError`]; nothing was sent.
    pub fn send<T: Serialize>(&mut self, message: &T) -> Result<(), SendError> {
        match self.handshake.session() {
            Some(_) => self.outgoing.push(message),
            None => Err(SendError::Closed),
        }
    }

    /// How many messages [`Link::send`] would keep now: 0 without a session.
    pub fn room(&self) -> usize {
        self.handshake.session().map_or(0, |_| self.outgoing.room())
    }

    /// Sends whole defmt frames, at most [`BODY`](crate::frame::BODY) bytes, when no message has to
    /// go first; without a session they wait for one. Returns false if there is no room: then they
    /// are lost and counted.
    pub fn log(&mut self, frames: &[u8]) -> bool {
        let kept = self.logs.push(frames);
        if !kept {
            self.count_lost_logs(1);
        }
        kept
    }

    /// Whether [`Link::log`] has room.
    pub fn log_room(&self) -> bool {
        self.logs.has_room()
    }

    /// Counts `pieces` of the log that were lost before they came here.
    pub fn log_lost(&mut self, pieces: u16) {
        self.logs.lose(pieces);
        self.count_lost_logs(pieces);
    }

    fn count_lost_logs(&mut self, pieces: u16) {
        let counts = &mut self.counts;
        counts.logs_missing = counts.logs_missing.saturating_add(pieces.into());
    }

    /// Returns what goes to the line next: a whole frame, or the 0x00 before the first. Call it when
    /// the line has room for [`FRAME`] bytes, until it returns nothing, and again at [`Link::wake`].
    pub fn transmit<'b>(&mut self, now: u64, out: &'b mut [u8; FRAME]) -> Option<&'b [u8]> {
        if !core::mem::replace(&mut self.started, true) {
            // Ends the frame that the last start of this program may have left unfinished.
            out[0] = 0;
            return Some(&out[..1]);
        }
        let every = self.timing.hello;
        if let Some(hello) = self.handshake.depart(now, every, &self.me) {
            return Some(frame::write_hello(&hello, out));
        }
        self.handshake.session()?;
        let (acknowledgement, selective, window) = self.incoming.report();
        let mut header = Header {
            kind: Kind::Message,
            session: self.handshake.outgoing(),
            sequence: 0,
            acknowledgement,
            selective,
            window,
        };
        let must_speak = self.must_speak_at() <= now;
        let mut body = &[][..];
        if let Some(departure) = self.outgoing.depart(now) {
            match departure.again {
                true => self.counts.resent = self.counts.resent.saturating_add(1),
                false => self.counts.sent = self.counts.sent.saturating_add(1),
            }
            header.sequence = departure.number;
            body = departure.body;
        } else if let Some((number, piece)) = self.logs.depart() {
            header.kind = Kind::Log;
            header.sequence = number;
            body = piece;
        } else if must_speak {
            header.kind = Kind::Acknowledgement;
        } else {
            return None;
        }
        self.incoming.told();
        self.acknowledge = false;
        self.spoke = now;
        Some(frame::write(&header, body, out))
    }

    /// When [`Link::transmit`] has something to send, if nothing comes before: a time in the past if
    /// it has something now.
    pub fn wake(&self) -> u64 {
        if !self.started {
            return 0;
        }
        let hello = self.handshake.wake(self.timing.hello);
        if self.handshake.session().is_none() {
            return hello;
        }
        if !self.logs.has_room() {
            return 0;
        }
        hello.min(self.outgoing.wake()).min(self.must_speak_at())
    }

    /// When an acknowledgement is to be sent if nothing else is.
    fn must_speak_at(&self) -> u64 {
        match self.acknowledge || self.incoming.has_untold_room() {
            true => 0,
            false => self.spoke.saturating_add(self.timing.heartbeat.into()),
        }
    }

    /// The other side, while a session with it is open.
    pub fn peer(&self) -> Option<&Identity> {
        self.handshake.session()
    }

    /// Whether the other side has not been heard in a session for [`Timing::silence`], or never.
    ///
    /// The session goes on all the same, and with it what waits for its acknowledgement.
    pub fn silent(&self, now: u64) -> bool {
        let patience = self.heard.saturating_add(self.timing.silence.into());
        self.peer().is_none() || patience <= now
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        Counts {
            bad_frames: self.frames.bad(),
            ..self.counts
        }
    }
}

/// What is to be told of a frame whose body is still in its buffer.
enum Told {
    Opened(Identity),
    Refused(Identity, Agreement),
    Log(Body, u16),
}
