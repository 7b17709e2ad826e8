//! The examples of `shared/WIRE.md` are what this crate writes, and it reads them.

use std::collections::BTreeMap;
use std::fmt::Debug;

use plumbline_wire::frame::{self, FRAME, Frame, Frames, Header, Kind, session_half, session_name};
use plumbline_wire::hello::{Hello, Version};
use plumbline_wire::host::{FromStation, LogEntry, ToStation};
use plumbline_wire::message::read;
use plumbline_wire::object::{Chunk, Have, Object};
use plumbline_wire::panel::{
    Activity, Board, Build, Buzzer, Event, EventId, FilmResult, FromPanel, Measures, Occurrence,
    Outcome, Press, Question, Reset, Settings, SettingsReport, Show, Time, ToPanel,
};
use plumbline_wire::{host, panel, stream};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const DOCUMENT: &str = include_str!("../../WIRE.md");

/// The boot ids of the examples.
const STATION: u64 = 0x0123_4567_89ab_cdef;
const PANEL: u64 = 0x2c00_0000_0000_0007;

/// The examples of the document by their names: `#### Example: NAME`, and hexadecimal bytes in a
/// block behind it, in which `#` begins a remark.
fn documented() -> BTreeMap<String, Vec<u8>> {
    let mut examples = BTreeMap::new();
    for part in DOCUMENT.split("#### Example: ").skip(1) {
        let (name, rest) = part.split_once('\n').expect("a name");
        let block = rest.split("```").nth(1).expect("a block");
        let block = block.strip_prefix("hex\n").expect("a block of hex");
        let bytes = block
            .lines()
            .flat_map(|line| {
                line.split('#')
                    .next()
                    .unwrap_or_default()
                    .split_whitespace()
            })
            .map(|byte| u8::from_str_radix(byte, 16).unwrap_or_else(|_| panic!("{name}: {byte}")));
        let before = examples.insert(name.trim().to_owned(), bytes.collect());
        assert!(before.is_none(), "two examples {name}");
    }
    examples
}

fn hello_frame(hello: Hello) -> Vec<u8> {
    let mut out = [0; FRAME];
    let bytes = frame::write_hello(&hello, &mut out).to_vec();
    let mut frames = Frames::new();
    assert_eq!(frames.next(&mut &bytes[..]), Some(Frame::Hello(hello)));
    bytes
}

fn body_frame(header: Header, body: &[u8]) -> Vec<u8> {
    let mut out = [0; FRAME];
    let bytes = frame::write(&header, body, &mut out).to_vec();
    let mut frames = Frames::new();
    assert_eq!(
        frames.next(&mut &bytes[..]),
        Some(Frame::Body(header, body))
    );
    bytes
}

/// A frame before its encoding by COBS.
fn plain(frame: &[u8]) -> Vec<u8> {
    let mut out = [0; FRAME];
    let (end, encoded) = frame.split_last().expect("an end");
    assert_eq!(*end, 0);
    let report = cobs::decode(encoded, &mut out).expect("a whole frame");
    out[..report.frame_size()].to_vec()
}

/// A message as the body of a frame.
fn body<T: Serialize + for<'a> Deserialize<'a> + PartialEq + Debug>(message: T) -> Vec<u8> {
    let mut out = [0; frame::BODY];
    let bytes = postcard::to_slice(&message, &mut out)
        .expect("room")
        .to_vec();
    assert_eq!(read(&bytes), Some(message));
    bytes
}

/// A message on a stream.
fn on_stream(message: impl Serialize) -> Vec<u8> {
    let mut out = [0; 500];
    stream::write(&message, &mut out).expect("room").to_vec()
}

/// The same examples as the crate writes them.
fn written() -> BTreeMap<String, Vec<u8>> {
    let version = Version::of("1.4.0");
    let (panel, station) = (
        panel::identity(version, PANEL),
        panel::identity(version, STATION),
    );
    let (panel_half, station_half) = (session_half(PANEL, 0), session_half(STATION, 0));
    let first = Hello {
        from: panel,
        session: panel_half,
        heard: 0,
        answer: true,
    };
    let second = Hello {
        from: station,
        session: station_half,
        heard: panel_half,
        answer: true,
    };
    let third = Hello {
        heard: station_half,
        answer: false,
        ..first
    };
    let header = Header {
        kind: Kind::Message,
        session: session_name(station_half, panel_half),
        sequence: 0,
        acknowledgement: 0,
        selective: 0,
        window: 16,
    };
    let show = body(ToPanel::Show(Show {
        activity: Activity::Ready,
        result: Some(FilmResult {
            film: 300,
            outcome: Outcome::Refer,
        }),
        film_missing: false,
        buzzer: Buzzer::Notice,
    }));
    let acknowledgement = Header {
        kind: Kind::Acknowledgement,
        session: session_name(panel_half, station_half),
        sequence: 0,
        acknowledgement: 1,
        selective: 0b101,
        window: 3,
    };
    let log = Header {
        kind: Kind::Log,
        sequence: 2,
        ..acknowledgement
    };
    let id = EventId {
        boot: PANEL,
        number: 4,
    };
    let at = 1_250_000;
    let event = |what| FromPanel::Event(Event { id, at, what });
    let host = Hello {
        from: host::identity(version, STATION),
        session: 0,
        heard: 0,
        answer: false,
    };
    let film = Object {
        sha256: Sha256::digest(b"a film").into(),
        length: 6,
    };
    let examples = [
        ("the first hello", hello_frame(first)),
        ("the first hello, plain", plain(&hello_frame(first))),
        ("the second hello", hello_frame(second)),
        ("the third hello", hello_frame(third)),
        ("a message in its frame", body_frame(header, &show)),
        (
            "a message in its frame, plain",
            plain(&body_frame(header, &show)),
        ),
        ("an acknowledgement", body_frame(acknowledgement, &[])),
        ("a piece of log", body_frame(log, &[0x01, 0x00, 0x2a])),
        ("ToPanel::Show", show),
        ("ToPanel::Keep", body(ToPanel::Keep(Settings::DEFAULT))),
        ("ToPanel::Acknowledge", body(ToPanel::Acknowledge(id))),
        (
            "ToPanel::Ask",
            body(ToPanel::Ask(Question::Time { token: 9 })),
        ),
        (
            "FromPanel::Event, a start",
            body(event(Occurrence::Started(Reset::Watchdog))),
        ),
        (
            "FromPanel::Event, the button",
            body(event(Occurrence::Button {
                press: Press::Short,
                film: Some(300),
            })),
        ),
        (
            "FromPanel::Event, an exposure",
            body(event(Occurrence::Exposure)),
        ),
        (
            "FromPanel::Measures",
            body(FromPanel::Measures(Measures {
                at,
                battery: Some(3700),
                temperature: Some(-5),
                bad_frames: 2,
                lost_bytes: 0,
                lost_events: 0,
            })),
        ),
        (
            "FromPanel::Settings",
            body(FromPanel::Settings(SettingsReport {
                settings: Settings::DEFAULT,
                kept: true,
            })),
        ),
        (
            "FromPanel::Build",
            body(FromPanel::Build(Build {
                board: Board::Pico2,
                id: std::array::from_fn(|index| index as u8),
            })),
        ),
        (
            "FromPanel::Time",
            body(FromPanel::Time(Time { token: 9, at })),
        ),
        ("a hello on a stream", stream::write_hello(&host).to_vec()),
        (
            "ToStation::Screen",
            on_stream(ToStation::Screen {
                name: "a.dcm",
                film,
            }),
        ),
        (
            "FromStation::Have",
            on_stream(FromStation::Have(Have {
                offset: 3,
                sha256: Sha256::digest(b"a f").into(),
            })),
        ),
        (
            "ToStation::Chunk",
            on_stream(ToStation::Chunk(Chunk {
                offset: 3,
                bytes: b"ilm",
            })),
        ),
        (
            "ToStation::Results",
            on_stream(ToStation::Results {
                after: 300,
                most: 50,
            }),
        ),
        (
            "FromStation::Result",
            on_stream(FromStation::Result {
                number: 301,
                line: "{\"film\":301}",
            }),
        ),
        (
            "FromStation::Log",
            on_stream(FromStation::Log {
                number: 7,
                time: "2026-11-26T16:00:00Z",
                entry: LogEntry::Station("ready"),
            }),
        ),
        (
            "FromStation::End",
            on_stream(FromStation::End { more: false }),
        ),
    ];
    examples
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .into()
}

#[test]
fn the_examples_are_what_is_written() {
    let (documented, written) = (documented(), written());
    for (name, bytes) in &written {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x} ")).collect();
        let hex: fn(&[u8]) -> String = hex;
        let in_document = documented.get(name).map(|bytes| hex(bytes));
        assert_eq!(
            in_document.unwrap_or_default(),
            hex(bytes),
            "example {name:?} of shared/WIRE.md; if messages have changed, raise their PROTOCOL, too"
        );
    }
    let unknown: Vec<&String> = documented
        .keys()
        .filter(|name| !written.contains_key(*name))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_protocol_numbers_are_the_documented_ones() {
    let numbers = [
        ("panel", panel::PROTOCOL, panel::SCHEMA),
        ("host", host::PROTOCOL, host::SCHEMA),
    ];
    for (name, protocol, schema) in numbers {
        let schema: String = schema.iter().map(|byte| format!("{byte:02x}")).collect();
        let row = format!("| {name} | {protocol} | `{schema}` |");
        assert!(DOCUMENT.contains(&row), "shared/WIRE.md lacks: {row}");
    }
}

#[test]
fn limits_are_the_documented_ones() {
    for (what, limit) in [
        ("most bytes of a body", frame::BODY),
        ("most bytes of a frame", FRAME),
        ("most bytes of a message on a stream", stream::MOST),
        ("most bytes of a chunk", plumbline_wire::object::CHUNK),
    ] {
        let row = format!("| {what} | {limit} |");
        assert!(DOCUMENT.contains(&row), "shared/WIRE.md lacks: {row}");
    }
}
