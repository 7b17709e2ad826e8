//! What the station and the panel board say to each other.
//!
//! Whatever the station says is a state, never a toggle: said twice it does no harm, and after every
//! new session it is said again. What happened at the panel is an [`Event`] with a name, its
//! [`EventId`]; the panel says it again in each session until the station has acknowledged it, and
//! the station keeps an event of one name once.

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::hello::{Identity, Version, schema_of};

/// The number of these messages, raised by one with every change of them.
pub const PROTOCOL: u16 = 1;

/// The hash of these messages, which changes with every one of them.
pub const SCHEMA: [u8; 8] = schema_of::<ToPanel, FromPanel>("panel");

/// Returns the identity of a program that speaks these messages; `boot` as in
/// [`Identity::boot`].
pub const fn identity(version: Version, boot: u64) -> Identity {
    Identity {
        protocol: PROTOCOL,
        schema: SCHEMA,
        version,
        boot,
    }
}

/// What the station says to the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum ToPanel {
    /// What the panel shows from now on.
    Show(Show),
    /// The settings that the panel keeps from now on; it answers by [`FromPanel::Settings`].
    Keep(Settings),
    /// The station has kept this event: the panel need not say it again.
    Acknowledge(EventId),
    /// A question.
    Ask(Question),
}

/// What the panel says to the station.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum FromPanel {
    /// Something happened. Said again in each session until it is acknowledged.
    Event(Event),
    /// What the panel measures: from time to time, and when asked.
    Measures(Measures),
    /// The settings that the panel follows: after every [`ToPanel::Keep`], and when asked.
    Settings(SettingsReport),
    /// The panel's program: when asked.
    Build(Build),
    /// The panel's time: when asked.
    Time(Time),
}

/// Questions to the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum Question {
    /// Answered by [`FromPanel::Measures`].
    Measures,
    /// Answered by [`FromPanel::Settings`].
    Settings,
    /// Answered by [`FromPanel::Build`].
    Build,
    /// Answered by [`FromPanel::Time`] with the same token.
    Time {
        /// Any number; it pairs answers with questions.
        token: u32,
    },
}

/// What the panel shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Show {
    /// What the station does.
    pub activity: Activity,
    /// The newest result that nobody has acknowledged.
    pub result: Option<FilmResult>,
    /// An exposure was seen whose film has not come.
    pub film_missing: bool,
    /// What the buzzer does.
    pub buzzer: Buzzer,
}

/// What the station does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum Activity {
    /// It waits for a film.
    Ready,
    /// It reads a film.
    Busy,
    /// It cannot read films. Wins over everything else that is shown.
    Fault,
}

/// A film's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct FilmResult {
    /// The film's number on the station.
    pub film: u64,
    /// Its result.
    pub outcome: Outcome,
}

/// Results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum Outcome {
    /// A specialist should look.
    Refer,
    /// No sign of scoliosis.
    NoSign,
    /// The film should be taken again.
    TakeAgain,
}

/// What the buzzer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum Buzzer {
    /// Nothing.
    Silent,
    /// One short sound for each result: when [`Show::result`] names a film it did not name before.
    Notice,
    /// Sounds again and again until told otherwise.
    Alarm,
}

/// The settings that the panel keeps over power cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Settings {
    /// Brightness of the lamps, percent; more than 100 is taken as 100.
    pub brightness: u8,
    /// Volume of the buzzer, percent; more than 100 is taken as 100.
    pub volume: u8,
    /// The time after which a press of the button is a long one, in milliseconds.
    pub long_press: u16,
    /// The time that the button must keep its level to be believed, in milliseconds.
    pub debounce: u8,
    /// The exposure input is low while the X-ray unit exposes.
    pub exposure_active_low: bool,
}

impl Settings {
    /// What a panel follows to which nobody has said anything else.
    pub const DEFAULT: Self = Self {
        brightness: 100,
        volume: 50,
        long_press: 2000,
        debounce: 20,
        exposure_active_low: false,
    };
}

/// The settings that the panel follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct SettingsReport {
    /// The settings.
    pub settings: Settings,
    /// They are in the flash memory; else they are lost with the power.
    pub kept: bool,
}

/// The name of an event, of which no other event has the same.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Schema,
)]
pub struct EventId {
    /// The start of the panel in which it happened: [`Identity::boot`] of the panel.
    pub boot: u64,
    /// 0 for the first event after a start, then one more each.
    pub number: u32,
}

/// Something that happened at the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Event {
    /// Its name.
    pub id: EventId,
    /// When it happened, in microseconds of the panel's clock, which begins at each of its starts.
    pub at: u64,
    /// What happened.
    pub what: Occurrence,
}

/// What can happen at the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum Occurrence {
    /// The panel started.
    Started(Reset),
    /// Somebody pressed the button, at [`Event::at`].
    Button {
        /// How long it was held down.
        press: Press,
        /// The film whose result the panel showed at that moment: a result that comes while the
        /// button goes down is not acknowledged by it.
        film: Option<u64>,
    },
    /// The X-ray unit exposed, from [`Event::at`] on.
    Exposure,
}

/// How long the button was held down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum Press {
    /// Less than [`Settings::long_press`]: acknowledges the result that is shown.
    Short,
    /// Longer: tests the lamps, which the panel does by itself.
    Long,
}

/// Why the panel started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum Reset {
    /// It got power.
    Power,
    /// The reset pin, or a debugger.
    Pin,
    /// The watchdog: the program had stopped.
    Watchdog,
    /// The program itself.
    Program,
    /// The board does not tell.
    Unknown,
}

/// What the panel measures and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Measures {
    /// When, in microseconds of the panel's clock.
    pub at: u64,
    /// The battery's voltage in millivolts, if there is one.
    pub battery: Option<u16>,
    /// The temperature in tenths of a degree Celsius, if it is measured.
    pub temperature: Option<i16>,
    /// Frames that came damaged since the start.
    pub bad_frames: u32,
    /// Bytes that the serial port lost since the start because nobody took them in time.
    pub lost_bytes: u32,
    /// Events that found no room since the start.
    pub lost_events: u32,
}

/// The panel's program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Build {
    /// The kind of board.
    pub board: Board,
    /// The build id that the linker wrote (`--build-id=sha1`), by which the ELF file is found that
    /// decodes its logs.
    pub id: [u8; 20],
}

/// Kinds of boards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum Board {
    /// Arm's mps2-an386, as QEMU emulates it.
    An386,
    /// Raspberry Pi Pico 2.
    Pico2,
    /// A program on a computer in a panel's place.
    Computer,
}

/// The panel's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Time {
    /// The token of the question.
    pub token: u32,
    /// Microseconds of the panel's clock when it took the question from the link.
    pub at: u64,
}
