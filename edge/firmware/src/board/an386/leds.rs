//! The 8 LEDs of SCC. QEMU traces their changes (`led_change_intensity`), and lets the register be
//! read from outside.

use embedded_hal::pwm::{ErrorType, SetDutyCycle};

use super::{Never, read, write};

const CFG1: usize = 0x4002_f004;

/// One LED, which knows only lit and dark.
pub struct Led(pub(super) u8);

impl ErrorType for Led {
    type Error = Never;
}

impl SetDutyCycle for Led {
    fn max_duty_cycle(&self) -> u16 {
        // Fine enough that the least brightness and volume are not rounded to none.
        1000
    }

    fn set_duty_cycle(&mut self, duty: u16) -> Result<(), Never> {
        let mask = 1 << self.0;
        critical_section::with(|_| match duty {
            0 => write(CFG1, read(CFG1) & !mask),
            _ => write(CFG1, read(CFG1) | mask),
        });
        Ok(())
    }
}

/// Sets all LEDs at once.
pub(super) fn set(leds: u32) {
    write(CFG1, leds);
}
