//! The serial line to the panel board.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// The line's speed in baud. The board's own USB port takes any.
const BAUD: u32 = 921_600;

/// The most bytes that wait to be written: what the link may have on its way.
const MOST_WAITING: usize = 16 << 10;

/// An open serial line. Nothing here waits, but [`Port::wait`].
pub(super) struct Port {
    line: File,
    /// Bytes that the line did not take yet.
    waiting: Vec<u8>,
}

impl Port {
    /// Opens the line `device`, and has it carry bytes as they are.
    pub(super) fn open(device: &Path) -> io::Result<Self> {
        let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
        let line = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags.bits() as i32)
            .open(device)?;
        match tcgetattr(&line) {
            Ok(mut attributes) => {
                attributes.make_raw();
                attributes.set_speed(BAUD)?;
                tcsetattr(&line, OptionalActions::Now, &attributes)?;
            }
            // Under QEMU's emulation of single programs nothing can ask for settings or change them:
            // the line is used as somebody has set it.
            Err(Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Self {
            line,
            waiting: Vec::new(),
        })
    }

    /// Reads what has come; 0 bytes if nothing has.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.line.read(buffer) {
            // Of a line whose other end is gone.
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            read => read,
        }
    }

    /// True if there is room for another frame.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MOST_WAITING
    }

    /// Writes `bytes` as far as the line takes them; the rest waits.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.waiting.extend_from_slice(bytes);
        self.write_waiting()
    }

    /// Writes what waits, as far as the line takes it.
    pub(super) fn write_waiting(&mut self) -> io::Result<()> {
        while !self.waiting.is_empty() {
            match self.line.write(&self.waiting) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => drop(self.waiting.drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits until bytes come, or the line takes bytes that wait, at most for `longest`.
    pub(super) fn wait(&self, longest: Duration) {
        let mut flags = PollFlags::IN;
        if !self.waiting.is_empty() {
            flags |= PollFlags::OUT;
        }
        let longest = Timespec::try_from(longest).unwrap_or_default();
        // Of an error the next reading tells.
        poll(&mut [PollFd::new(&self.line, flags)], Some(&longest)).ok();
    }
}
