//! Single promises of a link, one after the other; `night` has them all at once.

use plumbline_wire::frame::FRAME;
use plumbline_wire::hello::Version;
use plumbline_wire::link::{Link, News, SendError, Timing};
use plumbline_wire::panel::{self, Question, ToPanel};

type Small = Link<2, 2>;

const MESSAGE: ToPanel = ToPanel::Ask(Question::Build);

fn link(boot: u64) -> Small {
    Link::new(panel::identity(Version::of("1.0.0"), boot), Timing::DEFAULT)
}

/// What `from` has to send now.
fn speech(now: u64, from: &mut Small) -> Vec<u8> {
    let (mut out, mut bytes) = ([0; FRAME], Vec::new());
    while let Some(frame) = from.transmit(now, &mut out) {
        bytes.extend_from_slice(frame);
    }
    bytes
}

/// What the other side says to `to`; returns how many sessions were opened and logs came.
fn hear(now: u64, to: &mut Small, mut bytes: &[u8]) -> (u32, Vec<(Vec<u8>, u16)>) {
    let (mut opened, mut logs) = (0, Vec::new());
    while let Some(news) = to.receive(now, &mut bytes) {
        match news {
            News::Opened(_) => opened += 1,
            News::Log { frames, missing } => logs.push((frames.to_vec(), missing)),
            News::Refused(..) => panic!("{news:?}"),
        }
    }
    (opened, logs)
}

/// Has both say what they have to say until neither has anything.
fn exchange(now: u64, one: &mut Small, other: &mut Small) {
    loop {
        let (there, back) = (speech(now, one), speech(now, other));
        if there.is_empty() && back.is_empty() {
            return;
        }
        hear(now, other, &there);
        hear(now, one, &back);
    }
}

/// When [`connect`] is done.
const START: u64 = 50_000;

/// Has both come to a session, and say nothing more.
fn connect(from: u64, one: &mut Small, other: &mut Small) {
    for now in from..=from + START {
        exchange(now, one, other);
    }
    assert!(one.peer().is_some() && other.peer().is_some());
}

#[test]
fn the_first_byte_after_a_start_ends_what_the_last_start_left_unfinished() {
    let (mut station, mut board) = (link(1), link(2));
    connect(0, &mut station, &mut board);
    board.log(b"cut off");
    let unfinished = speech(START, &mut board);
    hear(START, &mut station, &unfinished[..unfinished.len() / 2]);
    let mut board = link(3);
    // Before the second hello.
    connect(START, &mut station, &mut board);
    assert_eq!(station.peer().map(|peer| peer.boot), Some(3));
}

#[test]
fn without_a_session_nothing_is_kept() {
    let mut station = link(1);
    assert_eq!(station.send(&MESSAGE), Err(SendError::Closed));
    assert_eq!(station.room(), 0);
    assert!(station.silent(0));
    assert_eq!(station.peer(), None);
}

#[test]
fn a_full_link_says_so_until_the_other_side_has_taken_something() {
    let (mut station, mut board) = (link(1), link(2));
    connect(0, &mut station, &mut board);
    let mut sent = 0;
    for _ in 0..10 {
        while station.send(&MESSAGE).is_ok() {
            sent += 1;
        }
        assert_eq!(station.send(&MESSAGE), Err(SendError::Full));
        exchange(START, &mut station, &mut board);
    }
    // Two in the board's places, two in the station's.
    assert_eq!(sent, 4);
    assert!(board.message().is_some());
    exchange(START, &mut station, &mut board);
    assert_eq!(station.room(), 1);
    let long = [0u8; 32];
    let long = [long; 8];
    assert_eq!(station.send(&long), Err(SendError::TooLong));
}

#[test]
fn silence_is_noticed_and_ends_with_the_next_frame() {
    let silence = u64::from(Timing::DEFAULT.silence);
    let (mut station, mut board) = (link(1), link(2));
    connect(0, &mut station, &mut board);
    assert!(!station.silent(silence - 1));
    let late = START + silence;
    assert!(station.silent(late));
    let bytes = speech(late, &mut board);
    hear(late, &mut station, &bytes);
    assert!(!station.silent(late + silence - 1));
    // The session is the same.
    assert_eq!(station.counts().sessions, 1);
}

#[test]
fn an_idle_link_says_a_heartbeat_and_when_it_will() {
    let heartbeat = u64::from(Timing::DEFAULT.heartbeat);
    let (mut station, mut board) = (link(1), link(2));
    connect(0, &mut station, &mut board);
    let wake = station.wake();
    assert!((heartbeat..=heartbeat + START).contains(&wake), "{wake}");
    assert!(speech(wake - 1, &mut station).is_empty());
    assert!(!speech(wake, &mut station).is_empty());
    assert_eq!(station.wake(), wake + heartbeat);
}

#[test]
fn logs_give_way_to_messages_and_their_gaps_are_told() {
    let (mut station, mut board) = (link(1), link(2));
    // Waits for a session.
    assert!(board.log(b"start"));
    assert!(!board.log_room());
    assert!(!board.log(b"lost"));
    connect(0, &mut station, &mut board);
    assert!(board.log_room());
    board.log_lost(2);
    assert!(board.log(b"later"));
    board.send(&MESSAGE).unwrap();
    let bytes = speech(START, &mut board);
    let message_first = bytes.windows(5).position(|window| window == b"later");
    assert!(message_first.is_some_and(|position| position > 20));
    let (_, logs) = hear(START, &mut station, &bytes);
    assert_eq!(logs, [(b"later".to_vec(), 3)]);
    assert_eq!(board.counts().logs_missing, 3);
    assert_eq!(station.counts().logs_missing, 3);
    // The line repeats it.
    let (_, logs) = hear(START, &mut station, &bytes);
    assert_eq!(logs, []);
}

#[test]
fn a_board_of_four_places_each_way_needs_less_than_four_kibibytes() {
    assert!(
        size_of::<Link<4, 4>>() < 3 << 10,
        "{}",
        size_of::<Link<4, 4>>()
    );
    assert!(
        size_of::<Link<8, 4>>() < 4 << 10,
        "{}",
        size_of::<Link<8, 4>>()
    );
}
