//! The firmware on an emulated board: QEMU's mps2-an386, in real time.
//!
//! What stands for what is described at the firmware's board support, `edge/firmware/src/board/an386`.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use plumbline_panel_logic::lamps::Lamps;
use serde_json::json;
use tempfile::TempDir;

use crate::board::{Board, Link, Need, Pin, Seen, Sensor};
use crate::elf::Elf;
use crate::qemu::Qemu;

/// SCC's register of its LEDs.
const LEDS: u64 = 0x4002_f004;
/// Places in PSRAM.
const PINS: u64 = 0;
const BATTERY: u64 = 4;
const SEEN_PINS: u64 = 8;
/// The program must look at its pins within this time, on however busy a computer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where the vector table has the handler of interrupt 8, timer 0.
const ALARM_VECTOR: u64 = 4 * (16 + 8);
/// What fills the stack at the start.
const PAINT: u8 = 0xcc;

/// The emulated board.
pub struct Emulated {
    program: PathBuf,
    elf: Elf,
    folder: TempDir,
    psram: File,
    pins: u32,
    temperature: i32,
    cable: Cable,
    begin: (Instant, SystemTime),
    steps: bool,
    /// Changes in runs of QEMU that have ended.
    past: Vec<(Duration, Seen)>,
}

impl Emulated {
    /// A board without power that will run this program.
    ///
    /// # Errors
    /// The file is no firmware, or the temporary folder cannot be written.
    pub fn new(program: &Path) -> Result<Self> {
        let elf = Elf::read(program)?;
        let folder = TempDir::new()?;
        let path = folder.path().join("psram");
        // Erased flash memory is ones.
        fs::write(&path, [vec![0; 8 << 20], vec![0xff; 8 << 20]].concat())?;
        let psram = File::options().read(true).write(true).open(path)?;
        let mut board = Self {
            program: program.to_owned(),
            elf,
            folder,
            psram,
            pins: 0,
            temperature: 25_000,
            cable: Cable {
                qemu: None,
                plugged: true,
            },
            begin: (Instant::now(), SystemTime::now()),
            steps: false,
            past: vec![],
        };
        board.set_pin(Pin::Button, true)?;
        Ok(board)
    }

    /// Has QEMU log each instruction from the next start on, into the file that is returned, beside
    /// what it logs of the lamps.
    pub fn log_steps(&mut self) -> PathBuf {
        self.steps = true;
        self.folder.path().join("trace")
    }

    fn qemu(&mut self) -> Result<&mut Qemu> {
        self.cable.qemu.as_mut().context("the board has no power")
    }

    fn changes_now(&self) -> Result<Vec<(Duration, Seen)>> {
        let Some(qemu) = &self.cable.qemu else {
            return Ok(vec![]);
        };
        let epoch = self.begin.1.duration_since(SystemTime::UNIX_EPOCH)?;
        let leds = qemu.leds()?;
        Ok(leds
            .into_iter()
            .map(|(at, leds)| (at.saturating_sub(epoch), seen(leds)))
            .collect())
    }
}

fn seen(leds: u8) -> Seen {
    Seen {
        lamps: Lamps(leds & Lamps::ALL.0),
        buzzer: leds & 1 << 6 != 0,
    }
}

impl Board for Emulated {
    fn name(&self) -> &'static str {
        "emulated"
    }

    fn can(&self, _: Need) -> bool {
        true
    }

    fn start(&mut self) -> Result<()> {
        let psram = self.folder.path().join("psram");
        self.cable.qemu = Some(Qemu::start(
            &self.program,
            &psram,
            self.folder.path(),
            self.steps,
        )?);
        self.set_temperature()
    }

    fn cut_power(&mut self) -> Result<()> {
        let mut changes = self.changes_now()?;
        changes.push((self.now(), Seen::default()));
        self.past.extend(changes);
        match self.cable.qemu.take() {
            Some(qemu) => qemu.kill(),
            None => bail!("the board has no power"),
        }
    }

    fn reset(&mut self) -> Result<()> {
        self.qemu()?.qmp("system_reset", json!({}))?;
        self.set_temperature()
    }

    fn link(&mut self) -> &mut dyn Link {
        &mut self.cable
    }

    fn unplug(&mut self) {
        self.cable.plugged = false;
    }

    fn plug(&mut self) {
        self.cable.drain();
        self.cable.plugged = true;
    }

    fn set_pin(&mut self, pin: Pin, high: bool) -> Result<()> {
        let mask = match pin {
            Pin::Button => 1,
            Pin::Exposure => 2,
        };
        match high {
            true => self.pins |= mask,
            false => self.pins &= !mask,
        }
        self.psram.write_all_at(&self.pins.to_le_bytes(), PINS)?;
        let Some(qemu) = &mut self.cable.qemu else {
            return Ok(());
        };
        for level in [1, 0] {
            qemu.qtest(&format!(
                "set_irq_in /machine/armv7m unnamed-gpio-in 16 {level}"
            ))?;
        }
        let begin = Instant::now();
        let mut seen = [0; 4];
        self.psram.read_exact_at(&mut seen, SEEN_PINS)?;
        while u32::from_le_bytes(seen) != self.pins {
            ensure!(
                begin.elapsed() < PATIENCE,
                "the program does not look at its pins"
            );
            std::thread::sleep(Duration::from_micros(200));
            self.psram.read_exact_at(&mut seen, SEEN_PINS)?;
        }
        Ok(())
    }

    fn set_sensor(&mut self, sensor: Sensor, value: Option<i32>) -> Result<()> {
        match sensor {
            Sensor::Battery => {
                // 12 bits of 3.3 V, behind a divider by two. Rounded up: the board rounds down.
                let millivolts = value.unwrap_or(0) as u32;
                let raw = (millivolts * 4096).div_ceil(2 * 3300);
                self.psram.write_all_at(&raw.to_le_bytes(), BATTERY)?;
                Ok(())
            }
            Sensor::Temperature => {
                let decidegrees = value.context("QEMU's thermometer cannot be taken away")?;
                self.temperature = decidegrees * 100;
                self.set_temperature()
            }
        }
    }

    fn seen(&mut self) -> Result<Seen> {
        Ok(seen(self.qemu()?.word(LEDS)? as u8))
    }

    fn changes(&mut self, since: Duration) -> Result<Vec<(Duration, Seen)>> {
        let now = self.changes_now()?;
        let all = self.past.iter().copied().chain(now);
        Ok(all.filter(|(at, _)| *at >= since).collect())
    }

    fn hang(&mut self) -> Result<()> {
        // A jump to itself in the handler of the clock's alarm, which the vector table names.
        const HANG: u32 = 0xe7fe;
        let qemu = self.qemu()?;
        let handler = qemu.word(ALARM_VECTOR)? & !1;
        qemu.qtest(&format!("writew {handler:#x} {HANG:#x}"))?;
        Ok(())
    }

    fn stack(&mut self) -> Result<(usize, usize)> {
        let (end, start) = (
            self.elf.address("_stack_end")?,
            self.elf.address("_stack_start")?,
        );
        let stack = self.qemu()?.memory(end, start - end)?;
        let untouched = stack.iter().take_while(|byte| **byte == PAINT).count();
        Ok((stack.len() - untouched, stack.len()))
    }

    fn now(&self) -> Duration {
        self.begin.0.elapsed()
    }

    fn pass(&mut self, time: Duration) -> Result<()> {
        std::thread::sleep(time);
        Ok(())
    }

    fn elf(&self) -> Option<&Elf> {
        Some(&self.elf)
    }
}

impl Emulated {
    fn set_temperature(&mut self) -> Result<()> {
        let arguments = json!({
            "path": "/machine/peripheral/thermometer",
            "property": "temperature",
            "value": self.temperature,
        });
        if let Some(qemu) = &mut self.cable.qemu {
            qemu.qmp("qom-set", arguments)?;
        }
        Ok(())
    }
}

/// The cable between the station and QEMU's serial line.
struct Cable {
    qemu: Option<Qemu>,
    plugged: bool,
}

impl Cable {
    /// Loses what has come.
    fn drain(&mut self) {
        let mut bytes = [0; 4096];
        if let Some(qemu) = &mut self.qemu {
            while qemu.line.read(&mut bytes).is_ok_and(|length| length > 0) {}
        }
    }
}

impl Read for Cable {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if !self.plugged {
            self.drain();
        }
        match &mut self.qemu {
            Some(qemu) if self.plugged => qemu.line.read(bytes),
            _ => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Cable {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.qemu {
            Some(qemu) if self.plugged => qemu.line.write(bytes),
            _ => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
