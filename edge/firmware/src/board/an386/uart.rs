//! UART0, driven by interrupts, with a ring each way. The CMSDK UART has no FIFO.

use core::sync::atomic::{AtomicU32, Ordering};

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pipe::Pipe;
use embedded_io_async::{ErrorType, Read, Write};

use super::{CLOCK, Irq, Never, enable, read, write};

const DATA: usize = 0x4000_4000;
/// Bit 0 the transmitter is full, 1 the receiver is full, 3 a byte came while it was.
const STATE: usize = DATA + 0x04;
/// Bits 0 and 1 transmitter and receiver on, 2 and 3 their interrupts.
const CONTROL: usize = DATA + 0x08;
/// Bit 0 transmitter, 1 receiver; ones clear.
const INTERRUPT: usize = DATA + 0x0c;
const DIVIDER: usize = DATA + 0x10;

const FULL: u32 = 1 << 1;
const OVERRUN: u32 = 1 << 3;

static RECEIVED: Pipe<CriticalSectionRawMutex, 512> = Pipe::new();
static TO_SEND: Pipe<CriticalSectionRawMutex, 64> = Pipe::new();
static LOST: AtomicU32 = AtomicU32::new(0);

/// What comes from the line.
pub struct Receiver(());
/// What goes to the line.
pub struct Transmitter(());

pub(super) fn start() -> (Receiver, Transmitter) {
    write(DIVIDER, CLOCK / crate::BAUD); // at least 16
    write(CONTROL, 0b1111);
    enable(Irq::Uart0Rx);
    enable(Irq::Uart0Tx);
    (Receiver(()), Transmitter(()))
}

/// Bytes that were lost because nobody took them in time.
pub fn lost_bytes() -> u32 {
    LOST.load(Ordering::Relaxed)
}

/// Sends the next byte if the transmitter is free. In its handler, or with interrupts off.
fn feed() {
    let mut byte = [0];
    if read(STATE) & 1 == 0 && TO_SEND.try_read(&mut byte).is_ok() {
        write(DATA, byte[0].into());
    }
}

/// The receiver's interrupt.
pub(super) extern "C" fn received() {
    write(INTERRUPT, 2);
    let state = read(STATE);
    let mut lost = 0;
    if state & OVERRUN != 0 {
        write(STATE, OVERRUN);
        lost += 1;
    }
    // One byte each time: QEMU has the next one at once, and other interrupts wait.
    if state & FULL != 0 {
        let byte = read(DATA) as u8;
        lost += u32::from(RECEIVED.try_write(&[byte]).is_err());
    }
    LOST.fetch_add(lost, Ordering::Relaxed);
}

/// The transmitter's interrupt.
pub(super) extern "C" fn transmitted() {
    write(INTERRUPT, 1);
    feed();
}

impl ErrorType for Receiver {
    type Error = Never;
}

impl ErrorType for Transmitter {
    type Error = Never;
}

impl Read for Receiver {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Never> {
        Ok(RECEIVED.read(buffer).await)
    }
}

impl Write for Transmitter {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Never> {
        let taken = TO_SEND.write(bytes).await;
        critical_section::with(|_| feed());
        Ok(taken)
    }

    async fn flush(&mut self) -> Result<(), Never> {
        Ok(())
    }
}
