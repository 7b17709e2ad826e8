//! Battery and temperature: when they make the panel untrustworthy.

/// Below this a battery of one lithium cell gives out any moment, in millivolts.
pub const EMPTY: u16 = 3200;
/// An empty battery counts as charged above [`EMPTY`] and this: it recovers a little when its load
/// falls.
const RECOVERY: u16 = 150;
/// Above this the board's parts are out of their range, in tenths of a degree Celsius.
pub const HOT: i16 = 700;
/// A hot board counts as cool below [`HOT`] less this.
const COOLING: i16 = 50;

/// A reading of the board's sensors; none where there is no sensor, or it does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The battery's voltage in millivolts.
    pub battery: Option<u16>,
    /// The board's temperature in tenths of a degree Celsius.
    pub temperature: Option<i16>,
}

/// What the readings amount to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Power {
    /// The newest reading.
    pub reading: Reading,
    /// The battery will give out any moment.
    pub empty: bool,
    /// The board is hotter than it may be.
    pub hot: bool,
}

impl Power {
    /// Takes a reading. A sensor that does not answer changes nothing.
    pub fn take(&mut self, reading: Reading) {
        self.reading = reading;
        if let Some(millivolts) = reading.battery {
            self.empty = millivolts < if self.empty { EMPTY + RECOVERY } else { EMPTY };
        }
        if let Some(temperature) = reading.temperature {
            self.hot = temperature > if self.hot { HOT - COOLING } else { HOT };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_battery_is_empty_until_it_has_recovered_more_than_a_little() {
        let mut power = Power::default();
        let mut empty = |battery| {
            power.take(Reading {
                battery,
                temperature: None,
            });
            power.empty
        };
        assert!(!empty(Some(3200)));
        assert!(empty(Some(3199)));
        assert!(empty(Some(3349)));
        assert!(
            empty(None),
            "a sensor that falls silent does not charge the battery"
        );
        assert!(!empty(Some(3350)));
    }

    #[test]
    fn heat_is_a_fault_until_the_board_has_cooled() {
        let mut power = Power::default();
        let mut hot = |temperature| {
            power.take(Reading {
                battery: None,
                temperature,
            });
            power.hot
        };
        assert!(!hot(Some(700)));
        assert!(hot(Some(701)));
        assert!(hot(Some(651)));
        assert!(
            hot(None),
            "a sensor that falls silent does not cool the board"
        );
        assert!(!hot(Some(650)));
        assert!(!hot(Some(-400)));
    }
}
