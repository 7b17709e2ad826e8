//! What the buzzer says, and when.

use plumbline_wire::panel::Outcome;

use crate::time::{MILLISECOND, Micros};

/// Milliseconds of sound and silence of an alarm.
const ALARM: &[u16] = &[300, 300];

/// A tune: each differs from the others in the number or the length of its sounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tune {
    /// A press was understood.
    Click,
    /// A film's result is there.
    Result(Outcome),
    /// Something is wrong.
    Fault,
}

impl Tune {
    /// Milliseconds of sound, silence, sound, ...
    pub const fn steps(self) -> &'static [u16] {
        match self {
            Self::Click => &[30],
            Self::Result(Outcome::NoSign) => &[200],
            Self::Result(Outcome::Refer) => &[200, 150, 200, 150, 200],
            Self::Result(Outcome::TakeAgain) => &[500, 200, 500],
            Self::Fault => &[1500],
        }
    }
}

/// The buzzer's state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Buzzer {
    /// The tune that plays, if one does, and since when.
    tune: Option<(Tune, Micros)>,
    /// Since when the station calls.
    alarm: Option<Micros>,
}

impl Buzzer {
    /// Begins a tune; it replaces the one that plays. During an alarm it is not heard.
    pub fn play(&mut self, tune: Tune, now: Micros) {
        self.tune = Some((tune, now));
    }

    /// The station calls, or does not: sounds again and again until it does not.
    pub fn alarm(&mut self, now: Micros, calls: bool) {
        self.alarm = calls.then(|| self.alarm.unwrap_or(now));
    }

    /// Ends the tune.
    pub fn stop(&mut self) {
        self.tune = None;
    }

    /// Whether it sounds at `now`, and when that changes.
    pub fn at(&self, now: Micros) -> (bool, Option<Micros>) {
        let length = |step: &u16| Micros::from(*step) * MILLISECOND;
        let (steps, mut since) = match (self.alarm, self.tune) {
            (Some(begun), _) => (
                ALARM,
                (now - begun) % ALARM.iter().map(length).sum::<Micros>(),
            ),
            (None, Some((tune, begun))) => (tune.steps(), now.saturating_sub(begun)),
            (None, None) => return (false, None),
        };
        for (index, step) in steps.iter().enumerate() {
            if since < length(step) {
                return (index % 2 == 0, Some(now + length(step) - since));
            }
            since -= length(step);
        }
        (false, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tune_plays_once_to_its_end() {
        let mut buzzer = Buzzer::default();
        buzzer.play(Tune::Result(Outcome::TakeAgain), 1000);
        assert_eq!(buzzer.at(1000), (true, Some(501_000)));
        assert_eq!(buzzer.at(501_000), (false, Some(701_000)));
        assert_eq!(buzzer.at(701_000), (true, Some(1_201_000)));
        assert_eq!(buzzer.at(1_201_000), (false, None));
    }

    #[test]
    fn an_alarm_goes_on_until_nobody_calls() {
        let mut buzzer = Buzzer::default();
        for second in 0..60 {
            buzzer.alarm(second * 1_000_000, true);
            buzzer.play(Tune::Click, second * 1_000_000);
        }
        assert_eq!(buzzer.at(60_000_000), (true, Some(60_300_000)));
        assert_eq!(buzzer.at(60_400_000), (false, Some(60_600_000)));
        buzzer.alarm(60_700_000, false);
        assert_eq!(buzzer.at(60_700_000), (false, None));
    }

    #[test]
    fn a_new_tune_replaces_the_old_one_and_silence_both() {
        let mut buzzer = Buzzer::default();
        buzzer.play(Tune::Fault, 0);
        buzzer.play(Tune::Click, 10);
        assert_eq!(buzzer.at(40_000), (false, None));
        buzzer.play(Tune::Fault, 0);
        buzzer.stop();
        assert_eq!(buzzer.at(1), (false, None));
    }
}
