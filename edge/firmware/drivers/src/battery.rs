//! The battery's voltage, by an analogue-to-digital converter behind two resistors.

/// Two resistors in series across the battery, the converter at the lower one.
#[derive(Clone, Copy, Debug)]
pub struct Divider {
    /// The converter's reference in millivolts.
    pub reference_mv: u32,
    /// The converter's bits.
    pub bits: u32,
    /// The resistor between battery and converter, in ohms.
    pub upper: u32,
    /// The resistor between converter and ground, in ohms.
    pub lower: u32,
}

impl Divider {
    /// The battery's voltage in millivolts for what the converter read.
    pub fn millivolts(&self, raw: u16) -> u16 {
        let at_converter = u64::from(raw) * u64::from(self.reference_mv);
        let battery = at_converter * u64::from(self.upper + self.lower) / u64::from(self.lower);
        u16::try_from(battery >> self.bits).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_resistors_halve_the_voltage() {
        let divider = Divider {
            reference_mv: 3300,
            bits: 12,
            upper: 100_000,
            lower: 100_000,
        };
        assert_eq!(divider.millivolts(0), 0);
        assert_eq!(divider.millivolts(2048), 3300);
        assert_eq!(divider.millivolts(4095), 6598);
    }

    #[test]
    fn a_voltage_beyond_what_can_be_told_is_the_most() {
        let divider = Divider {
            reference_mv: 3300,
            bits: 12,
            upper: 1_000_000,
            lower: 10_000,
        };
        assert_eq!(divider.millivolts(4095), u16::MAX);
    }
}
