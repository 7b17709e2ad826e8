//! Programs of different versions on one line: both say which one is older, and nothing else is said.

use plumbline_wire::frame::FRAME;
use plumbline_wire::hello::{Agreement, Identity, Version};
use plumbline_wire::link::{Link, News, SendError, Timing};
use plumbline_wire::panel::{self, Question, ToPanel};

const SECOND: u64 = 1_000_000;

struct Side {
    link: Link<4, 4>,
    refused: Vec<(Version, Agreement)>,
    opened: u32,
    messages: u32,
}

impl Side {
    fn new(me: Identity) -> Self {
        Self {
            link: Link::new(me, Timing::DEFAULT),
            refused: Vec::new(),
            opened: 0,
            messages: 0,
        }
    }

    /// Sends everything to `other`; returns how many bytes.
    fn speak(&mut self, now: u64, other: &mut Self) -> usize {
        let (mut out, mut sent) = ([0; FRAME], 0);
        while let Some(mut bytes) = self.link.transmit(now, &mut out) {
            sent += bytes.len();
            while let Some(news) = other.link.receive(now, &mut bytes) {
                match news {
                    News::Opened(_) => other.opened += 1,
                    News::Refused(peer, agreement) => other.refused.push((peer.version, agreement)),
                    News::Log { .. } => panic!("{news:?}"),
                }
            }
            while other.link.message().is_some() {
                other.messages += 1;
            }
        }
        sent
    }
}

fn run(now: &mut u64, for_: u64, one: &mut Side, other: &mut Side) -> usize {
    let end = *now + for_;
    let mut sent = 0;
    while *now < end {
        sent += one.speak(*now, other) + other.speak(*now, one);
        *now += 1_000;
    }
    sent
}

fn identity(boot: u64, protocol: u16, version: &str) -> Identity {
    Identity {
        protocol,
        ..panel::identity(Version::of(version), boot)
    }
}

#[test]
fn both_sides_say_which_one_is_older_until_it_is_updated() {
    let ours = panel::PROTOCOL + 1;
    for (protocol, here, there) in [
        (ours - 1, Agreement::OtherIsOlder, Agreement::OtherIsNewer),
        (ours + 1, Agreement::OtherIsNewer, Agreement::OtherIsOlder),
    ] {
        let mut now = 0;
        let mut station = Side::new(identity(1, ours, "2.0.0"));
        let mut panel = Side::new(identity(2, protocol, "2.1.0"));
        let sent = run(&mut now, 10 * SECOND, &mut station, &mut panel);
        assert_eq!(station.refused, [(Version::of("2.1.0"), here)]);
        assert_eq!(panel.refused, [(Version::of("2.0.0"), there)]);
        // A hello and its answer each 100 ms, each way.
        assert!(sent < 10 * 10 * 4 * 45, "{sent} bytes");
        for side in [&mut station, &mut panel] {
            assert_eq!((side.opened, side.messages), (0, 0));
            assert!(side.link.silent(now) && side.link.peer().is_none());
            let message = ToPanel::Ask(Question::Build);
            assert_eq!(side.link.send(&message), Err(SendError::Closed));
        }
        // The panel is updated, and starts again.
        let mut panel = Side::new(identity(3, ours, "2.2.0"));
        run(&mut now, SECOND, &mut station, &mut panel);
        assert_eq!((station.opened, panel.opened), (1, 1));
        // It is put back, which ends the session at once.
        let mut panel = Side::new(identity(4, protocol, "2.1.0"));
        run(&mut now, SECOND, &mut station, &mut panel);
        assert_eq!(station.refused.len(), 2);
        assert!(station.link.peer().is_none());
    }
}

#[test]
fn changed_messages_without_a_new_number_are_noticed() {
    let mut now = 0;
    let changed = Identity {
        schema: [7; 8],
        ..identity(2, panel::PROTOCOL, "2.0.0")
    };
    let mut station = Side::new(identity(1, panel::PROTOCOL, "2.0.0"));
    let mut panel = Side::new(changed);
    run(&mut now, SECOND, &mut station, &mut panel);
    for side in [station, panel] {
        let refused = (Version::of("2.0.0"), Agreement::SameNumberOtherMessages);
        assert_eq!(side.refused, [refused]);
        assert_eq!(side.opened, 0);
    }
}

#[test]
fn a_line_that_echoes_opens_no_session() {
    let mut link = Link::<4, 4>::new(identity(1, 1, "1.0.0"), Timing::DEFAULT);
    let mut out = [0; FRAME];
    let mut now = 0;
    while now < 5 * SECOND {
        if let Some(bytes) = link.transmit(now, &mut out) {
            assert_eq!(link.receive(now, &mut &bytes[..]), None);
        }
        now += 1_000;
    }
    assert!(link.peer().is_none());
}
