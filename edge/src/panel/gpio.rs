//! A panel on pins of this computer, in place of a board: the same behaviour, run here.

use std::path::PathBuf;
use std::time::Duration;

use embedded_hal::digital::{InputPin, OutputPin, PinState};
use linux_embedded_hal::CdevPin;
use linux_embedded_hal::gpio_cdev::{Chip, LineRequestFlags};
use plumbline_panel_logic::linked::LinkedPanel;
use plumbline_panel_logic::panel::Panel;
use plumbline_wire::frame::FRAME;
use plumbline_wire::hello::Version;
use plumbline_wire::panel::{self, Board, Build, Reset, Settings, SettingsReport};
use uuid::Uuid;

/// The pins' name for other programs of this computer.
const CONSUMER: &str = "plumbline";

/// How often button and exposure input are looked at: contacts bounce for longer.
pub(super) const LOOK: Duration = Duration::from_millis(2);

/// The pins of a panel: a GPIO chip, and the numbers of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins {
    /// The chip's device.
    pub chip: PathBuf,
    /// Lamps: ready, busy, refer, no sign, take again, fault.
    pub lamps: [u32; 6],
    /// The buzzer, which sounds by itself.
    pub buzzer: Option<u32>,
    /// The button, which connects its pin to ground.
    pub button: Option<u32>,
    /// The exposure input.
    pub exposure: Option<u32>,
}

/// A panel on pins.
pub(super) struct PinPanel {
    linked: LinkedPanel,
    lamps: [CdevPin; 6],
    buzzer: Option<CdevPin>,
    button: Option<CdevPin>,
    exposure: Option<CdevPin>,
    exposed: bool,
    exposure_active_low: bool,
}

/// An error of a pin.
#[derive(Debug, thiserror::Error)]
#[error("{what} of {}: {error}", chip.display())]
pub struct PinError {
    what: String,
    chip: PathBuf,
    error: String,
}

impl PinPanel {
    /// Takes the pins. Lamps are dark until the station has spoken.
    pub(super) fn open(pins: &Pins, settings: Settings) -> Result<Self, PinError> {
        let failed = |what: String, error: &dyn ToString| PinError {
            what,
            chip: pins.chip.clone(),
            error: error.to_string(),
        };
        let mut chip = Chip::new(&pins.chip).map_err(|error| failed("chip".into(), &error))?;
        let mut take = |line: u32, output: bool| {
            let flags = match output {
                true => LineRequestFlags::OUTPUT,
                false => LineRequestFlags::INPUT,
            };
            let handle = chip
                .get_line(line)
                .and_then(|line| line.request(flags, 0, CONSUMER));
            handle
                .map_err(|error| error.to_string())
                .and_then(|handle| CdevPin::new(handle).map_err(|error| error.to_string()))
                .map_err(|error| failed(format!("line {line}"), &error))
        };
        let [a, b, c, d, e, f] = pins.lamps.map(|line| take(line, true));
        let boot = Uuid::new_v4().as_u64_pair().0;
        let build = Build {
            board: Board::Computer,
            id: [0; 20],
        };
        // The station's own configuration keeps them.
        let report = SettingsReport {
            settings,
            kept: true,
        };
        let version = Version::of(env!("CARGO_PKG_VERSION"));
        Ok(Self {
            linked: LinkedPanel::new(
                Panel::new(boot, Reset::Program, build, report),
                panel::identity(version, boot),
            ),
            lamps: [a?, b?, c?, d?, e?, f?],
            buzzer: pins.buzzer.map(|line| take(line, true)).transpose()?,
            button: pins.button.map(|line| take(line, false)).transpose()?,
            exposure: pins.exposure.map(|line| take(line, false)).transpose()?,
            exposed: false,
            exposure_active_low: settings.exposure_active_low,
        })
    }

    /// Takes what the station says, looks at the inputs and sets lamps and buzzer; `said` gets what
    /// the panel says.
    pub(super) fn turn(
        &mut self,
        now: u64,
        heard: &[u8],
        said: &mut Vec<u8>,
    ) -> Result<(), linux_embedded_hal::CdevPinError> {
        if let Some(button) = &mut self.button {
            let down = button.is_low()?;
            self.linked.panel.contact(now, down);
        }
        if let Some(exposure) = &mut self.exposure {
            let active = exposure.is_low()? == self.exposure_active_low;
            if active && !self.exposed {
                self.linked.panel.exposed(now);
            }
            self.exposed = active;
        }
        self.linked.receive(now, heard, |_| {});
        if let Some(settings) = self.linked.panel.keep() {
            self.linked.panel.kept(settings, true);
        }
        let output = self.linked.advance(now, 0);
        // Lamps go dark before others light up, so that no moment shows both what was and what is.
        for lit in [false, true] {
            for (index, lamp) in self.lamps.iter_mut().enumerate() {
                if (output.lamps.0 >> index & 1 == 1) == lit {
                    lamp.set_state(PinState::from(lit))?;
                }
            }
        }
        if let Some(buzzer) = &mut self.buzzer {
            buzzer.set_state(PinState::from(output.volume > 0))?;
        }
        let mut frame = [0; FRAME];
        while let Some(bytes) = self.linked.transmit(now, &mut frame) {
            said.extend_from_slice(bytes);
        }
        Ok(())
    }
}

impl Drop for PinPanel {
    /// No lamp may go on telling what nobody watches over.
    fn drop(&mut self) {
        for pin in self.lamps.iter_mut().chain(&mut self.buzzer) {
            pin.set_low().ok();
        }
    }
}
