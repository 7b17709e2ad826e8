//! The cable between a station and a board, with a plug that can be pulled.

use std::io::{self, ErrorKind, Read, Write};

/// The cable to a board's end of the line, where the board is there.
pub struct Cable<T> {
    /// The board's end.
    pub end: Option<T>,
    plugged: bool,
}

impl<T: Read + Write> Cable<T> {
    /// A cable that is plugged in.
    pub fn new(end: Option<T>) -> Self {
        Self { end, plugged: true }
    }

    /// Pulls the plug: what either side sends is lost.
    pub fn unplug(&mut self) {
        self.plugged = false;
    }

    /// Puts the plug back.
    pub fn plug(&mut self) {
        self.drain();
        self.plugged = true;
    }

    /// Loses what has come.
    fn drain(&mut self) {
        let mut bytes = [0; 4096];
        if let Some(end) = &mut self.end {
            while end.read(&mut bytes).is_ok_and(|length| length > 0) {}
        }
    }
}

impl<T: Read + Write> Read for Cable<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if !self.plugged {
            self.drain();
        }
        match &mut self.end {
            Some(end) if self.plugged => end.read(bytes),
            _ => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl<T: Read + Write> Write for Cable<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(end) = self.end.as_mut().filter(|_| self.plugged) else {
            return Ok(bytes.len());
        };
        match end.write(bytes) {
            // What the end does not take is lost, and the link sends it again.
            Err(why) if why.kind() == ErrorKind::WouldBlock => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
