//! A station and a panel board on a serial line: the station is the program, the line a
//! pseudo-terminal, the board this test.

mod station;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use plumbline_wire::frame::FRAME;
use plumbline_wire::hello::{Identity, Version};
use plumbline_wire::link::{Link, News, Timing};
use plumbline_wire::message::read;
use plumbline_wire::outbox::Outbox;
use plumbline_wire::panel::{
    Activity, Board as Kind, Build, Buzzer, FromPanel, Occurrence, Outcome, Press, Question,
    Settings, SettingsReport, Show, Time, ToPanel, identity,
};
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;
use station::*;

/// The build id of the program in `shared/tests/firmware`.
const BUILD: [u8; 20] = [
    0x0d, 0xe4, 0xc7, 0xa7, 0x34, 0xb5, 0x26, 0xb2, 0x58, 0xa2, 0x5e, 0x03, 0x45, 0x14, 0x05, 0xb3,
    0xe4, 0xe3, 0x13, 0x97,
];

/// A panel board at one end of a pseudo-terminal.
struct Board {
    device: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    shows: Mutex<Option<Show>>,
    settings: Mutex<Option<Settings>>,
    happened: Mutex<Vec<Occurrence>>,
    /// Frames that the board logs, the last one first.
    logs: Mutex<Vec<Vec<u8>>>,
    /// The station has kept all that happened.
    all_kept: AtomicBool,
    unplugged: AtomicBool,
    stop: AtomicBool,
}

impl Board {
    fn start(identity: Identity) -> Self {
        let line = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&line).unwrap();
        unlockpt(&line).unwrap();
        let device = ptsname(&line, Vec::new()).unwrap().into_string().unwrap();
        // Held open: else the line ends whenever the station closes it.
        let other_end = File::options()
            .read(true)
            .write(true)
            .open(&device)
            .unwrap();
        rustix::fs::fcntl_setfl(&line, OFlags::RDWR | OFlags::NONBLOCK).unwrap();
        let shared = Arc::new(Shared::default());
        let thread = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                run(File::from(line), identity, &shared);
                drop(other_end);
            })
        };
        Self {
            device,
            shared,
            thread: Some(thread),
        }
    }

    fn shows(&self) -> Option<Show> {
        *self.shared.shows.lock().unwrap()
    }

    /// Waits until the board is told to show a film's result.
    fn wait_for_result(&self, film: u64) -> Outcome {
        wait_for(|| {
            let result = self.shows()?.result?;
            (result.film == film).then_some(result.outcome)
        })
    }

    fn happens(&self, what: Occurrence) {
        self.shared.happened.lock().unwrap().push(what);
    }

    fn press(&self, film: Option<u64>) {
        let press = Press::Short;
        self.happens(Occurrence::Button { press, film });
    }

    fn unplug(&self, away: bool) {
        self.shared.unplugged.store(away, Ordering::Relaxed);
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().ok();
    }
}

/// Runs a board until it is told to stop.
fn run(mut line: File, identity: Identity, shared: &Shared) {
    let start = Instant::now();
    let mut link = Link::<4, 4>::new(identity, Timing::DEFAULT);
    let mut outbox = Outbox::<8>::new(identity.boot);
    let mut buffer = [0; 4096];
    let mut frame = [0; FRAME];
    while !shared.stop.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(2));
        let now = 7_000_000 + start.elapsed().as_micros() as u64;
        for what in shared.happened.lock().unwrap().drain(..) {
            outbox.push(now, what).unwrap();
        }
        shared.all_kept.store(outbox.is_empty(), Ordering::Relaxed);
        let mut bytes = match line.read(&mut buffer) {
            Ok(length) => &buffer[..length],
            Err(_) => &[],
        };
        if shared.unplugged.load(Ordering::Relaxed) {
            continue;
        }
        while let Some(news) = link.receive(now, &mut bytes) {
            if let News::Opened(_) = news {
                outbox.say_again();
            }
        }
        while let Some(message) = link.message().map(|bytes| read(bytes).unwrap()) {
            let answer = match message {
                ToPanel::Show(show) => {
                    *shared.shows.lock().unwrap() = Some(show);
                    None
                }
                ToPanel::Acknowledge(event) => {
                    outbox.acknowledge(event);
                    None
                }
                ToPanel::Keep(settings) => {
                    *shared.settings.lock().unwrap() = Some(settings);
                    let kept = true;
                    Some(FromPanel::Settings(SettingsReport { settings, kept }))
                }
                ToPanel::Ask(Question::Settings) => {
                    let settings = shared.settings.lock().unwrap();
                    let settings = settings.unwrap_or(Settings::DEFAULT);
                    let kept = false;
                    Some(FromPanel::Settings(SettingsReport { settings, kept }))
                }
                ToPanel::Ask(Question::Time { token }) => {
                    Some(FromPanel::Time(Time { token, at: now }))
                }
                ToPanel::Ask(Question::Build) => Some(FromPanel::Build(Build {
                    board: Kind::An386,
                    id: BUILD,
                })),
                ToPanel::Ask(_) => None,
            };
            if let Some(answer) = answer {
                link.send(&answer).unwrap();
            }
        }
        if let Some(frames) = shared.logs.lock().unwrap().pop() {
            assert!(link.log(&frames));
        }
        while let Some(event) = outbox.unsaid()
            && link.send(&FromPanel::Event(*event)).is_ok()
        {
            outbox.said();
        }
        while let Some(bytes) = link.transmit(now, &mut frame) {
            line.write_all(bytes).ok();
        }
    }
}

fn board() -> Board {
    Board::start(identity(Version::of("1.2.3"), 42))
}

fn settings(board: &Board) -> String {
    format!(
        "[panel]\ndevice = \"{}\"\nfilm_within_seconds = 2\nvolume = 30\n",
        board.device
    )
}

fn health(station: &Station) -> String {
    station
        .request("GET", "/health", false, "text/plain", b"")
        .1
}

#[test]
fn lamps_follow_the_films_and_the_button_acknowledges_results() {
    let board = board();
    let station = Station::start(&settings(&board));
    wait_for(|| board.shows());
    wait_for(|| {
        let settings = (*board.shared.settings.lock().unwrap())?;
        (settings.volume == 30).then_some(())
    });
    let mut sender = Sender::connect(&station).unwrap();
    assert_eq!(sender.store(&Instance::read(&sample("phantom-4.dcm"))), 0);
    let outcome = board.wait_for_result(1);
    let film = &station.settled()[0];
    let expected = match film["reading"]["positive"].as_bool().unwrap() {
        true => Outcome::Refer,
        false => Outcome::NoSign,
    };
    assert_eq!(outcome, expected);
    let show = board.shows().unwrap();
    assert_eq!(
        (show.activity, show.buzzer),
        (Activity::Ready, Buzzer::Notice)
    );

    board.press(Some(1));
    wait_for(|| board.shows().unwrap().result.is_none().then_some(()));
    wait_for(|| board.shared.all_kept.load(Ordering::Relaxed).then_some(()));
    assert_eq!(station.films()[0]["state"], "acknowledged");
    // Presses that come while the station is away are told when it is back.
    let station = Station::start_in(station.stop(), &settings(&board));
    let mut sender = Sender::connect(&station).unwrap();
    assert_eq!(sender.store(&Instance::read(&sample("phantom-5.dcm"))), 0);
    board.wait_for_result(2);
    let folder = station.kill();
    board.press(Some(2));
    let station = Station::start_in(folder, &settings(&board));
    wait_for(|| (station.films()[0]["state"] == "acknowledged").then_some(()));
    let (whole, report) = station.run(&["check"]);
    assert!(whole, "{report}");
    let (_, metrics) = station.request("GET", "/metrics", false, "text/plain", b"");
    for line in [
        "plumbline_panel_connected 1",
        "plumbline_panel_events_total{event=\"button\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[test]
fn an_exposure_without_a_film_is_told_until_somebody_has_seen_it() {
    let board = board();
    let station = Station::start(&settings(&board));
    wait_for(|| board.shows());
    board.happens(Occurrence::Exposure);
    wait_for(|| board.shows().unwrap().film_missing.then_some(()));
    assert_eq!(board.shows().unwrap().buzzer, Buzzer::Alarm);
    let told = "the X-ray unit exposed, and no film has come";
    assert!(health(&station).contains(told), "{}", health(&station));
    board.press(None);
    wait_for(|| (!board.shows().unwrap().film_missing).then_some(()));
    assert!(!health(&station).contains(told));
}

#[test]
fn a_panel_that_is_away_is_told_and_gets_the_state_when_it_is_back() {
    let board = board();
    let station = Station::start(&settings(&board));
    let silent = "the panel is not heard";
    wait_for(|| (!health(&station).contains(silent)).then_some(()));
    board.unplug(true);
    wait_for(|| health(&station).contains(silent).then_some(()));
    let mut sender = Sender::connect(&station).unwrap();
    assert_eq!(sender.store(&Instance::read(&sample("phantom-6.dcm"))), 0);
    assert_eq!(station.settled()[0]["state"], "read");
    board.unplug(false);
    board.wait_for_result(1);
    wait_for(|| (!health(&station).contains(silent)).then_some(()));
}

#[test]
fn a_panel_of_another_version_is_named_and_the_station_works() {
    let mut older = identity(Version::of("0.9.0"), 42);
    older.protocol = 0;
    let board = Board::start(older);
    let station = Station::start(&settings(&board));
    let told =
        "the panel's program 0.9.0 speaks other messages: the other side is older: update it";
    wait_for(|| health(&station).contains(told).then_some(()));
    let (status, uploaded) = {
        let head = "--b\r\nContent-Disposition: form-data; name=\"film\"; filename=\"a\"\r\n\r\n";
        let film = fs::read(sample("phantom-1.png")).unwrap();
        let body = [head.as_bytes(), &film, b"\r\n--b--\r\n"].concat();
        let kind = "multipart/form-data; boundary=b";
        station.request("POST", "/films", true, kind, &body)
    };
    assert_eq!(status, 201, "{uploaded}");
    assert_eq!(station.settled()[0]["state"], json!("read"));
    assert_eq!(board.shows(), None);
}

#[test]
fn the_boards_log_is_told_with_the_stations() {
    let board = board();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/tests/firmware");
    let station = Station::start(&format!("{}firmware = \"{folder}\"\n", settings(&board)));
    board
        .shared
        .logs
        .lock()
        .unwrap()
        .push(vec![1, 0, 0x74, 0x0e, 2, 0]);
    let log = station.path("log");
    for words in ["battery 3700 mV", "the button is stuck"] {
        wait_for(|| {
            fs::read_to_string(&log)
                .unwrap()
                .contains(words)
                .then_some(())
        });
    }
}
