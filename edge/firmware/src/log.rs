//! defmt's logger: whole frames into a ring, which the panel's task gives to the link. It never
//! waits: a frame that finds no room is dropped and counted.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU16, Ordering};

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pipe::Pipe;
use plumbline_wire::frame::BODY;

use crate::WAKE;

/// The longest frame; longer ones are dropped.
const LONGEST: usize = 120;
const _: () = assert!(LONGEST <= BODY);

/// Each frame as one byte, its length, and its bytes.
static FRAMES: Pipe<CriticalSectionRawMutex, 768> = Pipe::new();
static LOST: AtomicU16 = AtomicU16::new(0);

struct Writing {
    restore: critical_section::RestoreState,
    encoder: defmt::Encoder,
    /// The bytes of the frame, of which those beyond `LONGEST` are counted only.
    length: usize,
    /// The length, and the frame.
    frame: [u8; 1 + LONGEST],
}

impl Writing {
    fn put(length: &mut usize, frame: &mut [u8; 1 + LONGEST], bytes: &[u8]) {
        if let Some(room) = frame.get_mut(1 + *length..1 + *length + bytes.len()) {
            room.copy_from_slice(bytes);
        }
        *length += bytes.len();
    }
}

struct Shared(UnsafeCell<Writing>);

// SAFETY: it is touched between `acquire` and `release` only, which is one critical section.
unsafe impl Sync for Shared {}

static SHARED: Shared = Shared(UnsafeCell::new(Writing {
    restore: critical_section::RestoreState::invalid(),
    encoder: defmt::Encoder::new(),
    length: 0,
    frame: [0; 1 + LONGEST],
}));

#[defmt::global_logger]
struct Logger;

// SAFETY: `acquire` opens a critical section which `release` closes, so none enters twice.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        // SAFETY: released in `release`.
        let restore = unsafe { critical_section::acquire() };
        // SAFETY: in the critical section.
        let Writing {
            restore: place,
            encoder,
            length,
            frame,
        } = unsafe { &mut *SHARED.0.get() };
        *place = restore;
        *length = 0;
        encoder.start_frame(|bytes| Writing::put(length, frame, bytes));
    }

    unsafe fn flush() {}

    unsafe fn write(bytes: &[u8]) {
        // SAFETY: in the critical section.
        let Writing {
            encoder,
            length,
            frame,
            ..
        } = unsafe { &mut *SHARED.0.get() };
        encoder.write(bytes, |bytes| Writing::put(length, frame, bytes));
    }

    unsafe fn release() {
        // SAFETY: in the critical section.
        let Writing {
            restore,
            encoder,
            length,
            frame,
        } = unsafe { &mut *SHARED.0.get() };
        encoder.end_frame(|bytes| Writing::put(length, frame, bytes));
        if *length <= LONGEST && FRAMES.free_capacity() > *length {
            frame[0] = *length as u8;
            // There is room for all of it.
            let _ = FRAMES.try_write(&frame[..=*length]);
        } else {
            let lost = LOST.load(Ordering::Relaxed);
            LOST.store(lost.saturating_add(1), Ordering::Relaxed);
        }
        let restore = *restore;
        // SAFETY: acquired in `acquire`.
        unsafe { critical_section::release(restore) };
        WAKE.signal(());
    }
}

/// Takes whole frames out of the ring.
#[derive(Default)]
pub struct Logs {
    /// The length of the next frame, which was taken already.
    next: Option<usize>,
}

impl Logs {
    /// As many whole frames as there are and `out` has room for, and how many were lost.
    pub fn take<'a>(&mut self, out: &'a mut [u8; BODY]) -> (&'a [u8], u16) {
        let mut length = 0;
        while let Some(frame) = self.next() {
            if frame > out.len() - length {
                break;
            }
            self.next = None;
            // Frames are written whole, so all of its bytes are there, in one or two pieces.
            let end = length + frame;
            while length < end
                && let Ok(taken) = FRAMES.try_read(&mut out[length..end])
            {
                length += taken;
            }
        }
        (&out[..length], LOST.swap(0, Ordering::Relaxed))
    }

    fn next(&mut self) -> Option<usize> {
        let mut length = [0];
        if self.next.is_none() && FRAMES.try_read(&mut length).is_ok() {
            self.next = Some(length[0].into());
        }
        self.next
    }
}
