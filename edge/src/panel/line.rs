//! The thread that serves the panel.

use std::fmt;
use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use plumbline_shared::firmware::Firmware;
use plumbline_shared::manifest::hexadecimal;
use plumbline_wire::frame::FRAME;
use plumbline_wire::hello::{Agreement, Identity};
use plumbline_wire::panel::{Event, Settings};
use uuid::Uuid;

use super::conversation::{Board, Conversation, Heard};
use super::gpio::Pins;
use super::port::Port;
use super::shown::shown;
use crate::clock::since_boot;
use crate::logs::{KeptLog, PanelFrames};
use crate::metrics::Metrics;
use crate::pulse::Pulse;
use crate::store::{PanelDeed, Store};

/// How often a line that cannot be opened is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// How often it is looked at what is to be shown, and whether the station is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// How long there may be no reader before the panel shows a fault: they open their bundle first.
const WITHOUT_READER: Duration = Duration::from_secs(15);

/// Where a panel is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A board on this serial line.
    Board(PathBuf),
    /// Pins of this computer.
    Pins(Pins),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Board(device) => write!(f, "{}", device.display()),
            Self::Pins(pins) => write!(f, "pins of {}", pins.chip.display()),
        }
    }
}

/// The way to a panel.
pub struct PanelLine {
    /// Where it is.
    pub place: Place,
    /// What the board is to keep.
    pub settings: Settings,
    /// How long after an exposure its film counts as missing; none if never.
    pub film_within: Option<Duration>,
    /// The folder of the board's programs, by whose ELF files its log is decoded.
    pub firmware: Option<PathBuf>,
    /// Where what cannot be decoded is kept for hosts; nowhere if there are none.
    pub log: Option<Arc<KeptLog>>,
    /// The memory.
    pub store: Arc<Store>,
    /// The counts.
    pub metrics: Arc<Metrics>,
    /// The board's state, for others.
    pub status: Arc<PanelStatus>,
    /// The sign of life.
    pub pulse: Arc<Pulse>,
}

/// What is known of the panel board.
#[derive(Debug, Default)]
pub struct PanelStatus(Mutex<BoardState>);

/// The panel board's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BoardState {
    /// It is not heard.
    #[default]
    Silent,
    /// It speaks messages of another version.
    OtherMessages(Identity, Agreement),
    /// It is there.
    Connected(Board),
}

impl PanelStatus {
    /// The board's state.
    pub fn get(&self) -> BoardState {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: BoardState) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// The programs that decode a board's log.
struct BoardPrograms {
    firmware: Firmware,
    /// True once it was told that the board's is not there.
    unknown: bool,
}

/// Microseconds since the system's start.
fn now() -> u64 {
    since_boot() as u64 / 1000
}

impl PanelLine {
    /// Serves the board until `stop` is true.
    pub fn run(&self, stop: &AtomicBool) {
        let started = since_boot();
        let mut programs = BoardPrograms {
            firmware: Firmware::new(self.firmware.clone()),
            unknown: false,
        };
        let mut told = None;
        while !stop.load(Ordering::Relaxed) {
            let ended = Port::open(&self.place, self.settings)
                .and_then(|port| self.serve(port, started, stop, &mut programs, &mut told));
            self.status.set(BoardState::Silent);
            self.metrics.panel_connected(false);
            if let Err(error) = ended {
                // Once for each reason: a board may be away for months.
                let why = error.to_string();
                if told.as_ref() != Some(&why) {
                    tracing::warn!(
                        error = why,
                        "the panel's line cannot be used; the station works without it"
                    );
                    told = Some(why);
                }
            }
            let until = Instant::now() + AGAIN;
            while Instant::now() < until && !stop.load(Ordering::Relaxed) {
                self.pulse.beat();
                self.miss_films(started);
                thread::sleep(LOOK);
            }
        }
    }

    /// Serves an open line until it breaks or `stop` is true.
    fn serve(
        &self,
        mut port: Port,
        started: i64,
        stop: &AtomicBool,
        programs: &mut BoardPrograms,
        told: &mut Option<String>,
    ) -> io::Result<()> {
        let mut with_reader = Instant::now();
        let boot = Uuid::new_v4().as_u64_pair().0;
        let show = shown(self.store.panel_state().unwrap_or_default(), false);
        let mut conversation = Conversation::new(self.settings, show, boot);
        let mut looked: Option<Instant> = None;
        let mut buffer = [0; 4096];
        let mut frame = [0; FRAME];
        while !stop.load(Ordering::Relaxed) {
            self.pulse.beat();
            if looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
                looked = Some(Instant::now());
                self.miss_films(started);
                if self.metrics.readers() > 0 {
                    with_reader = Instant::now();
                }
                let cannot_read = with_reader.elapsed() > WITHOUT_READER;
                conversation.show(match (self.store.panel_state(), self.store.has_room()) {
                    (Ok(state), Ok(room)) => shown(state, cannot_read || !room),
                    _ => shown(Default::default(), true),
                });
            }
            let length = port.read(now(), &mut buffer)?;
            for heard in conversation.receive(now(), &buffer[..length]) {
                self.hear(heard, &mut conversation, programs)?;
            }
            match conversation.board(now()) {
                Some(board) => {
                    *told = None;
                    self.status.set(BoardState::Connected(board));
                    self.metrics.panel_connected(true);
                }
                None => {
                    if let BoardState::Connected(_) = self.status.get() {
                        tracing::warn!("the panel is silent; the station works without it");
                        self.status.set(BoardState::Silent);
                    }
                    self.metrics.panel_connected(false);
                }
            }
            port.write(now(), &[])?;
            while port.has_room()
                && let Some(bytes) = conversation.transmit(now(), &mut frame)
            {
                port.write(now(), bytes)?;
            }
            let wake = Duration::from_micros(conversation.wake().saturating_sub(now()));
            port.wait(wake.min(LOOK));
        }
        Ok(())
    }

    fn hear(
        &self,
        heard: Heard,
        conversation: &mut Conversation,
        programs: &mut BoardPrograms,
    ) -> io::Result<()> {
        match heard {
            Heard::Opened(Identity { version, .. }) => {
                tracing::info!(%version, "the panel is there");
            }
            Heard::Refused(board, agreement) => {
                let version = board.version;
                tracing::error!(%version, "the panel speaks other messages: {agreement}");
                self.status.set(BoardState::OtherMessages(board, agreement));
            }
            Heard::Event(event, at) => {
                self.keep(&event, at)?;
                conversation.acknowledge(event.id);
            }
            Heard::Log(log) => self.keep_log(log, programs),
        }
        Ok(())
    }

    /// Tells the board's log with the station's where its program is there, and else keeps it for hosts.
    fn keep_log(&self, log: PanelFrames, BoardPrograms { firmware, unknown }: &mut BoardPrograms) {
        if let Some(lines) = firmware.decode(&log.build, &log.frames) {
            if log.missing > 0 {
                tracing::warn!(
                    missing = log.missing,
                    "pieces of the panel's log are missing"
                );
            }
            for line in lines {
                tracing::info!(line, "the panel says");
            }
            return;
        }
        if let Some(folder) = &self.firmware
            && !mem::replace(unknown, true)
        {
            tracing::warn!(
                program = hexadecimal(&log.build),
                "the panel's log cannot be decoded: its program's ELF file is not in {}",
                folder.display()
            );
        }
        // A log that cannot be kept is no reason to leave the panel.
        if let Some(Err(error)) = self.log.as_ref().map(|kept| kept.keep_panel(log)) {
            tracing::debug!(%error, "the panel's log cannot be kept");
        }
    }

    /// Keeps an event. If it cannot be kept the line is opened again, and the board tells it again.
    fn keep(&self, event: &Event, at: u64) -> io::Result<()> {
        let since_boot = i64::try_from(at.saturating_mul(1000)).unwrap_or(i64::MAX);
        let kept = self.store.keep_panel_event(event, since_boot);
        let deed = kept.map_err(io::Error::other)?;
        if let PanelDeed::Acknowledged(film) = deed {
            tracing::info!(film, "acknowledged at the panel");
        }
        if deed != PanelDeed::Known {
            tracing::debug!(?event, "the panel told of an event");
            self.metrics.panel_event(event.what);
        }
        Ok(())
    }

    /// Notes exposures whose film should have come.
    fn miss_films(&self, started: i64) {
        let Some(within) = self.film_within else {
            return;
        };
        let within = i64::try_from(within.as_nanos()).unwrap_or(i64::MAX);
        match self.store.miss_films(within, started) {
            Ok(0) => {}
            Ok(missing) => tracing::warn!(missing, "the X-ray unit exposed, and no film has come"),
            Err(error) => tracing::error!(%error, "the database cannot be used"),
        }
    }
}
