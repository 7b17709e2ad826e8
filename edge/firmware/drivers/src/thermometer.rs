//! A thermometer of the LM75 kind (TMP102, TMP105, TMP112 and others) on I2C.

use embedded_hal_async::i2c::I2c;

/// The address with all address pins at ground.
pub const ADDRESS: u8 = 0x48;
/// The register of the temperature: 12 bits from the left, in 1/16 of a degree.
const TEMPERATURE: u8 = 0;

/// The thermometer.
pub struct Thermometer<B> {
    bus: B,
}

impl<B: I2c> Thermometer<B> {
    /// The thermometer at [`ADDRESS`] of this bus.
    pub fn new(bus: B) -> Self {
        Self { bus }
    }

    /// The temperature in tenths of a degree Celsius.
    ///
    /// # Errors
    /// The bus's, as when nothing answers.
    pub async fn decidegrees(&mut self) -> Result<i16, B::Error> {
        let mut register = [0; 2];
        self.bus
            .write_read(ADDRESS, &[TEMPERATURE], &mut register)
            .await?;
        let sixteenths = i32::from(i16::from_be_bytes(register) >> 4);
        Ok((sixteenths * 10 / 16) as i16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embassy_futures::block_on;
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};

    #[test]
    fn the_registers_of_the_data_sheet_are_read() {
        for (register, decidegrees) in [
            ([0x7f, 0xf0], 1279),
            ([0x19, 0x00], 250),
            ([0x00, 0x40], 2),
            ([0x00, 0x00], 0),
            ([0xe7, 0x00], -250),
            ([0xc9, 0x00], -550),
        ] {
            let mut thermometer = Thermometer::new(Mock::new(&[Transaction::write_read(
                ADDRESS,
                std::vec![TEMPERATURE],
                register.to_vec(),
            )]));
            assert_eq!(block_on(thermometer.decidegrees()), Ok(decidegrees));
            thermometer.bus.done();
        }
    }
}
