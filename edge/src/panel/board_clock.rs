//! The panel board's clock, by which it tells when something happened, as seen from the station's.

use std::time::Duration;

/// How often the board is asked for its time: its crystal and the computer's part by some 50
/// microseconds a second.
const EVERY: Duration = Duration::from_secs(60);

/// How long an answer may take; an exposure's time is as exact as half of it.
const SLOW: Duration = Duration::from_millis(500);

/// What is known of the board's clock in one session. Times are microseconds of either clock.
#[derive(Debug, Default)]
pub(super) struct BoardClock {
    /// Station's time minus board's.
    offset: Option<i64>,
    /// The question on its way: its token, and when it was asked.
    asked: Option<(u32, u64)>,
    token: u32,
    next: u64,
}

impl BoardClock {
    /// Returns the token of a question that should be asked `now`, if one should.
    pub(super) fn ask(&mut self, now: u64) -> Option<u32> {
        if now < self.next {
            return None;
        }
        self.token = self.token.wrapping_add(1);
        self.asked = Some((self.token, now));
        // Again soon if no good answer comes.
        self.next = now + SLOW.as_micros() as u64;
        Some(self.token)
    }

    /// Takes the board's answer, which came `now`: `at` by its clock.
    pub(super) fn answered(&mut self, now: u64, token: u32, at: u64) {
        let Some((_, asked)) = self.asked.take_if(|(asked, _)| *asked == token) else {
            return;
        };
        let way = now.saturating_sub(asked);
        if way < SLOW.as_micros() as u64 {
            self.offset = Some((asked + way / 2) as i64 - at as i64);
            self.next = now + EVERY.as_micros() as u64;
        }
    }

    /// The station's time of the board's time `at`, once it is known.
    pub(super) fn station_time(&self, at: u64) -> Option<u64> {
        let time = (at as i64).saturating_add(self.offset?);
        Some(u64::try_from(time).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boards_time_is_known_to_half_the_way() {
        let mut clock = BoardClock::default();
        let token = clock.ask(10_000_000).unwrap();
        assert_eq!(clock.ask(10_000_001), None);
        assert_eq!(clock.station_time(5), None);
        // An answer to another question, and one that took too long, say nothing.
        clock.answered(10_004_000, token + 1, 77);
        assert_eq!(clock.station_time(5), None);
        clock.answered(10_004_000, token, 1_002_000);
        assert_eq!(clock.station_time(1_002_000), Some(10_002_000));
        assert_eq!(clock.station_time(0), Some(9_000_000));
        let token = clock.ask(70_004_000).unwrap();
        clock.answered(70_904_000, token, 0);
        assert_eq!(clock.station_time(0), Some(9_000_000));
        // It is asked again soon, and the next good answer counts.
        let token = clock.ask(70_904_000).unwrap();
        clock.answered(70_904_000, token, 61_903_000);
        assert_eq!(clock.station_time(61_903_000), Some(70_904_000));
        // A board whose clock is ahead of the station's.
        let mut clock = BoardClock::default();
        let token = clock.ask(1_000).unwrap();
        clock.answered(1_000, token, 5_000_000);
        assert_eq!(clock.station_time(5_000_000), Some(1_000));
        assert_eq!(clock.station_time(0), Some(0));
    }
}
