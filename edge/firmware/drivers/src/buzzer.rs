//! A passive buzzer on a PWM output whose frequency is that of the tone.

use embedded_hal::pwm::SetDutyCycle;

/// The buzzer.
pub struct Buzzer<P> {
    output: P,
    volume: Option<u8>,
}

impl<P: SetDutyCycle> Buzzer<P> {
    /// A buzzer on this output, which is set by the first [`Self::sound`].
    pub fn new(output: P) -> Self {
        Self {
            output,
            volume: None,
        }
    }

    /// Sounds at a volume of at most 100 percent; 0 is silence.
    ///
    /// # Errors
    /// The output's. The next call sets it again.
    pub fn sound(&mut self, volume: u8) -> Result<(), P::Error> {
        if self.volume == Some(volume) {
            return Ok(());
        }
        self.volume = None;
        // High half of the time is the loudest.
        self.output.set_duty_cycle_fraction(volume.into(), 200)?;
        self.volume = Some(volume);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal_mock::eh1::pwm::{Mock, Transaction};

    #[test]
    fn the_loudest_is_half_duty_and_each_change_is_set_once() {
        let duties = [0, 500, 100, 0].map(Transaction::set_duty_cycle);
        let steps = duties.map(|duty| [Transaction::max_duty_cycle(1000), duty]);
        let mut buzzer = Buzzer::new(Mock::new(&steps.concat()));
        for volume in [0, 100, 100, 20, 0, 0] {
            buzzer.sound(volume).unwrap();
        }
        buzzer.output.done();
    }
}
