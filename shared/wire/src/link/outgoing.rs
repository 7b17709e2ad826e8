//! Messages of this side from their sending to their acknowledgement.

use serde::Serialize;

use super::round_trip::RoundTrip;
use super::{SendError, Timing};
use crate::frame::{BODY, Header};

/// The messages that wait for their acknowledgement, in places that their numbers name.
///
/// Numbers wrap around, and are compared by their distance. Their order holds as long as the line
/// keeps no frame back while 65,000 later ones pass.
#[derive(Clone, Debug)]
pub(super) struct Outgoing<const N: usize> {
    places: [Place; N],
    /// The oldest message that is not acknowledged.
    first: u16,
    /// The first message that was never on the line.
    unsent: u16,
    /// The number of the next message.
    next: u16,
    /// The first message for which the other side has no room.
    limit: u16,
    /// Counts transmissions.
    order: u32,
    /// When something was last acknowledged.
    progress: u64,
    round_trip: RoundTrip,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    state: State,
    length: u8,
    body: [u8; BODY],
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// No message, or one that the other side has.
    Done,
    /// To be sent.
    Waiting { again: bool },
    /// Sent.
    Flying { at: u64, order: u32, again: bool },
}

/// A message to be sent now.
pub(super) struct Departure<'a> {
    pub number: u16,
    pub body: &'a [u8],
    pub again: bool,
}

impl<const N: usize> Outgoing<N> {
    /// The places must divide the numbers, and the other side tells of 16 numbers behind the first.
    const FITS: () = assert!(N.is_power_of_two() && N <= 16, "1, 2, 4, 8 or 16 messages");

    pub const fn new(timing: &Timing) -> Self {
        const { Self::FITS };
        Self {
            places: [Place {
                state: State::Done,
                length: 0,
                body: [0; BODY],
            }; N],
            first: 0,
            unsent: 0,
            next: 0,
            // Any receiver has room for one.
            limit: 1,
            order: 0,
            progress: 0,
            round_trip: RoundTrip::new(timing),
        }
    }

    /// Begins a session.
    pub fn reset(&mut self, timing: &Timing) {
        for place in &mut self.places {
            place.state = State::Done;
        }
        (self.first, self.unsent, self.next, self.limit) = (0, 0, 0, 1);
        self.round_trip = RoundTrip::new(timing);
    }

    pub fn room(&self) -> usize {
        N - usize::from(self.next.wrapping_sub(self.first))
    }

    pub fn push<T: Serialize>(&mut self, message: &T) -> Result<(), SendError> {
        if self.room() == 0 {
            return Err(SendError::Full);
        }
        let place = &mut self.places[usize::from(self.next) % N];
        let Ok(body) = postcard::to_slice(message, &mut place.body) else {
            return Err(SendError::TooLong);
        };
        // At most BODY, which is less than 256.
        place.length = body.len() as u8;
        place.state = State::Waiting { again: false };
        self.next = self.next.wrapping_add(1);
        Ok(())
    }

    /// Takes note of what the header of a frame acknowledges.
    pub fn acknowledged(&mut self, now: u64, header: &Header) {
        let flown = self.unsent.wrapping_sub(self.first);
        let done = header.acknowledgement.wrapping_sub(self.first);
        if done > flown {
            return; // Older than what is known, or never sent.
        }
        let limit = header
            .acknowledgement
            .wrapping_add(u16::from(header.window));
        if limit.wrapping_sub(self.limit) < 1 << 15 {
            self.limit = limit;
        }
        let mut newest = None;
        for offset in 0..flown {
            let ahead = offset.wrapping_sub(done).wrapping_sub(1);
            if offset >= done && (ahead >= 16 || header.selective >> ahead & 1 == 0) {
                continue;
            }
            let place = self.place(offset);
            if let State::Flying { at, order, again } = place.state {
                newest = newest.max(Some(order));
                if !again {
                    self.round_trip.measure(now.saturating_sub(at));
                }
                self.progress = now;
            }
            self.place(offset).state = State::Done;
        }
        while self.first != self.unsent && matches!(self.place(0).state, State::Done) {
            self.first = self.first.wrapping_add(1);
        }
        // A line keeps the order: what was sent before something that has come is lost.
        for offset in 0..self.unsent.wrapping_sub(self.first) {
            let place = self.place(offset);
            if let State::Flying { order, .. } = place.state
                && Some(order) < newest
            {
                place.state = State::Waiting { again: true };
            }
        }
    }

    /// Returns the message that is to be sent now, and takes it as sent.
    pub fn depart(&mut self, now: u64) -> Option<Departure<'_>> {
        if self.overdue().is_some_and(|overdue| overdue <= now) {
            let offset = self.oldest_flying()?;
            self.place(offset).state = State::Waiting { again: true };
            self.round_trip.back_off();
        }
        let offset = self.waiting()?;
        let number = self.first.wrapping_add(offset);
        if number == self.unsent {
            self.unsent = number.wrapping_add(1);
        }
        self.order = self.order.wrapping_add(1);
        let order = self.order;
        let place = self.place(offset);
        let State::Waiting { again } = place.state else {
            return None;
        };
        place.state = State::Flying {
            at: now,
            order,
            again,
        };
        Some(Departure {
            number,
            body: &place.body[..usize::from(place.length)],
            again,
        })
    }

    /// When [`Outgoing::depart`] has something: 0 if now, `u64::MAX` if never.
    pub fn wake(&self) -> u64 {
        match self.waiting() {
            Some(_) => 0,
            None => self.overdue().unwrap_or(u64::MAX),
        }
    }

    fn place(&mut self, offset: u16) -> &mut Place {
        &mut self.places[usize::from(self.first.wrapping_add(offset)) % N]
    }

    fn state(&self, offset: u16) -> State {
        self.places[usize::from(self.first.wrapping_add(offset)) % N].state
    }

    /// The first message that is to be sent and has room on the other side.
    fn waiting(&self) -> Option<u16> {
        let roomy = self.limit.wrapping_sub(self.first);
        // A limit behind the first message leaves no room.
        let roomy = if roomy < 1 << 15 { roomy } else { 0 };
        let all = self.next.wrapping_sub(self.first);
        (0..all.min(roomy)).find(|&offset| matches!(self.state(offset), State::Waiting { .. }))
    }

    fn oldest_flying(&self) -> Option<u16> {
        let flown = self.unsent.wrapping_sub(self.first);
        (0..flown).find(|&offset| matches!(self.state(offset), State::Flying { .. }))
    }

    /// When the oldest message on the line is to be sent again: not while others are acknowledged,
    /// for then it may still wait in a port's buffer. The later ones follow when that one has come.
    fn overdue(&self) -> Option<u64> {
        match self.state(self.oldest_flying()?) {
            State::Flying { at, .. } => {
                let since = at.max(self.progress);
                Some(since.saturating_add(self.round_trip.wait()))
            }
            _ => None,
        }
    }
}
