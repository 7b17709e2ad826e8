//! The panel and its end of the link to the station.

use plumbline_wire::frame::FRAME;
use plumbline_wire::hello::{Agreement, Identity};
use plumbline_wire::link::{Link, News, Timing};
use plumbline_wire::panel::ToPanel;

use crate::panel::{Output, Panel};
use crate::time::Micros;

/// Something about the link that is worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkNews {
    /// A session with this station has begun.
    Opened(Identity),
    /// The station speaks other messages.
    Refused(Identity, Agreement),
    /// A message of this many bytes came that is none of ours.
    Foreign(usize),
}

/// The panel, joined to the link.
#[derive(Clone, Debug)]
pub struct LinkedPanel {
    /// The panel.
    pub panel: Panel,
    link: Link<4, 4>,
}

impl LinkedPanel {
    /// Joins a panel to a new end of the link, which introduces itself as `me`.
    pub fn new(panel: Panel, me: Identity) -> Self {
        Self {
            panel,
            link: Link::new(me, Timing::DEFAULT),
        }
    }

    /// Takes bytes that came from the line. `tell` is called for what happens to the link.
    pub fn receive(&mut self, now: Micros, mut bytes: &[u8], mut tell: impl FnMut(LinkNews)) {
        loop {
            let news = self.link.receive(now, &mut bytes);
            let more = news.is_some();
            match news {
                Some(News::Opened(station)) => {
                    self.panel.opened(now);
                    tell(LinkNews::Opened(station));
                }
                Some(News::Refused(station, why)) => {
                    self.panel.closed();
                    tell(LinkNews::Refused(station, why));
                }
                // The station sends no logs to a panel.
                Some(News::Log { .. }) | None => {}
            }
            while let Some(message) = self.link.message() {
                match postcard::take_from_bytes::<ToPanel>(message) {
                    Ok((message, [])) => self.panel.hear(now, message),
                    _ => tell(LinkNews::Foreign(message.len())),
                }
            }
            if !more && bytes.is_empty() {
                break;
            }
        }
        // Heard just now: not yet silent a moment before the silence after now is over.
        if !self
            .link
            .silent(now + Micros::from(Timing::DEFAULT.silence) - 1)
        {
            self.panel.heard(now);
        }
    }

    /// Lets time pass: says what lamps and buzzer are to do, and gives the link what is to be said.
    /// `lost_bytes` is what the serial port has lost since the start.
    pub fn advance(&mut self, now: Micros, lost_bytes: u32) -> Output {
        self.panel
            .counted(self.link.counts().bad_frames, lost_bytes);
        let output = self.panel.advance(now);
        self.panel.say(|message| self.link.send(message).is_ok());
        output
    }

    /// The next frame for the line, to be asked for while the line has room.
    pub fn transmit<'b>(&mut self, now: Micros, out: &'b mut [u8; FRAME]) -> Option<&'b [u8]> {
        self.link.transmit(now, out)
    }

    /// When [`Self::advance`] and [`Self::transmit`] are to be called at the latest.
    pub fn wake(&mut self) -> Micros {
        self.panel.wake().min(self.link.wake())
    }

    /// Whether [`Self::log`] has room.
    pub fn log_room(&self) -> bool {
        self.link.log_room()
    }

    /// Sends whole defmt frames, and counts `lost` ones that found no room before they came here.
    pub fn log(&mut self, frames: &[u8], lost: u16) {
        if lost > 0 {
            self.link.log_lost(lost);
        }
        self.link.log(frames);
    }
}
