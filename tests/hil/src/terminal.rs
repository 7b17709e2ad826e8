//! The line to a station that is a program of its own: a pseudo-terminal in the place of its serial
//! port, whose bytes are carried to the board and back.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::board::Board;
use crate::disguise::Disguise;
use crate::noise::{Noise, NoisyLine};

/// The line, and its end at the station's computer.
pub struct Terminal {
    /// The station opens this; it leads to the pseudo-terminal that stands for the port.
    device: PathBuf,
    /// The port's other side; none while its adapter is pulled out.
    port: Option<File>,
    to_panel: Way,
    from_panel: Way,
}

/// One direction of the line.
struct Way {
    line: NoisyLine,
    disguise: Option<Disguise>,
}

impl Way {
    fn new(seed: u64, baud: Option<u32>) -> Self {
        let mut line = NoisyLine::new(Noise::default(), seed);
        if let Some(baud) = baud {
            line.pace(baud);
        }
        Self {
            line,
            disguise: None,
        }
    }

    fn put(&mut self, now: Duration, bytes: &[u8]) {
        match &mut self.disguise {
            Some(disguise) => self.line.put(now, &disguise.pass(bytes)),
            None => self.line.put(now, bytes),
        }
    }
}

impl Terminal {
    /// A line whose port is `device`, a path at which nothing is yet; as slow as a line of this
    /// speed, if one is given.
    pub fn new(device: &Path, baud: Option<u32>) -> Result<Self> {
        let mut terminal = Self {
            device: device.to_owned(),
            port: None,
            to_panel: Way::new(1, baud),
            from_panel: Way::new(2, baud),
        };
        terminal.put_in()?;
        Ok(terminal)
    }

    /// Makes the line as bad as this, both ways.
    pub fn noise(&mut self, noise: Noise) {
        self.to_panel.line.become_as(noise);
        self.from_panel.line.become_as(noise);
    }

    /// How many bytes the noise has lost, changed or delayed so far, both ways.
    pub fn harmed(&self) -> u64 {
        self.to_panel.line.harmed() + self.from_panel.line.harmed()
    }

    /// Has the panel seem so much newer to the station, and the station so much older to the panel.
    pub fn disguise(&mut self, newer: i16) {
        self.from_panel.disguise = Some(Disguise::new(newer));
        self.to_panel.disguise = Some(Disguise::new(-newer));
    }

    /// Lets both see each other as they are again.
    pub fn undisguise(&mut self) {
        self.from_panel.disguise = None;
        self.to_panel.disguise = None;
    }

    /// Pulls the port's adapter out of the station's computer: its device is no more.
    pub fn pull_out(&mut self) -> Result<()> {
        self.port = None;
        fs::remove_file(&self.device)?;
        Ok(())
    }

    /// Puts the adapter in.
    pub fn put_in(&mut self) -> Result<()> {
        // Not for the station's process, which would keep its other side open.
        let port = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&port)?;
        unlockpt(&port)?;
        let name = ptsname(&port, Vec::new())?.into_string()?;
        // Opened and closed once: until then the port would not tell that nobody has opened it. Raw,
        // so that it does not answer with an echo.
        let station = File::options().read(true).write(true).open(&name)?;
        let mut attributes = tcgetattr(&station)?;
        attributes.make_raw();
        tcsetattr(&station, OptionalActions::Now, &attributes)?;
        rustix::fs::fcntl_setfl(&port, OFlags::RDWR | OFlags::NONBLOCK)?;
        std::os::unix::fs::symlink(&name, &self.device)
            .with_context(|| self.device.display().to_string())?;
        self.port = Some(File::from(port));
        Ok(())
    }

    /// Carries what has come, both ways.
    pub fn turn(&mut self, board: &mut dyn Board) -> Result<()> {
        let now = board.now();
        let mut bytes = [0; 4096];
        loop {
            match board.link().read(&mut bytes) {
                Ok(0) => bail!("the board's line ended"),
                Ok(length) => self.from_panel.put(now, &bytes[..length]),
                Err(why) if why.kind() == ErrorKind::WouldBlock => break,
                Err(why) => return Err(why.into()),
            }
        }
        let mut is_open = false;
        while let Some(port) = &mut self.port {
            match port.read(&mut bytes) {
                Ok(0) => break,
                Ok(length) => self.to_panel.put(now, &bytes[..length]),
                Err(why) if why.kind() == ErrorKind::WouldBlock => {
                    is_open = true;
                    break;
                }
                // EIO: no program has the port open.
                Err(_) => break,
            }
        }
        let arrived = self.from_panel.line.take(now);
        if let Some(port) = &mut self.port
            && is_open
        {
            // A program that does not read in time loses what comes, as on every serial port.
            match port.write_all(&arrived) {
                Err(why) if why.kind() != ErrorKind::WouldBlock => return Err(why.into()),
                _ => {}
            }
        }
        let arrived = self.to_panel.line.take(now);
        board.link().write_all(&arrived)?;
        Ok(())
    }
}
