//! The events that the station has not acknowledged yet.

use crate::panel::{Event, EventId, Occurrence};

/// The events of a panel that the station has not acknowledged, the oldest first; room for `N`.
///
/// A panel that starts again has a new outbox with a new boot id.
///
/// ```
/// use plumbline_wire::outbox::Outbox;
/// use plumbline_wire::panel::Occurrence;
///
/// let mut outbox = Outbox::<8>::new(77);
/// let id = outbox.push(1_250_000, Occurrence::Exposure)?;
/// assert_eq!(outbox.unsaid().map(|event| event.id), Some(id));
/// outbox.said();
/// assert_eq!(outbox.unsaid(), None);
/// outbox.say_again(); // in a new session
/// assert!(outbox.unsaid().is_some());
/// outbox.acknowledge(id);
/// assert!(outbox.is_empty());
/// # Ok::<(), plumbline_wire::outbox::OutboxFull>(())
/// ```
#[derive(Clone, Debug)]
pub struct Outbox<const N: usize> {
    boot: u64,
    next: u32,
    lost: u32,
    /// The first `length` hold events.
    events: [Option<Event>; N],
    length: usize,
    /// How many of them were said in this session.
    said: usize,
}

/// The outbox has no room for another event, which is lost and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many events wait for the station")]
pub struct OutboxFull;

impl<const N: usize> Outbox<N> {
    /// Makes an empty outbox of a panel with the boot id `boot`.
    pub const fn new(boot: u64) -> Self {
        Self {
            boot,
            next: 0,
            lost: 0,
            events: [None; N],
            length: 0,
            said: 0,
        }
    }

    /// Adds what happened `at` microseconds of the panel's clock and returns its name.
    ///
    /// # Errors
    /// [`OutboxFull`]. Its number is used up all the same, so that the station sees the gap.
    pub fn push(&mut self, at: u64, what: Occurrence) -> Result<EventId, OutboxFull> {
        let id = EventId {
            boot: self.boot,
            number: self.next,
        };
        self.next += 1;
        let Some(place) = self.events.get_mut(self.length) else {
            self.lost = self.lost.saturating_add(1);
            return Err(OutboxFull);
        };
        *place = Some(Event { id, at, what });
        self.length += 1;
        Ok(id)
    }

    /// Returns the oldest event that was not yet said in this session.
    pub fn unsaid(&self) -> Option<&Event> {
        self.events.get(self.said)?.as_ref()
    }

    /// The event of [`Outbox::unsaid`] was given to the link.
    pub fn said(&mut self) {
        self.said = (self.said + 1).min(self.length);
    }

    /// A new session has begun: what the last one carried may be lost.
    pub fn say_again(&mut self) {
        self.said = 0;
    }

    /// The station has kept the event `id`. One of another start, or that is not here, is none of
    /// this outbox's.
    pub fn acknowledge(&mut self, id: EventId) {
        let named = |event: &Option<Event>| event.is_some_and(|event| event.id == id);
        let Some(index) = self.events.iter().position(named) else {
            return;
        };
        self.events[index..self.length].rotate_left(1);
        self.length -= 1;
        self.events[self.length] = None;
        if index < self.said {
            self.said -= 1;
        }
    }

    /// Whether the station has acknowledged everything.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many events found no room.
    pub fn lost(&self) -> u32 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledged_events_leave_and_the_others_are_said_once_a_session() {
        let mut outbox = Outbox::<3>::new(5);
        let ids = [1, 2, 3].map(|at| outbox.push(at, Occurrence::Exposure).unwrap());
        assert_eq!(outbox.push(4, Occurrence::Exposure), Err(OutboxFull));
        assert_eq!(outbox.lost(), 1);
        outbox.said();
        outbox.said();
        // The second leaves first; the third is still unsaid.
        outbox.acknowledge(ids[1]);
        assert_eq!(outbox.unsaid().unwrap().id, ids[2]);
        outbox.acknowledge(ids[1]);
        outbox.acknowledge(EventId { boot: 6, ..ids[0] });
        outbox.said();
        assert_eq!(outbox.unsaid(), None);
        outbox.said();
        // The lost event left a gap.
        let id = outbox.push(5, Occurrence::Exposure).unwrap();
        assert_eq!(id, EventId { boot: 5, number: 4 });
        assert_eq!(outbox.unsaid().unwrap().id, id);
        outbox.say_again();
        assert_eq!(outbox.unsaid().unwrap().id, ids[0]);
        for id in [ids[0], ids[2], id] {
            outbox.acknowledge(id);
        }
        assert!(outbox.is_empty());
        assert_eq!(outbox.unsaid(), None);
    }
}
