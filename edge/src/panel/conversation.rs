//! What is said between station and panel board on a link, without port and store.

use std::mem;

use plumbline_wire::frame::FRAME;
use plumbline_wire::hello::{Agreement, Identity, Version};
use plumbline_wire::link::{Link, News, Timing};
use plumbline_wire::message::read;
use plumbline_wire::panel::{
    Build, Event, EventId, FromPanel, Measures, Question, Settings, Show, ToPanel, identity,
};

use super::board_clock::BoardClock;
use crate::logs::PanelFrames;

/// The most events that wait for the board's clock to be known; the board keeps the others.
const MOST_WAITING: usize = 16;

/// The most pieces of its log that wait for the board to tell which program it runs.
const MOST_LOGS: usize = 64;

/// How often the board is asked what it measures, in microseconds.
const MEASURES: u64 = 30_000_000;

/// One side of a conversation with a board. Times are microseconds of the station's clock.
pub(super) struct Conversation {
    link: Link<16, 16>,
    clock: BoardClock,
    show: Show,
    /// What the board was told to show in this session.
    told: Option<Show>,
    settings: Settings,
    /// What is still to be said in this session, beside what is shown.
    to_say: Vec<ToPanel>,
    waiting: Vec<Event>,
    /// Frames of the log, and how many pieces before them are missing.
    logs: Vec<(Vec<u8>, u16)>,
    measured: u64,
    board: Option<Board>,
}

/// The board at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Board {
    /// Its program and this start of it.
    pub identity: Identity,
    /// Its program's build, once it has told.
    pub build: Option<Build>,
    /// What it last measured, once it has told.
    pub measures: Option<Measures>,
}

/// What is to be known of what came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A session has begun.
    Opened(Identity),
    /// The board speaks other messages.
    Refused(Identity, Agreement),
    /// Something happened at the board, at this time of the station's clock. It is told again until
    /// it is acknowledged.
    Event(Event, u64),
    /// Whole defmt frames of the board, once it has told its program's build id.
    Log(PanelFrames),
}

impl Conversation {
    /// Begins a conversation, of a program whose start has the number `boot`.
    pub(super) fn new(settings: Settings, show: Show, boot: u64) -> Self {
        let version = Version::of(env!("CARGO_PKG_VERSION"));
        Self {
            link: Link::new(identity(version, boot), Timing::DEFAULT),
            clock: BoardClock::default(),
            show,
            told: None,
            settings,
            to_say: Vec::new(),
            waiting: Vec::new(),
            logs: Vec::new(),
            measured: 0,
            board: None,
        }
    }

    /// Takes bytes that came from the line.
    pub(super) fn receive(&mut self, now: u64, mut bytes: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        while let Some(news) = self.link.receive(now, &mut bytes) {
            match news {
                News::Opened(board) => {
                    heard.extend(self.known_logs());
                    heard.push(Heard::Opened(board));
                    self.begin(board);
                }
                News::Refused(board, agreement) => {
                    heard.push(Heard::Refused(board, agreement));
                    self.board = None;
                }
                News::Log { frames, missing } => {
                    self.logs.push((frames.to_vec(), missing));
                    if self.logs.len() > MOST_LOGS {
                        let (_, missing) = self.logs.remove(0);
                        self.logs[0].1 = self.logs[0].1.saturating_add(missing).saturating_add(1);
                    }
                }
            }
        }
        while let Some(message) = self.link.message().map(read) {
            match message {
                // One that cannot be read is of no use a second time either.
                None => {}
                Some(FromPanel::Event(event)) if self.waiting.len() < MOST_WAITING => {
                    self.waiting.push(event);
                }
                Some(FromPanel::Event(_)) => {}
                Some(FromPanel::Measures(measures)) => {
                    if let Some(board) = &mut self.board {
                        board.measures = Some(measures);
                    }
                }
                Some(FromPanel::Settings(report)) if report.settings != self.settings => {
                    self.to_say.push(ToPanel::Keep(self.settings));
                }
                Some(FromPanel::Settings(_)) => {}
                Some(FromPanel::Build(build)) => {
                    if let Some(board) = &mut self.board {
                        board.build = Some(build);
                    }
                }
                Some(FromPanel::Time(time)) => self.clock.answered(now, time.token, time.at),
            }
        }
        heard.extend(self.known_logs());
        for event in mem::take(&mut self.waiting) {
            match self.clock.station_time(event.at) {
                Some(at) => heard.push(Heard::Event(event, at)),
                None => self.waiting.push(event),
            }
        }
        heard
    }

    /// Takes the logs that wait, if the board has told which program it runs.
    fn known_logs(&mut self) -> Vec<Heard> {
        let Some(Board {
            identity,
            build: Some(build),
            ..
        }) = self.board
        else {
            return Vec::new();
        };
        let logs = self.logs.drain(..).map(|(frames, missing)| {
            Heard::Log(PanelFrames {
                build: build.id,
                boot: identity.boot,
                missing,
                frames,
            })
        });
        logs.collect()
    }

    fn begin(&mut self, identity: Identity) {
        self.clock = BoardClock::default();
        self.told = None;
        self.waiting.clear();
        self.logs.clear();
        self.measured = 0;
        self.to_say = vec![
            ToPanel::Ask(Question::Build),
            ToPanel::Ask(Question::Settings),
        ];
        self.board = Some(Board {
            identity,
            build: None,
            measures: None,
        });
    }

    /// Has the board show this from now on.
    pub(super) fn show(&mut self, show: Show) {
        self.show = show;
    }

    /// Tells the board that an event was kept.
    pub(super) fn acknowledge(&mut self, event: EventId) {
        self.to_say.push(ToPanel::Acknowledge(event));
    }

    /// Returns the bytes that go to the line next; call it until it returns none.
    pub(super) fn transmit<'b>(&mut self, now: u64, out: &'b mut [u8; FRAME]) -> Option<&'b [u8]> {
        self.say(now);
        self.link.transmit(now, out)
    }

    /// Gives the link what is to be said, as far as it has room.
    fn say(&mut self, now: u64) {
        if self.link.room() == 0 {
            return;
        }
        // A question for the time is worth most if it goes at once.
        if let Some(token) = self.clock.ask(now) {
            self.link.send(&ToPanel::Ask(Question::Time { token })).ok();
        }
        if self.told != Some(self.show) && self.link.send(&ToPanel::Show(self.show)).is_ok() {
            self.told = Some(self.show);
        }
        if self.measured <= now {
            self.to_say.push(ToPanel::Ask(Question::Measures));
            self.measured = now + MEASURES;
        }
        let said = (self.to_say.iter()).take_while(|message| self.link.send(message).is_ok());
        let said = said.count();
        self.to_say.drain(..said);
    }

    /// When [`Conversation::transmit`] has something to send, if nothing comes before.
    pub(super) fn wake(&self) -> u64 {
        self.link.wake()
    }

    /// The board, while it is heard.
    pub(super) fn board(&self, now: u64) -> Option<Board> {
        self.board.filter(|_| !self.link.silent(now))
    }
}

#[cfg(test)]
mod tests {
    use plumbline_wire::outbox::Outbox;
    use plumbline_wire::panel::{
        Activity, Board as Kind, Buzzer, Occurrence, Press, SettingsReport, Time, ToPanel,
    };

    use super::*;

    const SHOW: Show = Show {
        activity: Activity::Ready,
        result: None,
        film_missing: false,
        buzzer: Buzzer::Silent,
    };

    /// A board whose clock is 5 s behind the station's.
    struct FakeBoard {
        link: Link<4, 4>,
        outbox: Outbox<8>,
        settings: Settings,
        shows: Option<Show>,
        tells_build: bool,
    }

    const BUILD: Build = Build {
        board: Kind::Pico2,
        id: [9; 20],
    };

    const BEHIND: u64 = 5_000_000;

    impl FakeBoard {
        fn new(boot: u64) -> Self {
            let identity = identity(Version::of("1.2.3"), boot);
            Self {
                link: Link::new(identity, Timing::DEFAULT),
                outbox: Outbox::new(boot),
                settings: Settings::DEFAULT,
                shows: None,
                tells_build: true,
            }
        }

        fn receive(&mut self, now: u64, mut bytes: &[u8]) {
            while let Some(news) = self.link.receive(now, &mut bytes) {
                if let News::Opened(_) = news {
                    self.outbox.say_again();
                }
            }
            while let Some(message) = self.link.message().map(|bytes| read(bytes).unwrap()) {
                let answer = match message {
                    ToPanel::Show(show) => {
                        self.shows = Some(show);
                        continue;
                    }
                    ToPanel::Acknowledge(event) => {
                        self.outbox.acknowledge(event);
                        continue;
                    }
                    ToPanel::Keep(settings) => {
                        self.settings = settings;
                        FromPanel::Settings(SettingsReport {
                            settings,
                            kept: true,
                        })
                    }
                    ToPanel::Ask(Question::Time { token }) => FromPanel::Time(Time {
                        token,
                        at: now - BEHIND,
                    }),
                    ToPanel::Ask(Question::Settings) => FromPanel::Settings(SettingsReport {
                        settings: self.settings,
                        kept: false,
                    }),
                    ToPanel::Ask(Question::Build) if self.tells_build => FromPanel::Build(BUILD),
                    ToPanel::Ask(_) => continue,
                };
                self.link.send(&answer).unwrap();
            }
        }

        fn transmit<'b>(&mut self, now: u64, out: &'b mut [u8; FRAME]) -> Option<&'b [u8]> {
            while let Some(event) = self.outbox.unsaid()
                && self.link.send(&FromPanel::Event(*event)).is_ok()
            {
                self.outbox.said();
            }
            self.link.transmit(now, out)
        }
    }

    /// Lets both talk for a while of `now`, each frame a millisecond on its way.
    fn talk(
        station: &mut Conversation,
        board: &mut FakeBoard,
        now: &mut u64,
        milliseconds: u64,
    ) -> Vec<Heard> {
        let mut heard = Vec::new();
        let mut out = [0; FRAME];
        for _ in 0..milliseconds {
            *now += 1000;
            while let Some(bytes) = station.transmit(*now, &mut out) {
                board.receive(*now, bytes);
            }
            while let Some(bytes) = board.transmit(*now, &mut out) {
                heard.extend(station.receive(*now, bytes));
            }
        }
        heard
    }

    #[test]
    fn states_and_settings_are_told_and_events_heard_until_they_are_kept() {
        let settings = Settings {
            volume: 10,
            ..Settings::DEFAULT
        };
        let mut now = 10_000_000;
        let mut station = Conversation::new(settings, SHOW, 1);
        let mut board = FakeBoard::new(2);
        // It happened before the station was there.
        let id = board
            .outbox
            .push(now - BEHIND - 300, Occurrence::Exposure)
            .unwrap();
        let heard = talk(&mut station, &mut board, &mut now, 300);
        assert_eq!(heard[0], Heard::Opened(identity(Version::of("1.2.3"), 2)));
        let [_, Heard::Event(event, at)] = heard[..] else {
            panic!("{heard:?}");
        };
        assert_eq!(event.id, id);
        assert!(at.abs_diff(10_000_000 - 300) <= 1000, "{at}");
        assert_eq!((board.shows, board.settings), (Some(SHOW), settings));
        assert_eq!(station.board(now).unwrap().identity.boot, 2);

        let busy = Show {
            activity: Activity::Busy,
            ..SHOW
        };
        station.show(busy);
        station.acknowledge(id);
        assert_eq!(talk(&mut station, &mut board, &mut now, 100), []);
        assert_eq!(board.shows, Some(busy));
        assert!(board.outbox.is_empty());

        // A board that starts again gets the state again, and what it says is told again until kept.
        let mut board = FakeBoard::new(3);
        let pressed = Occurrence::Button {
            press: Press::Short,
            film: Some(7),
        };
        board.outbox.push(now - BEHIND, pressed).unwrap();
        for _ in 0..2 {
            let heard = talk(&mut station, &mut board, &mut now, 300);
            assert!(
                matches!(&heard[..], [Heard::Opened(_), Heard::Event(event, _)] if event.what == pressed),
                "{heard:?}"
            );
            assert_eq!(board.shows, Some(busy));
            // The station starts again before it has kept the event.
            station = Conversation::new(settings, busy, now);
        }
        // Nobody hears a board that is gone.
        let mut out = [0; FRAME];
        now += 2_000_000;
        while station.transmit(now, &mut out).is_some() {}
        assert_eq!(station.board(now), None);
    }

    #[test]
    fn logs_wait_until_the_board_tells_its_program() {
        let mut now = 10_000_000;
        let mut station = Conversation::new(Settings::DEFAULT, SHOW, 1);
        let mut board = FakeBoard::new(2);
        board.tells_build = false;
        talk(&mut station, &mut board, &mut now, 300);
        for number in 0..MOST_LOGS as u8 + 3 {
            assert!(board.link.log(&[number]));
            assert_eq!(talk(&mut station, &mut board, &mut now, 20), []);
        }
        board.link.send(&FromPanel::Build(BUILD)).unwrap();
        let heard = talk(&mut station, &mut board, &mut now, 100);
        assert_eq!(heard.len(), MOST_LOGS);
        let log = |missing, number| {
            Heard::Log(PanelFrames {
                build: BUILD.id,
                boot: 2,
                missing,
                frames: vec![number],
            })
        };
        // The oldest three had no room.
        assert_eq!((&heard[0], &heard[1]), (&log(3, 3), &log(0, 4)));
        // From now on they come at once.
        assert!(board.link.log(&[200]));
        let heard = talk(&mut station, &mut board, &mut now, 20);
        assert_eq!(heard, [log(0, 200)]);
    }

    #[test]
    fn a_board_of_other_messages_is_named_once() {
        let mut now = 10_000_000;
        let mut station = Conversation::new(Settings::DEFAULT, SHOW, 1);
        let mut board = FakeBoard::new(2);
        let mut older = identity(Version::of("0.9.0"), 2);
        older.protocol = 0;
        board.link = Link::new(older, Timing::DEFAULT);
        let heard = talk(&mut station, &mut board, &mut now, 2000);
        let refused = Heard::Refused(older, Agreement::OtherIsOlder);
        assert_eq!(heard, [refused]);
        assert_eq!((station.board(now), board.shows), (None, None));
    }
}
