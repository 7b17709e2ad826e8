//! The way to the panel: a serial line to a board, or pins of this computer.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use plumbline_wire::panel::Settings;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use super::gpio::{LOOK, PinPanel};
use super::line::Place;

/// The line's speed in baud. The board's own USB port takes any.
const BAUD: u32 = 921_600;

/// The most bytes that wait to be written: what the link may have on its way.
const MOST_WAITING: usize = 16 << 10;

/// An open way to a panel. Nothing here waits, but [`Port::wait`].
pub(super) enum Port {
    /// A board's serial line.
    Serial(Serial),
    /// Pins of this computer.
    Pins(Box<Pinned>),
}

impl Port {
    /// Opens the way to the panel `place`; `settings` are what pins follow.
    pub(super) fn open(place: &Place, settings: Settings) -> io::Result<Self> {
        Ok(match place {
            Place::Board(device) => Self::Serial(Serial::open(device)?),
            Place::Pins(pins) => Self::Pins(Box::new(Pinned {
                panel: PinPanel::open(pins, settings).map_err(io::Error::other)?,
                said: Vec::new(),
            })),
        })
    }

    /// Reads what the panel has said; 0 bytes if it has said nothing.
    pub(super) fn read(&mut self, now: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Serial(line) => line.read(buffer),
            Self::Pins(pins) => {
                pins.turn(now, &[])?;
                let length = pins.said.len().min(buffer.len());
                buffer[..length].copy_from_slice(&pins.said[..length]);
                pins.said.drain(..length);
                Ok(length)
            }
        }
    }

    /// True if there is room for another frame.
    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Serial(line) => line.waiting.len() < MOST_WAITING,
            Self::Pins(_) => true,
        }
    }

    /// Writes `bytes` as far as the panel takes them; the rest waits.
    pub(super) fn write(&mut self, now: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Serial(line) => line.write(bytes),
            Self::Pins(pins) => pins.turn(now, bytes),
        }
    }

    /// Waits until the panel may have said something or takes bytes that wait, at most for `longest`.
    pub(super) fn wait(&self, longest: Duration) {
        match self {
            Self::Serial(line) => line.wait(longest),
            Self::Pins(_) => thread::sleep(longest.min(LOOK)),
        }
    }
}

/// A panel on pins, and what it has said and nobody has read.
pub(super) struct Pinned {
    panel: PinPanel,
    said: Vec<u8>,
}

impl Pinned {
    fn turn(&mut self, now: u64, heard: &[u8]) -> io::Result<()> {
        let turned = self.panel.turn(now, heard, &mut self.said);
        turned.map_err(|error| io::Error::other(error.to_string()))
    }
}

/// A board's serial line.
pub(super) struct Serial {
    line: File,
    /// Bytes that the line did not take yet.
    waiting: Vec<u8>,
}

impl Serial {
    /// Opens the line `device`, and has it carry bytes as they are.
    fn open(device: &Path) -> io::Result<Self> {
        let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
        let line = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags.bits() as i32)
            .open(device)?;
        let mut attributes = tcgetattr(&line)?;
        attributes.make_raw();
        attributes.set_speed(BAUD)?;
        tcsetattr(&line, OptionalActions::Now, &attributes)?;
        Ok(Self {
            line,
            waiting: Vec::new(),
        })
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.line.read(buffer) {
            // Of a line whose other end is gone.
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            read => read,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.waiting.extend_from_slice(bytes);
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

    fn wait(&self, longest: Duration) {
        let mut flags = PollFlags::IN;
        if !self.waiting.is_empty() {
            flags |= PollFlags::OUT;
        }
        let longest = Timespec::try_from(longest).unwrap_or_default();
        // Of an error the next reading tells.
        poll(&mut [PollFd::new(&self.line, flags)], Some(&longest)).ok();
    }
}
