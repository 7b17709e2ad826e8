//! A panel in this process, in simulated time: its behaviour and its end of the link, without board
//! and firmware. A second takes a few microseconds.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::time::Duration;

use anyhow::{Result, bail};
use embassy_futures::block_on;
use embedded_storage_async::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use plumbline_panel_logic::linked::LinkedPanel;
use plumbline_panel_logic::panel::Panel;
use plumbline_panel_logic::power::Reading;
use plumbline_panel_logic::settings::{Found, Store};
use plumbline_wire::frame::FRAME;
use plumbline_wire::hello::Version;
use plumbline_wire::panel::{self, Build, Reset, Settings, SettingsReport};

use crate::board::{Board, Link, Need, Pin, Seen, Sensor};
use crate::elf::Elf;

/// The simulated board.
pub struct Simulated {
    now: Duration,
    /// What has power, and since when.
    panel: Option<(LinkedPanel, Duration)>,
    line: Line,
    flash: Flash,
    exposure: bool,
    reading: Reading,
    changes: Vec<(Duration, Seen)>,
}

impl Default for Simulated {
    fn default() -> Self {
        Self {
            now: Duration::ZERO,
            panel: None,
            line: Line::default(),
            flash: Flash(vec![0xff; Flash::SIZE]),
            exposure: false,
            reading: Reading::default(),
            changes: vec![],
        }
    }
}

impl Simulated {
    fn begin(&mut self, reset: Reset) -> Result<()> {
        let mut store = self.flash.store();
        let start = block_on(store.count_start());
        let (Ok(start), Ok(found)) = (start, block_on(store.settings())) else {
            bail!("the flash memory makes no sense");
        };
        let settings = match found {
            Found::Settings(settings) => SettingsReport {
                settings,
                kept: true,
            },
            Found::Nothing | Found::Newer => SettingsReport {
                settings: Settings::DEFAULT,
                kept: false,
            },
        };
        // As a board does: its number, which no station has, and the number of the start.
        let boot = 0x51b << 32 | u64::from(start);
        let build = Build {
            board: panel::Board::Computer,
            id: [0; 20],
        };
        let mut panel = Panel::new(boot, reset, build, settings);
        panel.measured(self.reading);
        let me = panel::identity(Version::of(env!("CARGO_PKG_VERSION")), boot);
        self.panel = Some((LinkedPanel::new(panel, me), self.now));
        self.turn()
    }

    /// Lets the panel do what is to be done now, as the firmware's task does.
    fn turn(&mut self) -> Result<()> {
        let Some((linked, start)) = &mut self.panel else {
            return Ok(());
        };
        let now = (self.now - *start).as_micros() as u64;
        let bytes: Vec<u8> = self.line.to_panel.drain(..).collect();
        linked.receive(now, &bytes, |_| {});
        let output = linked.advance(now, 0);
        if let Some(settings) = linked.panel.keep() {
            let kept = block_on(self.flash.store().keep(settings)).is_ok();
            linked.panel.kept(settings, kept);
        }
        let mut frame = [0; FRAME];
        while let Some(frame) = linked.transmit(now, &mut frame) {
            if self.line.plugged {
                self.line.from_panel.extend(frame);
            }
        }
        let seen = Seen {
            lamps: output.lamps,
            buzzer: output.volume > 0,
        };
        // What lasted no time was not seen.
        self.changes.pop_if(|(at, _)| *at == self.now);
        if self.changes.last().is_none_or(|(_, last)| *last != seen) {
            self.changes.push((self.now, seen));
        }
        Ok(())
    }
}

impl Board for Simulated {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn can(&self, need: Need) -> bool {
        match need {
            Need::Lamps | Need::Pins | Need::Sensors | Need::PowerCut | Need::Reset => true,
            Need::Hang | Need::Logs | Need::Memory => false,
        }
    }

    fn start(&mut self) -> Result<()> {
        self.begin(Reset::Power)
    }

    fn cut_power(&mut self) -> Result<()> {
        self.panel = None;
        self.line = Line::default();
        self.changes.push((self.now, Seen::default()));
        Ok(())
    }

    fn reset(&mut self) -> Result<()> {
        self.begin(Reset::Pin)
    }

    fn link(&mut self) -> &mut dyn Link {
        &mut self.line
    }

    fn unplug(&mut self) {
        self.line.plugged = false;
    }

    fn plug(&mut self) {
        self.line.plugged = true;
    }

    fn set_pin(&mut self, pin: Pin, high: bool) -> Result<()> {
        if let Some((linked, start)) = &mut self.panel {
            let at = (self.now - *start).as_micros() as u64;
            let active = high != linked.panel.settings().exposure_active_low;
            match pin {
                Pin::Button => linked.panel.contact(at, !high),
                Pin::Exposure if active && self.exposure != high => linked.panel.exposed(at),
                Pin::Exposure => {}
            }
        }
        if pin == Pin::Exposure {
            self.exposure = high;
        }
        self.turn()
    }

    fn set_sensor(&mut self, sensor: Sensor, value: Option<i32>) -> Result<()> {
        match sensor {
            Sensor::Battery => self.reading.battery = value.map(|value| value as u16),
            Sensor::Temperature => self.reading.temperature = value.map(|value| value as i16),
        }
        if let Some((linked, _)) = &mut self.panel {
            linked.panel.measured(self.reading);
        }
        self.turn()
    }

    fn seen(&mut self) -> Result<Seen> {
        self.turn()?;
        Ok(self
            .changes
            .last()
            .map(|(_, seen)| *seen)
            .unwrap_or_default())
    }

    fn changes(&mut self, since: Duration) -> Result<Vec<(Duration, Seen)>> {
        let later = self.changes.iter().filter(|(at, _)| *at >= since);
        Ok(later.copied().collect())
    }

    fn hang(&mut self) -> Result<()> {
        bail!("there is no program that could hang");
    }

    fn stack(&mut self) -> Result<(usize, usize)> {
        bail!("there is no program with a stack of its own");
    }

    fn now(&self) -> Duration {
        self.now
    }

    fn pass(&mut self, time: Duration) -> Result<()> {
        let end = self.now + time;
        self.turn()?;
        while let Some((linked, start)) = &mut self.panel {
            let wake = start.saturating_add(Duration::from_micros(linked.wake()));
            if wake >= end {
                break;
            }
            // At least a microsecond, in which a real one could do something.
            self.now = wake.max(self.now + Duration::from_micros(1));
            self.turn()?;
        }
        self.now = end;
        self.turn()
    }

    fn elf(&self) -> Option<&Elf> {
        None
    }
}

/// Both directions of the line. The station reads and writes.
struct Line {
    plugged: bool,
    to_panel: VecDeque<u8>,
    from_panel: VecDeque<u8>,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            plugged: true,
            to_panel: VecDeque::new(),
            from_panel: VecDeque::new(),
        }
    }
}

impl Read for Line {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.from_panel.read(bytes)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            length => Ok(length),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.plugged {
            self.to_panel.extend(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Flash memory that keeps what it holds without power.
struct Flash(Vec<u8>);

#[derive(Debug)]
struct Refused;

impl NorFlashError for Refused {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::OutOfBounds
    }
}

impl Flash {
    const SIZE: usize = 32 << 10;

    fn store(&mut self) -> Store<&mut Self> {
        Store::new(self, 0..Self::SIZE as u32)
    }

    fn at(&mut self, offset: u32, length: usize) -> Result<&mut [u8], Refused> {
        let offset = offset as usize;
        self.0.get_mut(offset..offset + length).ok_or(Refused)
    }
}

impl ErrorType for &mut Flash {
    type Error = Refused;
}

impl ReadNorFlash for &mut Flash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Refused> {
        bytes.copy_from_slice(self.at(offset, bytes.len())?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        Flash::SIZE
    }
}

impl NorFlash for &mut Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Refused> {
        self.at(from, (to - from) as usize)?.fill(0xff);
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Refused> {
        for (cell, byte) in self.at(offset, bytes.len())?.iter_mut().zip(bytes) {
            *cell &= byte;
        }
        Ok(())
    }
}
