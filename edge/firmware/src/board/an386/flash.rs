//! NOR flash in PSRAM. A file behind it outlives QEMU, so killing QEMU is a power cut. Erasing sets
//! bits and writing only clears them; both take about as long as in a real part, so that a cut can
//! fall into them.

use embassy_time::Timer;
use embedded_storage_async::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

use super::{read, write};

const BASE: usize = 0x2180_0000;
const PAGE: u32 = 4096;

/// The flash memory.
pub struct Flash;

/// The flash memory refuses an access beyond its end or across its units.
#[derive(Debug)]
pub struct Refused(NorFlashErrorKind);

impl NorFlashError for Refused {
    fn kind(&self) -> NorFlashErrorKind {
        self.0
    }
}

impl Flash {
    /// Its bytes.
    pub const SIZE: u32 = 32 * 1024;

    /// As embedded-storage's `check_*`, which ask for the blocking traits.
    fn check(from: u32, length: usize, unit: u32) -> Result<(), Refused> {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let fits = from.checked_add(length).is_some_and(|to| to <= Self::SIZE);
        if !fits {
            Err(Refused(NorFlashErrorKind::OutOfBounds))
        } else if !from.is_multiple_of(unit) || !length.is_multiple_of(unit) {
            Err(Refused(NorFlashErrorKind::NotAligned))
        } else {
            Ok(())
        }
    }
}

impl ErrorType for Flash {
    type Error = Refused;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Refused> {
        Self::check(offset, bytes.len(), 1)?;
        for (at, byte) in (offset as usize..).zip(bytes) {
            *byte = read(BASE + (at & !3)).to_le_bytes()[at & 3];
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        Self::SIZE as usize
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE as usize;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Refused> {
        Self::check(from, to.saturating_sub(from) as usize, PAGE)?;
        for at in (from as usize..to as usize).step_by(4) {
            write(BASE + at, !0);
            if at.is_multiple_of(64) {
                Timer::after_micros(300).await;
            }
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Refused> {
        Self::check(offset, bytes.len(), 4)?;
        let (words, _) = bytes.as_chunks::<4>();
        for (at, word) in (BASE + offset as usize..).step_by(4).zip(words) {
            write(at, read(at) & u32::from_le_bytes(*word));
            Timer::after_micros(100).await;
        }
        Ok(())
    }
}
