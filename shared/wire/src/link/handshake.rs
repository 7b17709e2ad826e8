//! How two sides come to a session, and notice that the other one has started again.
//!
//! A session's name is made of two halves, one of each side. No side ever gives the same half to two
//! sessions, so frames of an earlier session are told from those of this one, however late they come.
//! A session is opened only by a frame that names this side's newest half: it must come from another
//! side that lives now. A hello that a line kept back and repeats can therefore cost a few hellos, not
//! the session.

use crate::frame::{session_half, session_name};
use crate::hello::{Hello, Identity};

/// How many hellos an offer gets beside an open session before it is given up.
const OFFERS: u8 = 10;

/// The state of the hellos.
#[derive(Clone, Debug)]
pub(super) struct Handshake {
    boot: u64,
    /// How many halves were used up.
    used: u32,
    session: Option<Session>,
    offer: Option<Offer>,
    /// A hello that waits for an answer is to be sent before its time.
    hurried: bool,
    /// When the last such hello was sent.
    asked: Option<u64>,
    /// The other side waits for an answer.
    owed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    peer: Identity,
    ours: u32,
    theirs: u32,
}

/// What is offered to the other side: a session of our next half and of its half.
#[derive(Clone, Copy, Debug)]
struct Offer {
    /// The other side and its half, once it was heard.
    other: Option<(Identity, u32)>,
    said: u8,
}

/// What a frame means for the session.
#[derive(Clone, Copy, Debug)]
pub(super) enum Belonging {
    /// It is of the open session.
    Open,
    /// It is the first of a session, which is open now.
    Opened(Identity),
    /// It is of another session, or of none.
    Foreign,
}

impl Handshake {
    pub const fn new(boot: u64) -> Self {
        Self {
            boot,
            used: 0,
            session: None,
            offer: Some(Offer {
                other: None,
                said: 0,
            }),
            hurried: false,
            asked: None,
            owed: false,
        }
    }

    /// The other side of the open session.
    pub fn session(&self) -> Option<&Identity> {
        self.session.as_ref().map(|session| &session.peer)
    }

    /// The name of the session's frames that this side sends.
    pub fn outgoing(&self) -> u32 {
        self.session
            .map_or(0, |session| session_name(session.ours, session.theirs))
    }

    /// Hears a hello of a side that speaks the same messages; true if a session is open now that was
    /// not before.
    pub fn hear(&mut self, hello: &Hello) -> bool {
        let other = (hello.from, hello.session);
        // No half, or a line that echoes.
        if hello.session == 0 || hello.from.boot == self.boot {
            return false;
        }
        if let Some(session) = self.session
            && session.theirs == hello.session
        {
            // The side that we know. If it speaks to another half than ours, the hello is old or
            // that side is mistaken, and our answer tells.
            let known = session.ours == hello.heard;
            if known {
                self.offer = None;
            }
            self.owed |= hello.answer || !known;
            return false;
        }
        if self.offer.is_some() && hello.heard == self.half() {
            self.owed |= hello.answer;
            self.open(other);
            return true;
        }
        if let Some(session) = self.session
            && hello.answer
            && hello.heard != 0
            && hello.heard != session.ours
        {
            // It speaks to a side that we are not, or not any more.
            self.owed = true;
            return false;
        }
        self.offer = Some(Offer {
            other: Some(other),
            said: 0,
        });
        self.hurried = true;
        false
    }

    /// Says whether frames of this name belong to the session.
    pub fn belonging(&mut self, name: u32) -> Belonging {
        if let Some(session) = self.session
            && name == session_name(session.theirs, session.ours)
        {
            return Belonging::Open;
        }
        if let Some(Offer {
            other: Some(other), ..
        }) = self.offer
            && name == session_name(other.1, self.half())
        {
            self.open(other);
            return Belonging::Opened(other.0);
        }
        self.hurried = true;
        Belonging::Foreign
    }

    /// Ends the session because the other side speaks other messages, and answers it.
    pub fn refuse(&mut self, answer: bool) {
        self.session = None;
        self.offer = Some(Offer {
            other: None,
            said: 0,
        });
        self.owed |= answer;
    }

    /// Returns the hello that is to be sent now; `every` is the time between two of them.
    pub fn depart(&mut self, now: u64, every: u32, me: &Identity) -> Option<Hello> {
        let asks = self.ask_at(every) <= now;
        if !asks && !self.owed {
            return None;
        }
        // An answer says what is; a question says what is offered.
        let session = match self.offer {
            Some(_) if asks => None,
            _ => self.session,
        };
        if asks {
            self.hurried = false;
            self.asked = Some(now);
        } else {
            self.owed = false;
        }
        let (ours, theirs) = match (session, self.offer) {
            (Some(session), _) => (session.ours, session.theirs),
            (None, offer) => {
                let other = offer.and_then(|offer| offer.other);
                (self.half(), other.map_or(0, |(_, theirs)| theirs))
            }
        };
        if let Some(offer) = &mut self.offer
            && asks
        {
            offer.said += 1;
            if offer.said >= OFFERS {
                match self.session {
                    Some(_) => self.offer = None,
                    None => offer.said = 0,
                }
            }
        }
        Some(Hello {
            from: *me,
            session: ours,
            heard: theirs,
            answer: asks,
        })
    }

    /// When [`Handshake::depart`] has something: 0 if now, `u64::MAX` if never.
    pub fn wake(&self, every: u32) -> u64 {
        match self.owed {
            true => 0,
            false => self.ask_at(every),
        }
    }

    /// When the next hello that waits for an answer is to be sent: `u64::MAX` if none is.
    fn ask_at(&self, every: u32) -> u64 {
        // Even a hurried hello keeps some distance, lest two sides that misunderstand each other
        // fill the line.
        let distance = match (self.hurried, self.offer) {
            (true, _) => every / 8,
            (false, Some(_)) => every,
            (false, None) => return u64::MAX,
        };
        let next = |asked: u64| asked.saturating_add(distance.into());
        self.asked.map_or(0, next)
    }

    /// The half of the next session.
    fn half(&self) -> u32 {
        session_half(self.boot, self.used)
    }

    fn open(&mut self, (peer, theirs): (Identity, u32)) {
        self.session = Some(Session {
            peer,
            ours: self.half(),
            theirs,
        });
        self.used = self.used.wrapping_add(1);
        self.offer = None;
        self.hurried = false;
    }
}
