//! Six lamps, each on a PWM output that dims it.

use embedded_hal::pwm::SetDutyCycle;
use plumbline_panel_logic::lamps::Lamps;

/// The row of lamps.
pub struct LampRow<P> {
    outputs: [P; 6],
    /// What is shown: lamps, and brightness in percent.
    shown: Option<(Lamps, u8)>,
}

impl<P: SetDutyCycle> LampRow<P> {
    /// Lamps on these outputs, from left to right.
    pub fn new(outputs: [P; 6]) -> Self {
        Self {
            outputs,
            shown: None,
        }
    }

    /// Lights these lamps and no others, at a brightness of at most 100 percent.
    ///
    /// Lamps go dark before others light up, so that no moment shows both what was and what is.
    ///
    /// # Errors
    /// An output's. The next call sets all of them again.
    pub fn show(&mut self, lamps: Lamps, brightness: u8) -> Result<(), P::Error> {
        if self.shown == Some((lamps, brightness)) {
            return Ok(());
        }
        self.shown = None;
        for (lit, percent) in [(false, 0), (true, brightness)] {
            for (index, output) in self.outputs.iter_mut().enumerate() {
                if (lamps.0 >> index & 1 == 1) == lit {
                    output.set_duty_cycle_percent(percent)?;
                }
            }
        }
        self.shown = Some((lamps, brightness));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal_mock::eh1::MockError;
    use embedded_hal_mock::eh1::pwm::{Mock, Transaction};
    use plumbline_panel_logic::lamps::Lamp;
    use std::io::ErrorKind;

    #[test]
    fn each_lamp_is_its_output_and_what_is_shown_is_not_set_again() {
        for lamp in Lamp::ALL {
            let mut row = LampRow::new(core::array::from_fn(|index| {
                let duty = if index == lamp as usize { 400 } else { 0 };
                Mock::new(&[
                    Transaction::max_duty_cycle(1000),
                    Transaction::set_duty_cycle(duty),
                ])
            }));
            row.show(Lamps::NONE.with(lamp), 40).unwrap();
            row.show(Lamps::NONE.with(lamp), 40).unwrap();
            row.outputs.iter_mut().for_each(Mock::done);
        }
    }

    #[test]
    fn another_brightness_is_set() {
        let duties = [0, 100, 1000].map(Transaction::set_duty_cycle);
        let steps = duties.map(|duty| [Transaction::max_duty_cycle(1000), duty]);
        let mut row = LampRow::new(core::array::from_fn(|_| Mock::new(&steps.concat())));
        row.show(Lamps::NONE, 10).unwrap();
        row.show(Lamps::ALL, 10).unwrap();
        row.show(Lamps::ALL, 100).unwrap();
        row.outputs.iter_mut().for_each(Mock::done);
    }

    #[test]
    fn after_an_output_failed_all_are_set_again() {
        let most = Transaction::max_duty_cycle(1000);
        let dark = || Transaction::set_duty_cycle(0);
        let fails = || dark().with_error(MockError::Io(ErrorKind::NotConnected));
        let mut row = LampRow::new(core::array::from_fn(|index| match index {
            0 => Mock::new(&[most.clone(), dark(), most.clone(), dark()]),
            1 => Mock::new(&[most.clone(), fails(), most.clone(), dark()]),
            _ => Mock::new(&[most.clone(), dark()]),
        }));
        assert!(row.show(Lamps::NONE, 100).is_err());
        assert!(row.show(Lamps::NONE, 100).is_ok());
        row.outputs.iter_mut().for_each(Mock::done);
    }
}
