//! A real board on a serial port.
//!
//! Without a fixture nothing sees its lamps or moves its pins, so scenarios that need these are
//! skipped. A shell command may reset it, by a debug probe for example.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::board::{Board, Link, Need, Pin, Seen, Sensor};
use crate::cable::Cable;
use crate::elf::Elf;

/// The line's speed; a board's own USB port takes any.
const BAUD: u32 = 921_600;

/// The real board.
pub struct Real {
    cable: Cable<File>,
    /// What resets it.
    reset: Option<String>,
    begin: Instant,
}

impl Real {
    /// The board at the port `PLUMBLINE_PANEL_PORT`, which the shell command
    /// `PLUMBLINE_PANEL_RESET` resets, if there is one.
    ///
    /// # Errors
    /// No port is named, or it cannot be opened.
    pub fn from_environment() -> Result<Self> {
        let port = std::env::var_os("PLUMBLINE_PANEL_PORT").context(
            "say at which port the board is: PLUMBLINE_PANEL_PORT=/dev/ttyACM0, for example",
        )?;
        Self::at(port.into(), std::env::var("PLUMBLINE_PANEL_RESET").ok())
    }

    /// The board at a port, and the shell command that resets it.
    ///
    /// # Errors
    /// The port cannot be opened.
    pub fn at(port: PathBuf, reset: Option<String>) -> Result<Self> {
        let port = File::options()
            .read(true)
            .write(true)
            .open(&port)
            .with_context(|| port.display().to_string())?;
        let mut attributes = tcgetattr(&port)?;
        attributes.make_raw();
        attributes.set_speed(BAUD)?;
        tcsetattr(&port, OptionalActions::Now, &attributes)?;
        rustix::fs::fcntl_setfl(&port, OFlags::RDWR | OFlags::NONBLOCK)?;
        Ok(Self {
            cable: Cable::new(Some(port)),
            reset,
            begin: Instant::now(),
        })
    }
}

impl Board for Real {
    fn name(&self) -> &'static str {
        "real"
    }

    fn can(&self, need: Need) -> bool {
        match need {
            Need::Reset => self.reset.is_some(),
            Need::Lamps
            | Need::Pins
            | Need::Sensors
            | Need::PowerCut
            | Need::Hang
            | Need::Logs
            | Need::Memory => false,
        }
    }

    fn start(&mut self) -> Result<()> {
        // It has power. What it said before is not for this scenario.
        self.cable.plug();
        Ok(())
    }

    fn cut_power(&mut self) -> Result<()> {
        bail!("nothing here switches the board's power")
    }

    fn reset(&mut self) -> Result<()> {
        let command = self.reset.as_ref().context("nothing resets the board")?;
        let status = Command::new("sh").arg("-c").arg(command).status()?;
        ensure!(status.success(), "{command}: {status}");
        Ok(())
    }

    fn link(&mut self) -> &mut dyn Link {
        &mut self.cable
    }

    fn unplug(&mut self) {
        self.cable.unplug();
    }

    fn plug(&mut self) {
        self.cable.plug();
    }

    fn set_pin(&mut self, _: Pin, _: bool) -> Result<()> {
        bail!("nothing here moves the board's pins")
    }

    fn set_sensor(&mut self, _: Sensor, _: Option<i32>) -> Result<()> {
        bail!("nothing here sets what the board measures")
    }

    fn seen(&mut self) -> Result<Seen> {
        // For the story of a failure; no scenario that looks at lamps is played.
        Ok(Seen::default())
    }

    fn changes(&mut self, _: Duration) -> Result<Vec<(Duration, Seen)>> {
        bail!("nothing here sees the board's lamps")
    }

    fn hang(&mut self) -> Result<()> {
        bail!("nothing here makes the board hang")
    }

    fn stack(&mut self) -> Result<(usize, usize)> {
        bail!("nothing here looks into the board's memory")
    }

    fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    fn pass(&mut self, time: Duration) -> Result<()> {
        std::thread::sleep(time);
        Ok(())
    }

    fn elf(&self) -> Option<&Elf> {
        None
    }
}
