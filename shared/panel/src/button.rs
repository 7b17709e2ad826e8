//! The acknowledge button: contacts that bounce, short and long presses.

use plumbline_wire::panel::{Press, Settings};

use crate::time::{MILLISECOND, Micros, earlier};

/// No setting makes presses long that are shorter than this, in milliseconds: a hand could not
/// acknowledge any more.
const SHORTEST_LONG: u16 = 500;

/// The times that tell presses from bounces, and long presses from short ones.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The contacts must rest this long before a change counts.
    pub rest: Micros,
    /// A press this long is a long one.
    pub long: Micros,
}

impl From<&Settings> for Times {
    fn from(settings: &Settings) -> Self {
        Self {
            rest: Micros::from(settings.debounce) * MILLISECOND,
            long: Micros::from(settings.long_press.max(SHORTEST_LONG)) * MILLISECOND,
        }
    }
}

/// The button's state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Button {
    /// What the contacts say, and since when.
    contact: bool,
    since: Micros,
    /// Since when the button has been down, told free of bounces.
    down: Option<Micros>,
    /// The long press was told.
    told: bool,
}

impl Button {
    /// The contacts say `down` from `at` on. True if they said otherwise before.
    pub fn contact(&mut self, at: Micros, down: bool) -> bool {
        let changed = self.contact != down;
        if changed {
            self.contact = down;
            self.since = at;
        }
        changed
    }

    /// The button is down, free of bounces.
    pub fn held(&self) -> bool {
        self.down.is_some()
    }

    /// Lets time pass until `now`. A press is told with the time at which it began: a short one
    /// when the button was let go, a long one while it is held, and no short one after it.
    pub fn advance(&mut self, now: Micros, times: Times) -> Option<(Micros, Press)> {
        let rested = now.saturating_sub(self.since) >= times.rest;
        match self.down {
            None if self.contact && rested => {
                self.down = Some(self.since);
                self.told = false;
            }
            Some(begin) if !self.contact && rested => {
                self.down = None;
                return (!self.told).then_some((begin, Press::Short));
            }
            _ => {}
        }
        // While the contacts are open it is not known whether the button is still held.
        let begin = self.down.filter(|_| self.contact && !self.told)?;
        (now.saturating_sub(begin) >= times.long).then(|| {
            self.told = true;
            (begin, Press::Long)
        })
    }

    /// When [`Self::advance`] is to be called at the latest.
    pub fn wake(&self, times: Times) -> Option<Micros> {
        let rest = (self.contact != self.held()).then_some(self.since + times.rest);
        let long = self
            .down
            .filter(|_| self.contact && !self.told)
            .map(|begin| begin + times.long);
        earlier(rest, long)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// Plays levels that each last some milliseconds, waking as the button asks to be.
    fn play(levels: &[(u64, bool)]) -> Vec<Press> {
        let times = Times::from(&Settings::DEFAULT);
        let (mut button, mut presses, mut now) = (Button::default(), vec![], 0);
        for &(milliseconds, down) in levels {
            button.contact(now, down);
            let end = now + milliseconds * MILLISECOND;
            while let Some(wake) = button.wake(times).filter(|wake| *wake < end) {
                presses.extend(button.advance(wake, times).map(|(_, press)| press));
            }
            now = end;
            presses.extend(button.advance(now, times).map(|(_, press)| press));
        }
        presses
    }

    #[test]
    fn a_press_is_short_or_long() {
        assert_eq!(
            play(&[(50, false), (100, true), (50, false)]),
            [Press::Short]
        );
        assert_eq!(
            play(&[(50, false), (1999, true), (50, false)]),
            [Press::Short]
        );
        assert_eq!(play(&[(50, false), (2001, true)]), [Press::Long]);
        assert_eq!(
            play(&[(50, false), (9000, true), (50, false)]),
            [Press::Long]
        );
        assert_eq!(
            play(&[
                (50, false),
                (2500, true),
                (50, false),
                (50, true),
                (50, false)
            ]),
            [Press::Long, Press::Short]
        );
    }

    #[test]
    fn a_press_is_told_with_the_time_at_which_it_began() {
        let times = Times::from(&Settings::DEFAULT);
        let mut button = Button::default();
        button.contact(1_000_000, true);
        assert_eq!(button.advance(1_020_000, times), None);
        button.contact(1_500_000, false);
        assert_eq!(button.advance(1_519_999, times), None);
        assert_eq!(
            button.advance(1_520_000, times),
            Some((1_000_000, Press::Short))
        );
    }

    #[test]
    fn bounces_are_no_presses() {
        assert_eq!(play(&[(5, true), (50, false)]), []);
        assert_eq!(
            play(
                &[
                    (3, true),
                    (2, false),
                    (1, true),
                    (4, false),
                    (100, true),
                    (3, false),
                    (2, true),
                    (5, false),
                    (50, false)
                ]
                .repeat(3)
            ),
            [Press::Short; 3]
        );
        // A bounce in the middle of a long press does not cut it in two.
        assert_eq!(
            play(&[(1000, true), (5, false), (1500, true), (50, false)]),
            [Press::Long]
        );
    }

    proptest! {
        #[test]
        fn levels_shorter_than_the_rest_never_press(levels in proptest::collection::vec((1u64..20, any::<bool>()), 0..50)) {
            // Each level differs from the one before, else two would add up to a long one.
            let levels: Vec<_> = levels.iter().enumerate().map(|(index, level)| (level.0, index % 2 == 0)).collect();
            prop_assert_eq!(play(&levels), []);
        }

        #[test]
        fn there_are_no_more_presses_than_times_held(levels in proptest::collection::vec(1u64..3000, 0..40)) {
            let levels: Vec<_> = levels.iter().enumerate().map(|(index, length)| (*length, index % 2 == 0)).collect();
            let held = levels.iter().filter(|(length, down)| *down && *length >= 20).count();
            prop_assert!(play(&levels).len() <= held.max(1));
        }
    }
}
