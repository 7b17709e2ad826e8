//! Single promises of a link, one after the other; `night` has them all at once.

use std::collections::HashSet;

use plumbline_wire::frame::{self, FRAME, Frame, Frames, Header, Kind, session_name};
use plumbline_wire::hello::{Hello, Version};
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

/// The other side of `link`, written by hand: its hello, and the hello that `link` answers at once.
fn hello(now: u64, link: &mut Small, session: u32, heard: u32) -> Option<Hello> {
    let hello = Hello {
        from: panel::identity(Version::of("1.0.0"), 2),
        session,
        heard,
        answer: true,
    };
    let mut out = [0; FRAME];
    let bytes = frame::write_hello(&hello, &mut out);
    hear(now, link, bytes);
    said(now, link)
}

/// The hello among what `link` says now.
fn said(now: u64, link: &mut Small) -> Option<Hello> {
    let bytes = speech(now, link);
    let (mut frames, mut bytes) = (Frames::new(), &bytes[..]);
    while let Some(frame) = frames.next(&mut bytes) {
        if let Frame::Hello(hello) = frame {
            return Some(hello);
        }
    }
    None
}

#[test]
fn no_half_of_a_session_is_given_twice_though_the_other_side_does_so() {
    let mut station = link(1);
    let mut halves = HashSet::new();
    for round in 0..5 {
        let now = round * 1_000_000;
        // Two sides that start again by turns, each time with the same half.
        let theirs = 70 + (round % 2) as u32;
        let offer = hello(now, &mut station, theirs, 0).expect("an offer");
        assert_eq!(offer.heard, theirs);
        hello(now, &mut station, theirs, offer.session);
        assert_eq!(u64::from(station.counts().sessions), round + 1);
        assert!(halves.insert(offer.session), "{} again", offer.session);
    }
}

#[test]
fn a_hello_that_the_line_kept_back_opens_and_ends_nothing() {
    let mut station = link(1);
    let offer = hello(0, &mut station, 70, 0).expect("an offer");
    hello(0, &mut station, 70, offer.session);
    assert_eq!(station.counts().sessions, 1);
    // From before that start of the other side, from another one, and from this one.
    for (session, heard) in [(60, 0), (60, 12345), (60, offer.session), (70, 0)] {
        hello(1_000_000, &mut station, session, heard);
        assert!(station.peer().is_some());
    }
    assert_eq!(station.counts().sessions, 1);
    let answer = hello(2_000_000, &mut station, 70, offer.session).expect("an answer");
    assert_eq!((answer.session, answer.heard), (offer.session, 70));
}

#[test]
fn frames_of_another_session_are_answered_by_which_one_is_open() {
    let mut station = link(1);
    let offer = hello(0, &mut station, 70, 0).expect("an offer");
    hello(0, &mut station, 70, offer.session);
    let header = Header {
        kind: Kind::Message,
        session: session_name(60, offer.session),
        sequence: 0,
        acknowledgement: 0,
        selective: 0,
        window: 1,
    };
    let mut out = [0; FRAME];
    hear(
        START,
        &mut station,
        frame::write(&header, &[3, 2], &mut out),
    );
    assert_eq!(station.message(), None);
    let question = said(START, &mut station).expect("a question");
    assert_eq!((question.session, question.heard), (offer.session, 70));
    assert!(question.answer);
}
