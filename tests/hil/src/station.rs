//! A station with a script in the place of the store: it speaks the link, says what it is told to
//! say, and keeps what it hears.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Result, bail};
use plumbline_wire::frame::FRAME;
use plumbline_wire::hello::{Agreement, Identity, Version};
use plumbline_wire::link::{Counts, Link, News, SendError, Timing};
use plumbline_wire::panel::{self, Event, FromPanel, Show, ToPanel};

use crate::board::Board;
use crate::noise::{Noise, NoisyLine};

/// The station's end.
pub struct Station {
    link: Link<8, 8>,
    to_panel: NoisyLine,
    from_panel: NoisyLine,
    /// What it says in each session.
    show: Option<Show>,
    unsaid: Vec<ToPanel>,
    /// It neither speaks nor listens.
    pub stopped: bool,
    /// The panels with which sessions were opened, in turn.
    pub opened: Vec<Identity>,
    /// The panels that speak other messages.
    pub refused: Vec<(Identity, Agreement)>,
    /// Events, each once, in the order in which they came first.
    pub events: Vec<Event>,
    /// Whatever else was said.
    pub said: Vec<FromPanel>,
    /// Logs, as lines if the board has an ELF file.
    pub logs: Vec<String>,
    /// How many pieces of the logs are missing.
    pub logs_missing: u32,
}

impl Station {
    /// A station of this repository's version; each start has another `boot`.
    pub fn new(boot: u64) -> Self {
        Self::of(panel::identity(
            Version::of(env!("CARGO_PKG_VERSION")),
            boot,
        ))
    }

    /// A station with this identity.
    pub fn of(identity: Identity) -> Self {
        let line = |seed| NoisyLine::new(Noise::default(), identity.boot ^ seed);
        Self {
            link: Link::new(identity, Timing::DEFAULT),
            to_panel: line(1),
            from_panel: line(2),
            show: None,
            unsaid: vec![],
            stopped: false,
            opened: vec![],
            refused: vec![],
            events: vec![],
            said: vec![],
            logs: vec![],
            logs_missing: 0,
        }
    }

    /// Makes the line as bad as this, both ways.
    pub fn noise(&mut self, noise: Noise) {
        self.to_panel.become_as(noise);
        self.from_panel.become_as(noise);
    }

    /// What the panel is to show from now on, in this session and later ones.
    pub fn show(&mut self, show: Show) {
        self.show = Some(show);
        self.say(ToPanel::Show(show));
    }

    /// Says something as soon as the link takes it.
    pub fn say(&mut self, message: ToPanel) {
        self.unsaid.push(message);
    }

    /// What the link has counted.
    pub fn counts(&self) -> Counts {
        self.link.counts()
    }

    /// Speaks and listens, as far as there is something.
    pub fn turn(&mut self, board: &mut dyn Board) -> Result<()> {
        if self.stopped {
            return Ok(());
        }
        let now = board.now();
        let mut bytes = [0; 4096];
        loop {
            match board.link().read(&mut bytes) {
                Ok(0) => bail!("the line ended"),
                Ok(length) => self.from_panel.put(now, &bytes[..length]),
                Err(why) if why.kind() == ErrorKind::WouldBlock => break,
                Err(why) => return Err(why.into()),
            }
        }
        let arrived = self.from_panel.take(now);
        self.receive(board, &arrived)?;
        while let Some(message) = self.unsaid.first() {
            match self.link.send(message) {
                Ok(()) => drop(self.unsaid.remove(0)),
                Err(SendError::Full | SendError::Closed) => break,
                Err(why) => return Err(why.into()),
            }
        }
        let mut frame = [0; FRAME];
        while let Some(frame) = self.link.transmit(micros(now), &mut frame) {
            self.to_panel.put(now, frame);
        }
        let arrived = self.to_panel.take(now);
        board.link().write_all(&arrived)?;
        Ok(())
    }

    fn receive(&mut self, board: &mut dyn Board, mut bytes: &[u8]) -> Result<()> {
        let now = micros(board.now());
        loop {
            let news = self.link.receive(now, &mut bytes);
            let more = news.is_some();
            match news {
                Some(News::Opened(panel)) => {
                    self.opened.push(panel);
                    self.unsaid
                        .retain(|message| !matches!(message, ToPanel::Show(_)));
                    self.unsaid.extend(self.show.map(ToPanel::Show));
                }
                Some(News::Refused(panel, why)) => self.refused.push((panel, why)),
                Some(News::Log { frames, missing }) => {
                    self.logs_missing += u32::from(missing);
                    if let Some(elf) = board.elf() {
                        self.logs.extend(elf.decode(frames)?);
                    }
                }
                None => {}
            }
            while let Some(message) = self.link.message() {
                match postcard::take_from_bytes(message) {
                    Ok((FromPanel::Event(event), [])) => {
                        if !self.events.iter().any(|known| known.id == event.id) {
                            self.events.push(event);
                        }
                        self.unsaid.push(ToPanel::Acknowledge(event.id));
                    }
                    Ok((message, [])) => self.said.push(message),
                    _ => bail!("the panel said what is no message: {message:02x?}"),
                }
            }
            if !more && bytes.is_empty() {
                return Ok(());
            }
        }
    }
}

fn micros(time: Duration) -> u64 {
    time.as_micros() as u64
}
