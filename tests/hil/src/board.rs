//! What every panel board under test can be asked to do.

use std::io::{Read, Write};
use std::time::Duration;

use anyhow::Result;
use plumbline_panel_logic::lamps::Lamps;

/// An input pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// The acknowledge button; low while it is pressed.
    Button,
    /// The exposure line.
    Exposure,
}

/// Something that the board measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensor {
    /// The battery's voltage, in millivolts.
    Battery,
    /// The temperature, in tenths of a degree Celsius.
    Temperature,
}

/// What can be seen of a board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The lamps that are lit.
    pub lamps: Lamps,
    /// The buzzer sounds.
    pub buzzer: bool,
}

/// What a scenario needs of a board beside its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Lamps and buzzer can be seen.
    Lamps,
    /// Pins can be set.
    Pins,
    /// Sensors can be given values.
    Sensors,
    /// The power can be cut at any moment, and what was in flash stays there.
    PowerCut,
    /// The board can be reset from outside.
    Reset,
    /// The program can be made to hang.
    Hang,
    /// The program logs by defmt, and its ELF file is there.
    Logs,
    /// The memory can be looked at while the program runs.
    Memory,
}

/// A board's end of the line: reading gives [`std::io::ErrorKind::WouldBlock`] while nothing comes.
pub trait Link: Read + Write {}

impl<T: Read + Write> Link for T {}

/// A panel board under test.
///
/// Times are of the test's clock, [`Board::now`], which begins with the board's first start.
pub trait Board {
    /// What kind of board it is.
    fn name(&self) -> &'static str;

    /// Whether the board can do this. What needs it may fail in any way where it cannot.
    fn can(&self, need: Need) -> bool;

    /// Gives the board power. It must have none.
    fn start(&mut self) -> Result<()>;

    /// Takes the power away, at once.
    fn cut_power(&mut self) -> Result<()>;

    /// Pulls the reset pin.
    fn reset(&mut self) -> Result<()>;

    /// The line. Bytes that the board sent while nobody read wait there.
    fn link(&mut self) -> &mut dyn Link;

    /// Pulls the line's plug: what either side sends is lost.
    fn unplug(&mut self);

    /// Puts the plug back.
    fn plug(&mut self);

    /// Sets a pin. Boards start with the button let go and the exposure line low.
    fn set_pin(&mut self, pin: Pin, high: bool) -> Result<()>;

    /// Gives a sensor a value; none takes it away.
    fn set_sensor(&mut self, sensor: Sensor, value: Option<i32>) -> Result<()>;

    /// Lamps and buzzer now.
    fn seen(&mut self) -> Result<Seen>;

    /// Every change of lamps or buzzer from `since` on, with its time, and what was seen from then on.
    fn changes(&mut self, since: Duration) -> Result<Vec<(Duration, Seen)>>;

    /// Makes the program hang in an endless loop.
    fn hang(&mut self) -> Result<()>;

    /// The most bytes of stack that the program has used since its start, and how many there are.
    fn stack(&mut self) -> Result<(usize, usize)>;

    /// The time.
    fn now(&self) -> Duration;

    /// Lets some time pass.
    fn pass(&mut self, time: Duration) -> Result<()>;

    /// The ELF file of the program that runs, if it is one.
    fn elf(&self) -> Option<&crate::elf::Elf>;
}
