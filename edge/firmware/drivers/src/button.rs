//! A button between a pin and ground.

use embedded_hal_async::digital::Wait;

/// The button's contacts, bounces and all.
pub struct Contacts<P> {
    pin: P,
    down: bool,
}

impl<P: Wait> Contacts<P> {
    /// Contacts on a pin that a pull-up holds high while they are open.
    pub fn new(pin: P) -> Self {
        Self { pin, down: false }
    }

    /// Waits for the contacts to change: true when they closed.
    ///
    /// Waits for levels, not edges: an edge between two calls could be missed, and the button
    /// would seem held for ever.
    ///
    /// # Errors
    /// The pin's.
    pub async fn change(&mut self) -> Result<bool, P::Error> {
        match self.down {
            false => self.pin.wait_for_low().await?,
            true => self.pin.wait_for_high().await?,
        }
        self.down = !self.down;
        Ok(self.down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embassy_futures::block_on;
    use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};

    #[test]
    fn low_is_down_and_each_change_is_told_once() {
        let mut contacts = Contacts::new(Mock::new(&[
            Transaction::wait_for_state(State::Low),
            Transaction::wait_for_state(State::High),
            Transaction::wait_for_state(State::Low),
        ]));
        for down in [true, false, true] {
            assert_eq!(block_on(contacts.change()), Ok(down));
        }
        contacts.pin.done();
    }
}
