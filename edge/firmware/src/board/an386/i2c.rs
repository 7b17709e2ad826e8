//! The two-wire bus of the first shield connector: two open-drain pins that software moves.
//!
//! Without waits between their levels, which QEMU does not need; other devices would.

use embedded_hal::i2c::{Error, ErrorKind, ErrorType, NoAcknowledgeSource, Operation};
use embedded_hal_async::i2c::I2c;

use super::{read, write};

/// Reading: the levels. Writing: ones let go of a wire, which a resistor pulls high.
const WIRES: usize = 0x4002_a000;
/// Writing: ones pull a wire low.
const LOW: usize = WIRES + 4;
const CLOCK: u32 = 1;
const DATA: u32 = 2;

/// The bus.
pub struct Bus;

/// Nothing acknowledged an address or a byte.
#[derive(Debug)]
pub struct NoAnswer(NoAcknowledgeSource);

impl Error for NoAnswer {
    fn kind(&self) -> ErrorKind {
        ErrorKind::NoAcknowledge(self.0)
    }
}

impl Bus {
    fn start(&mut self) {
        write(WIRES, DATA);
        write(WIRES, CLOCK);
        write(LOW, DATA);
        write(LOW, CLOCK);
    }

    fn stop(&mut self) {
        write(LOW, DATA);
        write(WIRES, CLOCK);
        write(WIRES, DATA);
    }

    /// Moves one bit out, and gives what the wire then says.
    fn bit(&mut self, bit: bool) -> bool {
        write(if bit { WIRES } else { LOW }, DATA);
        write(WIRES, CLOCK);
        let level = read(WIRES) & DATA != 0;
        write(LOW, CLOCK);
        level
    }

    fn send(&mut self, byte: u8, what: NoAcknowledgeSource) -> Result<(), NoAnswer> {
        for place in (0..8).rev() {
            self.bit(byte >> place & 1 == 1);
        }
        match self.bit(true) {
            false => Ok(()),
            true => Err(NoAnswer(what)),
        }
    }

    fn receive(&mut self, last: bool) -> u8 {
        let byte = (0..8).fold(0, |byte, _| byte << 1 | u8::from(self.bit(true)));
        self.bit(last);
        byte
    }

    /// All operations but the stop.
    fn operate(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), NoAnswer> {
        let mut reading = None;
        let most = operations.len();
        for index in 0..most {
            let reads = matches!(operations[index], Operation::Read(_));
            if reading != Some(reads) {
                self.start();
                self.send(address << 1 | u8::from(reads), NoAcknowledgeSource::Address)?;
                reading = Some(reads);
            }
            // Only the last byte before the direction changes is not acknowledged.
            let more = matches!(operations.get(index + 1), Some(Operation::Read(_)));
            match &mut operations[index] {
                Operation::Write(bytes) => {
                    for byte in *bytes {
                        self.send(*byte, NoAcknowledgeSource::Data)?;
                    }
                }
                Operation::Read(bytes) => {
                    let length = bytes.len();
                    for (place, byte) in bytes.iter_mut().enumerate() {
                        *byte = self.receive(!more && place + 1 == length);
                    }
                }
            }
        }
        Ok(())
    }
}

impl ErrorType for Bus {
    type Error = NoAnswer;
}

impl I2c for Bus {
    async fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), NoAnswer> {
        let result = self.operate(address, operations);
        self.stop();
        result
    }
}
