//! One end of the line: a link, and the proof that it keeps its promises.

use std::collections::HashSet;

use plumbline_wire::frame::FRAME;
use plumbline_wire::hello::{Identity, Version};
use plumbline_wire::link::{Link, News, SendError, Timing};
use plumbline_wire::message::read;
use plumbline_wire::panel;
use serde::{Deserialize, Serialize};

use crate::line::Line;
use rand_chacha::ChaCha8Rng;

/// A message with what proves its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel<'a, T> {
    /// The session as its sender counts it, since which start.
    session: (u64, u32),
    /// 0 for the first of the session.
    number: u32,
    /// What is said.
    pub what: Option<T>,
    filler: &'a [u8],
}

/// One end, which says `Out` and hears `In`.
pub struct End<const SEND: usize, const RECEIVE: usize> {
    link: Link<SEND, RECEIVE>,
    boot: u64,
    /// The number of the next parcel.
    next: u32,
    /// The other side's session and the number of its next parcel, once it has said something.
    expected: Option<((u64, u32), u32)>,
    /// The sessions of the other side that are over.
    over: HashSet<(u64, u32)>,
    /// The last piece of the other side's log and whose it was.
    last_log: (u64, u32),
    next_log: u32,
    /// Until when this side has no time for messages.
    pub busy_until: u64,
    /// Messages that came.
    pub heard: u64,
    /// The session was opened and what it needs was not said yet.
    pub opened: bool,
}

impl<const SEND: usize, const RECEIVE: usize> End<SEND, RECEIVE> {
    pub fn new(boot: u64) -> Self {
        Self {
            link: Link::new(identity(boot), Timing::DEFAULT),
            boot,
            next: 0,
            expected: None,
            over: HashSet::new(),
            last_log: (0, 0),
            next_log: 0,
            busy_until: 0,
            heard: 0,
            opened: false,
        }
    }

    pub fn link(&self) -> &Link<SEND, RECEIVE> {
        &self.link
    }

    pub fn say<T: Serialize>(&mut self, what: Option<T>, filler: &[u8]) -> bool {
        let parcel = Parcel {
            session: (self.boot, self.link.counts().sessions),
            number: self.next,
            what,
            filler,
        };
        match self.link.send(&parcel) {
            Ok(()) => self.next += 1,
            Err(SendError::Closed | SendError::Full) => return false,
            Err(error) => panic!("{error}"),
        }
        true
    }

    /// Logs the next piece; it may be lost.
    pub fn log(&mut self) {
        let mut piece = [0; 12];
        piece[..8].copy_from_slice(&self.boot.to_le_bytes());
        piece[8..].copy_from_slice(&self.next_log.to_le_bytes());
        self.next_log += 1;
        self.link.log(&piece);
    }

    /// Takes bytes from the line.
    pub fn receive(&mut self, now: u64, mut bytes: &[u8]) {
        while let Some(news) = self.link.receive(now, &mut bytes) {
            match news {
                News::Opened(peer) => {
                    assert_ne!(peer.boot, self.boot);
                    if let Some((session, _)) = self.expected.take() {
                        assert!(self.over.insert(session), "{session:?} ends twice");
                    }
                    self.next = 0;
                    self.opened = true;
                }
                News::Refused(..) => panic!("{news:?}"),
                News::Log { frames, .. } => {
                    let piece: [u8; 12] = frames.try_into().expect("a whole piece");
                    let boot = u64::from_le_bytes(*piece.first_chunk().unwrap());
                    let number = u32::from_le_bytes(*piece.last_chunk().unwrap());
                    let (last_boot, last) = self.last_log;
                    assert!(boot != last_boot || number > last, "a piece of log again");
                    self.last_log = (boot, number);
                }
            }
        }
    }

    /// Takes the next message.
    pub fn take<T: for<'a> Deserialize<'a>>(&mut self, now: u64) -> Option<Option<T>> {
        if self.busy_until > now || self.opened {
            return None;
        }
        let body = self.link.message()?;
        let parcel: Parcel<T> = read(body).expect("what passed the CRC is a message");
        let (session, next) = *self.expected.get_or_insert((parcel.session, 0));
        assert_eq!(parcel.session, session, "a message of another session");
        assert!(!self.over.contains(&session), "a message of an old session");
        assert_eq!(parcel.number, next, "a message twice, lost or out of order");
        self.expected = Some((session, next + 1));
        self.heard += 1;
        Some(parcel.what)
    }

    /// Sends what can be sent now.
    pub fn transmit(&mut self, now: u64, line: &mut Line, rng: &mut ChaCha8Rng) {
        let mut out = [0; FRAME];
        while line.free_at() <= now {
            let due = self.link.wake() <= now;
            let frame = self.link.transmit(now, &mut out);
            assert_eq!(frame.is_some(), due, "wake and transmit do not agree");
            match frame {
                Some(frame) => line.send(now, frame, rng),
                None => return,
            }
        }
    }

    /// When this side has something to do.
    pub fn wake(&self, line: &Line) -> u64 {
        self.link.wake().max(line.free_at())
    }
}

fn identity(boot: u64) -> Identity {
    panel::identity(Version::of("1.0.0"), boot)
}
