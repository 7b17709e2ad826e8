//! Messages of the other side from their coming to their taking.

use crate::frame::BODY;

/// The messages that came and were not yet taken, in places that their numbers name.
#[derive(Clone, Debug)]
pub(super) struct Incoming<const N: usize> {
    places: [Place; N],
    /// The next message to be taken.
    taken: u16,
    /// The first message that has not come.
    next: u16,
    /// The first message for which there was no room when the other side was last told.
    told: u16,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    /// Holds a message.
    full: bool,
    length: u8,
    body: [u8; BODY],
}

impl<const N: usize> Incoming<N> {
    /// The places must divide the numbers, and 16 bits tell which have come.
    const FITS: () = assert!(N.is_power_of_two() && N <= 16, "1, 2, 4, 8 or 16 messages");

    pub const fn new() -> Self {
        const { Self::FITS };
        Self {
            places: [Place {
                full: false,
                length: 0,
                body: [0; BODY],
            }; N],
            taken: 0,
            next: 0,
            told: N as u16,
        }
    }

    /// Begins a session.
    pub fn reset(&mut self) {
        for place in &mut self.places {
            place.full = false;
        }
        (self.taken, self.next, self.told) = (0, 0, N as u16);
    }

    /// Keeps the message if it is new and has room; returns whether it had come before.
    pub fn keep(&mut self, number: u16, body: &[u8]) -> bool {
        let ahead = number.wrapping_sub(self.taken);
        if ahead >= 1 << 15 {
            return true;
        }
        if usize::from(ahead) >= N {
            return false;
        }
        let place = &mut self.places[usize::from(number) % N];
        if place.full {
            return true;
        }
        let length = body.len().min(BODY);
        place.body[..length].copy_from_slice(&body[..length]);
        place.length = length as u8;
        place.full = true;
        while self.next != self.limit() && self.places[usize::from(self.next) % N].full {
            self.next = self.next.wrapping_add(1);
        }
        false
    }

    /// Takes the next message.
    pub fn take(&mut self) -> Option<&[u8]> {
        if self.taken == self.next {
            return None;
        }
        let place = &mut self.places[usize::from(self.taken) % N];
        place.full = false;
        self.taken = self.taken.wrapping_add(1);
        Some(&place.body[..usize::from(place.length)])
    }

    /// Whether the other side may wait for room that it was not told of.
    pub fn has_untold_room(&self) -> bool {
        let untold = usize::from(self.limit().wrapping_sub(self.told));
        untold > 0 && untold >= N / 2
    }

    /// Returns acknowledgement, selective bits and window for a header.
    pub fn report(&self) -> (u16, u16, u8) {
        let window = self.limit().wrapping_sub(self.next);
        // The place of `next` is empty: it is the message that has not come.
        let mut selective = 0;
        for bit in 0..window.saturating_sub(1) {
            let number = self.next.wrapping_add(1 + bit);
            selective |= u16::from(self.places[usize::from(number) % N].full) << bit;
        }
        (self.next, selective, window as u8)
    }

    /// The other side is told of what [`Incoming::report`] says.
    pub fn told(&mut self) {
        self.told = self.limit();
    }

    fn limit(&self) -> u16 {
        self.taken.wrapping_add(N as u16)
    }
}
